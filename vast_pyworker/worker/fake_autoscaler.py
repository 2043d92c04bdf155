"""A small autoscaler for tests and for ``vast-pyworker dev``: a real HTTP server on a free port.

What is here: the four calls a worker and a client make (``/pubkey/``, ``/worker_status/``,
``/delete_requests/``, ``/route/``), a record of what came, faults on demand. What is not: scaling,
queueing, checking of tokens.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from vast_pyworker import signature, wire

Message = dict[str, Any]
ROUTE_PATH = "/route/"


@dataclass(frozen=True)
class Fault:
    """What the next call of a path gets: an answer late, or of another status, or none (0)."""

    path: str
    status: int = 503
    delay_s: float = 0.0


class FakeAutoscaler:
    """Records ``reports`` and ``ends`` (the decoded JSON bodies, oldest first) as they come.

    ``extended`` announces that the extra fields of reports are taken. ``on_report`` is called
    with each report, on the server's thread. Use it as a context, or ``start`` and ``stop`` it.
    """

    def __init__(
        self, *, extended: bool = False, on_report: Callable[[Message], None] | None = None
    ) -> None:
        self.extended = extended
        self.key = signature.new_private_key()
        self.reports: list[Message] = []
        self.ends: list[Message] = []
        self.calls: list[str] = []
        self._on_report = on_report
        self._faults: deque[Fault] = deque()
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._released = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> FakeAutoscaler:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen on a free port of 127.0.0.1; ``url`` is known from then on."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler_class())
        server.daemon_threads = True
        serve = threading.Thread(
            target=server.serve_forever, args=(0.05,), name="fake-autoscaler", daemon=True
        )
        self._server, self._thread = server, serve
        serve.start()

    def stop(self) -> None:
        """Close the server; answers that are being delayed are cut short."""
        self._released.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(5.0)

    @property
    def url(self) -> str:
        assert self._server is not None, "start() first"
        return f"http://127.0.0.1:{self._server.server_port}"

    def fail(self, fault: Fault, times: int = 1) -> None:
        """Let the next ``times`` calls of the fault's path meet it."""
        with self._changed:
            self._faults.extend([fault] * times)

    def grant(self, url: str, form: signature.Form = "url", **fields: Any) -> Message:
        """A signed grant for a worker's url, with numbers of its own unless they are given."""
        number = next(self._numbers)
        message = {"cost": 100.0, "endpoint": "dev", "reqnum": number, "request_idx": number}
        message |= {"url": url, **fields}
        return {**message, "signature": signature.sign(self.key, message, form)}

    def wait(self, ready: Callable[[FakeAutoscaler], bool], timeout_s: float = 10.0) -> bool:
        """Wait until ``ready(self)``, asked after each call that came; False if it never was."""
        with self._changed:
            return self._changed.wait_for(lambda: ready(self), timeout_s)

    def _take(self, path: str, body: Message) -> tuple[int, bytes]:
        """Record one call; the status and body of its answer, status 0 for none."""
        with self._changed:
            self.calls.append(path)
            fault = next((f for f in self._faults if f.path == path), None)
            if fault is not None:
                self._faults.remove(fault)
        if fault is not None:
            self._released.wait(fault.delay_s)
            if not 200 <= fault.status < 300:
                self._tell()
                return fault.status, b"{}"
        return 200, self._answer(path, body)

    def _answer(self, path: str, body: Message) -> bytes:
        if path == wire.PUBKEY_PATH:
            answer = signature.public_pem(self.key).encode()
        elif path == ROUTE_PATH:
            answer = json.dumps(self._route()).encode()
        else:
            answer = b"{}"
            (self.reports if path == wire.REPORT_PATH else self.ends).append(body)
        if path == wire.REPORT_PATH and self._on_report is not None:
            self._on_report(body)
        self._tell()
        return answer

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _route(self) -> Message:
        """A grant for the worker that reported last, once it is loaded."""
        if self.reports:
            report = wire.decode_report(self.reports[-1])
            if wire.infer_state(report) in wire.ACCEPTING:
                return self.grant(report.url)
        return {"endpoint": "dev", "status": "LOADING: 1", "request_idx": next(self._numbers)}

    def _handler_class(self) -> type[BaseHTTPRequestHandler]:
        autoscaler = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 30.0

            def do_GET(self) -> None:
                self._serve({})

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                try:
                    self._serve(json.loads(raw or b"{}"))
                except json.JSONDecodeError:
                    self._reply(400, b"{}")

            def _serve(self, body: Message) -> None:
                status, answer = autoscaler._take(self.path.partition("?")[0], body)
                self.close_connection = True
                # status 0: no answer at all; and whoever has gone away wants none
                with suppress(ConnectionError):
                    if status:
                        self._reply(status, answer)

            def _reply(self, status: int, answer: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                if autoscaler.extended:
                    self.send_header(wire.EXTENDED_HEADER, "1")
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing: what came is in the record."""

        return Handler
