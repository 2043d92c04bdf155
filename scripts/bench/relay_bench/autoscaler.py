"""A stand-in for the autoscaler: serves the public key, takes every report. It decides nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def _handler(public_pem: bytes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            known = self.path == "/pubkey/"
            self._answer(200 if known else 404, public_pem if known else b"")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._answer(200, b"{}")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Reports come every second: nothing is logged."""

    return Handler


@contextmanager
def autoscaler(public_pem: bytes) -> Iterator[str]:
    """Serve on a free port of 127.0.0.1; yields the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(public_pem))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="autoscaler", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
