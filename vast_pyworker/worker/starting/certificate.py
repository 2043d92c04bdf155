"""The instance's TLS certificate: a key made here, signed by Vast's console.

An existing pair that still serves is kept. What is not here: serving TLS, which is gunicorn's.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from vast_pyworker.errors import NotStarted
from vast_pyworker.failure import Exit

from .private_file import write_private

CONSOLE = "https://console.vast.ai"
COMMON_NAME = "pyworker.vast.ai"
WAITS_S = (2.0, 4.0, 8.0, 16.0)
TIMEOUT_S = 30.0
LEAST_DAYS_LEFT = 1


@dataclass(frozen=True)
class Pair:
    """The files of a certificate and its key, PEM."""

    cert: Path
    key: Path


def obtain(
    pair: Pair,
    container_id: int,
    sleep: Callable[[float], None],
    *,
    console: str = CONSOLE,
    waits_s: Sequence[float] = WAITS_S,
) -> bool:
    """Have a signed certificate in ``pair``; return whether a new one was asked for.

    Raises NotStarted when the console does not sign after ``len(waits_s) + 1`` tries.
    """
    if serves(pair):
        return False
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    url = f"{console.rstrip('/')}/api/v0/sign_cert/?instance_id={container_id}"
    signed = _signed(url, _signing_request(key), key, sleep, waits_s)
    _store(pair, key, signed)
    return True


def serves(pair: Pair) -> bool:
    """Whether ``pair`` holds a key and its certificate, not self-signed, valid for a day yet."""
    try:
        cert = x509.load_pem_x509_certificate(pair.cert.read_bytes())
        key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return False
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(LEAST_DAYS_LEFT)
    fresh = cert.not_valid_after_utc > later and cert.issuer != cert.subject
    return fresh and cert.public_key() == key.public_key()


def _signing_request(key: rsa.RSAPrivateKey) -> bytes:
    names = (
        (NameOID.COUNTRY_NAME, "US"),
        (NameOID.STATE_OR_PROVINCE_NAME, "CA"),
        (NameOID.COMMON_NAME, COMMON_NAME),
    )
    anywhere = x509.IPAddress(ipaddress.IPv4Address("0.0.0.0"))
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(oid, value) for oid, value in names]))
        .add_extension(x509.SubjectAlternativeName([anywhere]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.PEM)


def _signed(
    url: str,
    request: bytes,
    key: rsa.RSAPrivateKey,
    sleep: Callable[[float], None],
    waits_s: Sequence[float],
) -> bytes:
    """The certificate, as the console answered it: PEM, perhaps with its chain."""
    reason = ""
    for wait_s in (0.0, *waits_s):
        sleep(wait_s)
        answer, reason = _ask(url, request)
        if answer is not None and _is_for(answer, key):
            return answer
        reason = reason or "the answer is no certificate for our key"
    raise NotStarted(
        Exit.CERTIFICATE_REFUSED,
        f"No certificate could be had from {url} after {len(waits_s) + 1} tries ({reason}): "
        "check CONTAINER_ID, or set USE_SSL=false to serve without TLS.",
    )


def _ask(url: str, request: bytes) -> tuple[bytes | None, str]:
    """The body of a good answer, or None and why."""
    headers = {"Content-Type": "application/octet-stream"}
    try:
        answer = requests.post(url, data=request, headers=headers, timeout=TIMEOUT_S)
    except requests.RequestException as exc:
        return None, type(exc).__name__
    return (answer.content, "") if answer.ok else (None, f"HTTP {answer.status_code}")


def _is_for(answer: bytes, key: rsa.RSAPrivateKey) -> bool:
    try:
        return x509.load_pem_x509_certificate(answer).public_key() == key.public_key()
    except ValueError:
        return False


def _store(pair: Pair, key: rsa.RSAPrivateKey, signed: bytes) -> None:
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode("ascii")
    try:
        write_private(pair.key, text)
        write_private(pair.cert, signed.decode("ascii"))
        pair.cert.chmod(0o644)  # public: clients get it with every handshake
    except OSError as exc:
        raise NotStarted(
            Exit.NO_DISK,
            f"The certificate cannot be kept in {pair.cert.parent} ({exc.strerror}): "
            "set PYWORKER_CERT and PYWORKER_KEY to files that can be written.",
        ) from exc
