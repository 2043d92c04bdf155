"""The instance's certificate, signed by a console of ours over real HTTP."""

from __future__ import annotations

import datetime
import stat
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from vast_pyworker.errors import NotStarted
from vast_pyworker.failure import Exit
from vast_pyworker.worker.starting.certificate import Pair, obtain, serves

AUTHORITY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of a test")])
Answer = Callable[[bytes], tuple[int, bytes]]


def sign(request: bytes, *, days: int = 30, key: rsa.RSAPrivateKey | None = None) -> bytes:
    wanted = x509.load_pem_x509_csr(request)
    now = datetime.datetime.now(datetime.timezone.utc)
    cert = (
        x509.CertificateBuilder()
        .subject_name(wanted.subject)
        .issuer_name(NAME)
        .public_key((key or wanted).public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .sign(AUTHORITY, hashes.SHA256())
    )
    return cert.public_bytes(serialization.Encoding.PEM)


class Console:
    """Answers each signing request with the next of ``answers``, then with the last for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.requests: list[tuple[str, str, bytes]] = []
        outer, left = self, list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.path, self.headers["Content-Type"], body))
                status, answer = (left.pop(0) if len(left) > 1 else left[0])(body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="console")
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Console:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path / "instance.crt", tmp_path / "instance.key")


@pytest.fixture
def waits() -> Iterator[list[float]]:
    yield []


def good(request: bytes) -> tuple[int, bytes]:
    return 200, sign(request)


def test_a_request_is_sent_and_the_answer_kept(pair: Pair, waits: list[float]) -> None:
    with Console(good) as console:
        assert obtain(pair, 42, waits.append, console=console.url) is True
    path, kind, body = console.requests[0]
    assert path == "/api/v0/sign_cert/?instance_id=42"
    assert kind == "application/octet-stream"
    request = x509.load_pem_x509_csr(body)
    assert request.is_signature_valid
    assert request.subject.rfc4514_string() == "CN=pyworker.vast.ai,ST=CA,C=US"
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["0.0.0.0"]
    key = request.public_key()
    assert isinstance(key, rsa.RSAPublicKey) and key.key_size == 2048
    assert stat.S_IMODE(pair.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(pair.cert.stat().st_mode) == 0o644
    assert serves(pair)


def test_a_pair_that_serves_is_kept(pair: Pair, waits: list[float]) -> None:
    with Console(good) as console:
        obtain(pair, 42, waits.append, console=console.url)
        assert obtain(pair, 42, waits.append, console=console.url) is False
        assert len(console.requests) == 1


@pytest.mark.parametrize("days", [0, 1])
def test_one_that_ends_within_a_day_is_renewed(pair: Pair, waits: list[float], days: int) -> None:
    with Console(lambda body: (200, sign(body, days=days)), good) as console:
        obtain(pair, 42, waits.append, console=console.url)
        assert not serves(pair)
        assert obtain(pair, 42, waits.append, console=console.url) is True


def test_five_tries_two_four_eight_and_sixteen_seconds_apart(
    pair: Pair, waits: list[float]
) -> None:
    with (
        Console(lambda body: (503, b"<html>later</html>")) as console,
        pytest.raises(NotStarted, match=r"after 5 tries \(HTTP 503\)") as caught,
    ):
        obtain(pair, 42, waits.append, console=console.url)
    assert caught.value.code == Exit.CERTIFICATE_REFUSED
    assert waits == [0, 2, 4, 8, 16]
    assert len(console.requests) == 5
    assert not pair.cert.exists() and not pair.key.exists()


def test_a_later_try_may_succeed(pair: Pair, waits: list[float]) -> None:
    with Console(lambda body: (429, b""), lambda body: (500, b""), good) as console:
        assert obtain(pair, 42, waits.append, console=console.url) is True
    assert waits == [0, 2, 4]


@pytest.mark.parametrize("answer", [b"", b"<html>", b"\xff\x00", b'{"error": "no"}'])
def test_an_answer_that_is_no_certificate_is_refused(
    pair: Pair, waits: list[float], answer: bytes
) -> None:
    with (
        Console(lambda body: (200, answer)) as console,
        pytest.raises(NotStarted, match="no certificate for our key"),
    ):
        obtain(pair, 42, waits.append, console=console.url)


def test_a_certificate_for_another_key_is_refused(pair: Pair, waits: list[float]) -> None:
    with (
        Console(lambda body: (200, sign(body, key=AUTHORITY))) as console,
        pytest.raises(NotStarted, match="no certificate for our key"),
    ):
        obtain(pair, 42, waits.append, console=console.url)


def test_a_console_that_cannot_be_reached_is_one_sentence(pair: Pair, waits: list[float]) -> None:
    with Console(good) as console:
        gone = console.url
    with pytest.raises(NotStarted, match="ConnectionError"):
        obtain(pair, 42, waits.append, console=gone)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, waits: list[float]) -> None:
    (tmp_path / "file").touch()
    pair = Pair(tmp_path / "file" / "c", tmp_path / "file" / "k")
    with Console(good) as console, pytest.raises(NotStarted, match="PYWORKER_CERT") as caught:
        obtain(pair, 42, waits.append, console=console.url)
    assert caught.value.code == Exit.NO_DISK
