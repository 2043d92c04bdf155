"""A model server without a model, for tests and for trying a backend out: real HTTP, on demand.

Each POST says in its own payload, under ``script``, what it gets: an answer whole or in pieces,
late, held back, broken off, with any status; so many scenes play at once. Also: ``/health``,
``/metrics``, a redirect, a WebSocket that echoes. What is not here: text worth reading.
"""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .fake_answers import TYPES, Script, ending, pieces, whole_answer

LOOK_S = 0.02
FOREVER_S = 3600.0


@dataclass
class Seen:
    """One POST as it came. ``state``: running, then answered, died, or gone (its client left).

    Times are of ``time.monotonic``; ``ended_at`` is 0.0 while it runs.
    """

    path: str
    headers: Mapping[str, str]
    payload: Any
    script: Script
    began_at: float
    state: str = "running"
    ended_at: float = 0.0


class ClientGone(ConnectionError):
    """Whoever asked has closed the connection."""


class FakeModel:
    """Listens on 127.0.0.1, on ``port`` or a free one; a context, or ``start`` and ``stop`` it.

    ``health`` is the status of ``/health``, None for no answer at all. ``gauges`` are further lines
    of ``/metrics``. ``crash`` is called where a script says so. ``tunnels`` are open WebSockets.
    """

    def __init__(self, port: int = 0, *, crash: Callable[[], object] | None = None) -> None:
        self.health: int | None = 200
        self.gauges: dict[str, float] = {}
        self.seen: list[Seen] = []
        self.tokens_total = 0
        self.tunnels = 0
        self.crash = crash
        self._port = port
        self._released: set[str] = set()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> FakeModel:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        self._stopping.clear()
        server = self._server = _Server(("127.0.0.1", self._port), self)
        self._port = server.server_port
        serve = server.serve_forever
        self._thread = threading.Thread(target=serve, args=(0.05,), name="fake-model", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every connection."""
        self._stopping.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.drop_connections()
            self._thread.join(5.0)

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def running(self) -> int:
        return sum(seen.state == "running" for seen in self.seen)

    def release(self, *names: str) -> None:
        """Let the held requests of these names go on, also those that are yet to come."""
        with self._changed:
            self._released.update(names)

    def find(self, name: str) -> Seen | None:
        """The latest request of a name."""
        return next((seen for seen in reversed(self.seen) if seen.script.name == name), None)

    def state_of(self, name: str) -> str:
        """The state of the latest request of a name; "" where none came."""
        seen = self.find(name)
        return seen.state if seen is not None else ""

    def wait(self, ready: Callable[[FakeModel], object], timeout_s: float = 10.0) -> bool:
        """Wait until ``ready(self)``, asked after each change; False if it never was."""
        with self._changed:
            return bool(self._changed.wait_for(lambda: ready(self), timeout_s))

    def metrics(self) -> str:
        own = {"fake:requests_running": self.running, "fake:tokens_total": self.tokens_total}
        return "".join(f"{name} {value}\n" for name, value in {**own, **self.gauges}.items())

    def is_over(self) -> bool:
        return self._stopping.is_set()

    def is_released(self, name: str) -> bool:
        return name in self._released or self._stopping.is_set()

    def count_piece(self) -> None:
        with self._changed:
            self.tokens_total += 1
            self._changed.notify_all()

    def count_tunnel(self, change: int) -> None:
        with self._changed:
            self.tunnels += change
            self._changed.notify_all()

    def take(self, path: str, headers: Mapping[str, str], payload: Any) -> Seen:
        """Record a request that has come."""
        seen = Seen(path, dict(headers), payload, Script.of(payload), time.monotonic())
        with self._changed:
            self.seen.append(seen)
            self._changed.notify_all()
        return seen

    def end(self, seen: Seen, state: str) -> None:
        with self._changed:
            seen.state, seen.ended_at = state, time.monotonic()
            self._changed.notify_all()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, address: tuple[str, int], model: FakeModel) -> None:
        self.model = model
        self._connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        for connection in tuple(self._connections):
            self.shutdown_request(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that ends in the middle is part of the play."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60.0
    server: _Server

    def do_GET(self) -> None:
        model, path = self.server.model, self.path.partition("?")[0]
        if self.headers.get("Upgrade"):
            self._echo()
        elif path == "/metrics":
            self._whole(200, {"Content-Type": "text/plain"}, model.metrics().encode())
        elif path == "/redirect":
            self._whole(302, {"Location": "http://127.0.0.1:9/elsewhere"}, b"")
        elif path != "/health":
            self._whole(200, {"Content-Type": TYPES["unary"]}, json.dumps({"path": path}).encode())
        elif model.health is None:
            self._wait(FOREVER_S)
        else:
            self._whole(model.health, {"Content-Type": TYPES["unary"]}, b'{"status":"told"}')

    def do_POST(self) -> None:
        model = self.server.model
        raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        seen = model.take(self.path, {k.lower(): v for k, v in self.headers.items()}, _read(raw))
        try:
            self._play(seen.script)
        except OSError:
            model.end(seen, "gone")
            self.close_connection = True
        else:
            model.end(seen, "died" if seen.script.then == "die" else "answered")

    def _play(self, script: Script) -> None:
        self._wait(script.delay_s)
        self._hold(script, 0)
        if script.then == "crash" and self.server.model.crash is not None:
            self.server.model.crash()
        if script.then == "die" and not script.pieces:
            self.close_connection = True
        elif script.kind == "unary":
            self._play_whole(script)
        else:
            self._play_pieces(script)

    def _play_whole(self, script: Script) -> None:
        if script.then == "hang":
            self._wait(FOREVER_S)
        body = json.dumps(whole_answer(script)).encode()
        self._head(script.status, {**script.all_headers, "Content-Length": str(len(body))})
        if script.then == "die":
            self.close_connection = True
            body = body[: len(body) // 2]
        self.wfile.write(body)
        self.server.model.count_piece()

    def _play_pieces(self, script: Script) -> None:
        self._head(script.status, {**script.all_headers, "Transfer-Encoding": "chunked"})
        for number, piece in enumerate(pieces(script)):
            if number:
                self._wait(script.pause_s)
                self._hold(script, number)
            self._chunk(piece)
            self.server.model.count_piece()
        self._hold(script, script.pieces)
        if script.then == "hang":
            self._wait(FOREVER_S)
        if script.then == "die":
            self.close_connection = True
            return
        for piece in ending(script):
            self._chunk(piece)
        self.wfile.write(b"0\r\n\r\n")

    def _hold(self, script: Script, so_far: int) -> None:
        if script.hold == so_far:
            model, name = self.server.model, script.name
            self._wait(FOREVER_S, lambda: model.is_released(name))

    def _wait(self, seconds: float, over: Callable[[], bool] = lambda: False) -> None:
        """Wait, unless it is ``over`` before; raises ClientGone when nobody waits with us."""
        until = time.monotonic() + seconds
        while (left_s := until - time.monotonic()) > 0 and not over():
            readable, _, _ = select.select((self.connection,), (), (), min(left_s, LOOK_S))
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                raise ClientGone
            if self.server.model.is_over():
                raise ClientGone

    def _whole(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self._head(status, {**headers, "Content-Length": str(len(body))})
        self.wfile.write(body)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _chunk(self, piece: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))

    def _echo(self) -> None:
        """A WebSocket, as far as a relay can tell: bytes back as they come."""
        self._head(101, {"Connection": "Upgrade", "Upgrade": self.headers["Upgrade"]})
        self.close_connection = True
        self.server.model.count_tunnel(1)
        try:
            while (data := self.connection.recv(65536)) not in (b"", b"die"):
                self.connection.sendall(data)
        finally:
            self.server.model.count_tunnel(-1)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what came is in the record."""


def _read(raw: bytes) -> Any:
    with suppress(ValueError):
        return json.loads(raw)
