"""A peer on a real socket, and an environment of one's own."""

from __future__ import annotations

import json
import os
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Peer:
    """An HTTP server that answers as told, and keeps what it was sent as (path, JSON body)."""

    url: str = ""
    status: int = 200
    answer: bytes = b'{"said": "ok"}'
    got: queue.Queue[tuple[str, Any]] = field(default_factory=queue.Queue)

    @property
    def address(self) -> str:
        return self.url.partition("//")[2]

    def next(self) -> tuple[str, Any]:
        return self.got.get(timeout=20)


@contextmanager
def serving(wrap: Callable[[Any], Any] | None = None) -> Iterator[Peer]:
    peer = Peer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            peer.got.put((self.path, json.loads(raw) if raw else None))
            self.send_response(peer.status)
            self.send_header("Content-Length", str(len(peer.answer)))
            self.end_headers()
            self.wfile.write(peer.answer)

        do_GET = do_POST

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if wrap is not None:
        server.socket = wrap(server.socket)
    peer.url = f"{'http' if wrap is None else 'https'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield peer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    with serving() as each:
        yield each


@pytest.fixture
def closed() -> Iterator[str]:
    """An address that refuses connections: bound, and nobody listening."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def secure_peer() -> Callable[..., Any]:
    """``with secure_peer(wrap) as peer``: the same behind TLS; ``wrap`` wraps its socket."""
    return serving


@pytest.fixture
def environ() -> Iterator[dict[str, str]]:
    """The process's environment, empty but for what the test puts in, and put back after it."""
    kept = dict(os.environ)
    for name in kept:
        if name not in ("PATH", "HOME", "PYTHONPATH"):
            del os.environ[name]
    yield os.environ  # type: ignore[misc]
    os.environ.clear()
    os.environ.update(kept)
