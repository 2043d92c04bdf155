"""A ``Server`` on a thread of its own, without gunicorn: for tests and tools.

Starts in ``start()`` (or as a context), stops in ``stop()``; nothing is left behind.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from typing import TypeVar

from .limits import Limits
from .server import AccessLog, Server
from .threads import HandlerThreads
from .wsgi import WSGIApp

T = TypeVar("T")
_STARTED_S = 10.0


class RunningServer:
    """Serves ``app`` on a bound socket, by default a new one on 127.0.0.1; see ``address``."""

    def __init__(
        self,
        app: WSGIApp,
        *,
        limits: Limits | None = None,
        threads: int = 4,
        new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
        sock: socket.socket | None = None,
        tls: ssl.SSLContext | None = None,
        access_log: AccessLog | None = None,
    ) -> None:
        self._app = app
        self._limits = limits or Limits()
        self._handlers = HandlerThreads(threads, self._limits.wsgi_queue)
        self._new_loop = new_loop
        self._given = sock
        self._tls = tls
        self._access_log = access_log
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="running-server", daemon=True)
        self.server: Server
        self.loop: asyncio.AbstractEventLoop
        self.address: tuple[str, int] | str

    def start(self) -> None:
        self._sock = self._given or _loopback()
        name = self._sock.getsockname()
        self.address = name if isinstance(name, str) else (name[0], name[1])
        self._handlers.start()
        self._thread.start()
        if not self._ready.wait(_STARTED_S):
            raise TimeoutError(f"The server did not start within {_STARTED_S:g} s.")

    def stop(self) -> None:
        """Cut what is left and wait for the thread."""
        self.loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_STARTED_S)
        self._handlers.stop(_STARTED_S)

    def __enter__(self) -> RunningServer:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def call(self, function: Callable[[], T]) -> T:
        """Call ``function`` on the loop and return what it returns."""

        async def called() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(called(), self.loop).result(_STARTED_S)

    def _run(self) -> None:
        self.loop = self._new_loop()
        try:
            self.loop.run_until_complete(self._serve())
        finally:
            self.loop.close()

    async def _serve(self) -> None:
        self._stopping = asyncio.Event()
        self.server = Server(self._app, self.loop, self._handlers, self._limits, self._access_log)
        await self.server.listen(self._sock, self._tls)
        self._ready.set()
        await self._stopping.wait()
        self.server.drain(listening=False)
        await self.server.close()


def _loopback() -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    return sock
