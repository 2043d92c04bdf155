"""A switchboard behind real sockets, and workers and consoles as its clients need them."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from desk import private_key, today

from vast_pyworker.controller.traffic.native import native_routes
from vast_pyworker.controller.traffic.switchboard import Switchboard
from vast_pyworker.engine.running import RunningServer

LIMIT_S = 10.0
ROW = {"id": 7, "endpoint_name": "demo", "api_key": "key", "user_id": 1, "created_at": 1.0}


class BoardApp:
    """The native routes, and as much of a console as Vast's client needs to find an endpoint."""

    def __init__(self, board: Switchboard) -> None:
        self.native_routes = native_routes(board)

    def __call__(self, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        found = environ["PATH_INFO"] == "/api/v0/endptjobs/"
        answer = {"success": True, "results": [ROW]} if found else {"error": "unknown"}
        headers = [("Content-Type", "application/json")]
        start_response("200 OK" if found else "404 Not Found", headers)
        return [json.dumps(answer).encode()]


class BoardServer:
    """Serves ``board``; calls are made on connections of their own."""

    def __init__(self, board: Switchboard) -> None:
        self.board = board
        self._server = RunningServer(BoardApp(board))

    def __enter__(self) -> BoardServer:
        self._server.start()
        self.port = int(self._server.address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.stop()

    def call(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers in lower case, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        try:
            connection.request(method, path, body or None, dict(headers or {}))
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, found, answer.read()
        finally:
            connection.close()

    def post(self, path: str, message: object, **headers: str) -> tuple[int, Any]:
        status, _, body = self.call("POST", path, json.dumps(message).encode(), headers)
        return status, json.loads(body)


def new_board() -> Switchboard:
    """A switchboard on real clocks, for the endpoint ``demo`` and the key ``key``."""
    return Switchboard(
        private_key(),
        lambda key, endpoint: (key, endpoint) == ("key", "demo"),
        now=time.time,
        mono=time.monotonic,
    )


class ScriptedWorker:
    """Answers each request by the next of ``script``; the last one again and again.

    A step is a status (with a body of JSON), the text ``"garbage"`` (200 that is no JSON) or
    ``"drop"`` (the connection is closed).
    """

    def __init__(self, *script: int | str) -> None:
        self.script = list(script)
        self.seen: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def take(self, message: dict[str, Any]) -> int | str:
        with self._lock:
            self.seen.append(message)
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@contextmanager
def working(worker: ScriptedWorker) -> Iterator[str]:
    """The worker on a free port; yields its url."""

    class Handler(BaseHTTPRequestHandler):
        timeout = LIMIT_S

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            step = worker.take(json.loads(raw))
            self.close_connection = True
            if step == "drop":
                return
            answer = b"{no json" if step == "garbage" else b'{"ok": true}'
            self.send_response(step if isinstance(step, int) else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    serve = threading.Thread(target=server.serve_forever, args=(0.02,), name="scripted-worker")
    serve.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        serve.join()
        server.server_close()


def report(server: BoardServer, worker_id: int, url: str, **fields: Any) -> None:
    """The worker at ``url`` says that it is ready, as vastai 1.9.1 does."""
    status, _ = server.post("/worker_status/", today(worker_id, url=url, **fields))
    assert status == 200


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it holds within ten seconds."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.01)
    return False
