"""What the tests of ``start_server.sh`` stand on: a clean environment, a port, an autoscaler."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).with_name("stand_in_conf.py")
COPIED = (
    "vast_pyworker",
    "backends",
    "start_server.sh",
    "requirements.txt",
    "scripts",
    "requirements-controller.txt",
)
LIMIT_S = 120.0

# A test inherits the machine, not the settings of whoever runs it.
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_KEPT_PREFIXES = ("PIP_", "UV_", "LC_", "http_", "https_", "HTTP_", "HTTPS_")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(true: Callable[[], Any], what: str, limit_s: float = 30.0) -> Any:
    """Poll until ``true()`` is; fail naming ``what`` otherwise."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if found := true():
            return found
        time.sleep(0.02)
    raise AssertionError(f"no {what} within {limit_s} s")


def copy_of_project(target: Path) -> Path:
    """The files that a worker needs, as a newcomer would have them."""
    target.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target / name)
    return target


def published(target: Path) -> Path:
    """A git repository of the project on branch main, to be cloned by its path."""
    copy_of_project(target)
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
    for command in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "all")):
        subprocess.run(["git", *identity, *command], cwd=target, check=True, timeout=LIMIT_S)
    return target


@dataclass
class Terminal:
    """Runs start_server.sh as a person would: one state folder, one port, real processes."""

    folder: Path
    checkout: Path = ROOT
    port: int = field(default_factory=free_port)
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def script(self) -> str:
        return str(self.checkout / "start_server.sh")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def environ(self, **more: str) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in _KEPT or name.startswith(_KEPT_PREFIXES)
        }
        ours = {
            "WORKER_PORT": str(self.port),
            "PYWORKER_STATE": str(self.state),
            "PYWORKER_VENV": sys.prefix,
            "PYWORKER_GUNICORN_CONF": str(STAND_IN),
            "WORKSPACE_DIR": str(self.folder / "workspace"),
        }
        return {**kept, **ours, **self.extra, **more}

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return self.shell([self.script, *arguments], **more)

    def shell(
        self, command: list[str], *, stdin: str = "", cwd: Path | None = None, **more: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self.environ(**more),
            cwd=cwd,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    @contextmanager
    def running(self, *arguments: str, **more: str) -> Iterator[subprocess.Popen[str]]:
        """The script as a process to be signalled; killed with all it started at the end."""
        process = subprocess.Popen(
            [self.script, *arguments],
            env=self.environ(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate(timeout=LIMIT_S)

    def pid(self) -> int:
        told = json.loads((self.state / f"worker-{self.port}.json").read_text())
        return int(told["pid"])

    def end(self) -> None:
        self.run("--stop")


class Autoscaler:
    """Takes worker_status posts, and signs certificates as the console does."""

    def __init__(self) -> None:
        self.reports: list[dict[str, Any]] = []
        self.sign_requests = 0
        self.refusals = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = outer._answer(self.path, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="autoscaler")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Autoscaler:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        if path == "/worker_status/":
            self.reports.append(json.loads(body))
            return 200, b"{}"
        if path.startswith("/api/v0/sign_cert/?instance_id="):
            self.sign_requests += 1
            if self.sign_requests <= self.refusals:
                return 503, b"<html>later</html>"
            return 200, sign(body)
        return 404, b""


def sign(request: bytes, *, subject_key: rsa.RSAPrivateKey | None = None) -> bytes:
    """A certificate for a signing request, by a throw-away authority."""
    wanted = x509.load_pem_x509_csr(request)
    authority = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = subject_key.public_key() if subject_key else wanted.public_key()
    now = datetime.datetime.now(datetime.timezone.utc)
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of a test")])
    names = wanted.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    cert = (
        x509.CertificateBuilder()
        .subject_name(wanted.subject)
        .issuer_name(issuer)
        .public_key(public)  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(1))
        .not_valid_after(now + datetime.timedelta(30))
        .add_extension(names.value, critical=False)
        .sign(authority, hashes.SHA256())
    )
    return cert.public_bytes(serialization.Encoding.PEM)
