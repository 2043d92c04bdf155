"""``POST /session/end`` over plain HTTP, beside a worker that serves TLS.

The protocol has it on the port after the worker's own, for clients that close a session without
knowing the instance's certificate. Nothing else is served there. A port that is taken is one
warning, for sessions also expire; it is tried again, for at a reload the one before has it still.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING

from vast_pyworker.engine import HandlerThreads, Limits, Server
from vast_pyworker.settings import Settings
from vast_pyworker.worker.starting.listening import place_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

SERVED = ("POST", "/session/end")
LIMITS = Limits(body_bytes=64 * 1024, connections=64, idle_s=5.0, wsgi_queue=64)
CLOSE_S = 5.0
RETRY_S = 5.0


def plain_port(settings: Settings) -> int | None:
    """The port to serve on; None: the worker itself speaks plain HTTP, or nobody asked for it."""
    if not settings.use_ssl or not (settings.on_instance or settings.http_port):
        return None
    return settings.http_port or settings.port + 1


def only_session_end(app: WSGIApplication) -> WSGIApplication:
    """``app`` with every other request answered 404."""

    def guarded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if (environ["REQUEST_METHOD"], environ["PATH_INFO"]) == SERVED:
            return app(environ, start_response)
        body = json.dumps({"error": f"Only {' '.join(SERVED)} is served without TLS."}).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response("404 Not Found", headers)
        return [body]

    return guarded


class PlainHttp:
    """A second server on the worker's loop. ``port`` 0 is any; see ``address`` once started."""

    address: tuple[str, int]

    def __init__(
        self, app: WSGIApplication, host: str, port: int, retry_s: float = RETRY_S
    ) -> None:
        self._app = only_session_end(app)
        self._place = host, port
        self._retry_s = retry_s
        self._threads = HandlerThreads(1, LIMITS.wsgi_queue)
        self._server: Server | None = None
        self._listening: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None

    @classmethod
    def of(cls, app: WSGIApplication, settings: Settings) -> PlainHttp | None:
        """The one that these settings ask for, if they do."""
        port, place = plain_port(settings), place_of(settings)
        return None if port is None or place.path else cls(app, place.host, port)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """On the loop: bind, now or when it becomes possible, and listen from the next turn on."""
        try:
            sock = _bound(*self._place)
        except (OSError, OverflowError) as exc:
            if self._retry is None:
                log.warning(
                    "Port %d cannot be bound (%s), so /session/end is served by TLS alone: free it "
                    "or set WORKER_HTTP_PORT.",
                    self._place[1],
                    exc,
                )
            self._retry = loop.call_later(self._retry_s, self.start, loop)
            return
        self.address = self._place[0], sock.getsockname()[1]
        self._threads.start()
        self._server = Server(self._app, loop, self._threads, LIMITS)
        self._listening = loop.create_task(self._server.listen(sock, None))

    def drain(self) -> None:
        """On the loop: hear no more."""
        if self._retry is not None:
            self._retry.cancel()
        if self._server is not None:
            self._server.drain(listening=False)

    def stop(self) -> None:
        """In another thread than the loop's: cut what is left, end the thread."""
        if self._server is not None:
            closing = asyncio.run_coroutine_threadsafe(self._server.close(), self._server.loop)
            closing.result(CLOSE_S)
            self._threads.stop(CLOSE_S)


def _bound(host: str, port: int) -> socket.socket:
    """A socket with this address; raises OSError or OverflowError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except (OSError, OverflowError):
        sock.close()
        raise
    return sock
