"""As much of Vast's console and autoscaler as its client needs to find one worker, and a CA."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo


@dataclass
class RouteStub:
    """Grants for the worker at ``worker_url``; those for the endpoint "forged" by another key."""

    ca_pem: bytes
    worker_url: str = ""
    url: str = ""
    routed: list[dict[str, Any]] = field(default_factory=list)
    key: rsa.RSAPrivateKey = field(default_factory=lambda: new_key())
    other_key: rsa.RSAPrivateKey = field(default_factory=lambda: new_key())

    def answer(self, path: str, body: dict[str, Any]) -> bytes:
        if path == "/static/jvastai_root.cer":
            return self.ca_pem
        if path == "/pubkey/":
            return self.key.public_key().public_bytes(PEM, SPKI)
        if path == "/api/v0/endptjobs/":
            row = {"api_key": "endpoint-key", "user_id": 1, "created_at": 1.0}
            names = enumerate(("demo", "forged"), 7)
            rows = [{**row, "id": number, "endpoint_name": name} for number, name in names]
            return json.dumps({"success": True, "results": rows}).encode()
        if path != "/route/":
            return b"{}"  # reports
        self.routed.append(body)
        message = json.dumps({"url": self.worker_url}, indent=4, sort_keys=True).encode()
        key = self.other_key if body["endpoint"] == "forged" else self.key
        signed = key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        number = body["request_idx"] or 100 + len(self.routed)
        grant = {"endpoint": body["endpoint"], "cost": body["cost"], "reqnum": len(self.routed)}
        grant |= {"url": self.worker_url, "request_idx": number, "__request_id": "r"}
        return json.dumps({**grant, "signature": base64.b64encode(signed).decode()}).encode()


@contextmanager
def listening(stub: RouteStub) -> Iterator[RouteStub]:
    """The stub on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = stub.answer(self.path.partition("?")[0], json.loads(raw or b"{}"))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="route-stub")
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certify(folder: Path) -> bytes:
    """Write ``worker.crt`` and ``worker.key`` for 127.0.0.1; the PEM of the CA that has signed."""
    ca_key, key = new_key(), new_key()
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA of a test")])
    ca = _certificate(ca_name, ca_name, ca_key, ca_key, _basics(True))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "worker of a test")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = _certificate(name, ca_name, key, ca_key, address)
    (folder / "worker.crt").write_bytes(leaf)
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "worker.key").write_bytes(key.private_bytes(PEM, pkcs8, plain))
    return ca


def _basics(is_ca: bool) -> x509.BasicConstraints:
    return x509.BasicConstraints(ca=is_ca, path_length=None)


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: rsa.RSAPrivateKey,
    signer: rsa.RSAPrivateKey,
    extension: x509.ExtensionType,
) -> bytes:
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=30))
    builder = builder.add_extension(extension, critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(PEM)
