"""The server on one event loop: its connections, pools, routes, threads and clock.

Takes what it needs ready made (sockets, an application, limits) and opens nothing by itself. The
application may carry ``native_routes``: {(method, path): handler}; a handler gets the ``Exchange``
on the loop and must not block. Everything else is called in a thread as WSGI.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import ssl
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.utils import formatdate
from socket import AF_UNIX, socket
from typing import IO, Any, Protocol

from vast_pyworker.errors import BadRequest

from .answer import json_error
from .client import ClientConnection
from .exchange import Exchange
from .head import RequestHead
from .limits import Limits
from .relaying import Relaying
from .threads import HandlerThreads
from .tunnel import Tunnel
from .upstream import Pools
from .wsgi import WSGIApp, WSGICall

log = logging.getLogger(__name__)

NativeHandler = Callable[[Exchange], None]
SWEEP_S = 0.25
_CHECKED_AT_ONCE = 32
_BACKLOG = 4096
_CLOSE_S = 1.0
_LAST_DIGITS = tuple(b"%02x" % number for number in reversed(range(256)))


class AccessLog(Protocol):
    """Who writes the access log: told once per answer, and once per request that was none."""

    def answered(self, exchange: Exchange, seconds: float) -> None: ...

    def refused(self, peer: str, refusal: BadRequest) -> None: ...


class Server:
    """Serves ``app`` until ``stop``; all methods are for the loop's thread."""

    def __init__(
        self,
        app: WSGIApp,
        loop: asyncio.AbstractEventLoop,
        threads: HandlerThreads,
        limits: Limits | None = None,
        access_log: AccessLog | None = None,
    ) -> None:
        self.app = app
        self.loop = loop
        self.limits = limits or Limits()
        self.native: Mapping[tuple[str, str], NativeHandler] = getattr(app, "native_routes", {})
        self.served_while_draining: frozenset[str] = getattr(
            app, "served_while_draining", frozenset()
        )
        self.connections: set[ClientConnection] = set()
        self.draining = False
        self.replaced = False  # while draining: a successor listens on the same sockets
        self.now = loop.time()
        self.idle_until = self.now + self.limits.idle_s  # of who has been answered just now
        self.date_line = b""
        self._threads = threads
        self.access_log = access_log
        self.pools = Pools(loop)
        self._listeners: list[asyncio.AbstractServer] = []
        self._id_blocks = map((os.urandom(4).hex().encode() + b"-%x").__mod__, itertools.count())
        self._request_ids: list[bytes] = []
        self._unchecked: list[ClientConnection] = []
        self._sweep = loop.call_soon(self._tick)
        self._date_at = 0

    async def listen(self, sock: socket, tls: ssl.SSLContext | None) -> None:
        """Accept connections from a socket that is bound already."""
        make = self._connection
        options: dict[str, Any] = {"sock": sock, "ssl": tls, "backlog": _BACKLOG}
        if tls is not None:
            options["ssl_handshake_timeout"] = self.limits.head_s
        listener: asyncio.AbstractServer
        if sock.family == AF_UNIX:
            if sys.version_info >= (3, 13):
                options["cleanup_socket"] = False  # the path belongs to whoever has bound it
            listener = await self.loop.create_unix_server(make, **options)
        else:
            listener = await self.loop.create_server(make, **options)
        self._listeners.append(listener)

    def _connection(self) -> ClientConnection:
        return ClientConnection(self)

    @property
    def relayings(self) -> list[Relaying | Tunnel]:
        """The requests that are being relayed at this moment."""
        exchanges = (c.exchange for c in self.connections)
        return [e.relaying for e in exchanges if e is not None and e.relaying is not None]

    def new_request_id(self) -> bytes:
        if not self._request_ids:  # a block at a time: one by one takes twice as long
            block = next(self._id_blocks)
            self._request_ids = [block + digits for digits in _LAST_DIGITS]
        return self._request_ids.pop()

    def opened(self, connection: ClientConnection) -> None:
        self.connections.add(connection)
        if len(self.connections) > self.limits.connections:
            connection.refuse(BadRequest(503, "This server has no connection left; try another."))

    def closed(self, connection: ClientConnection) -> None:
        self.connections.discard(connection)

    def dispatch(
        self, client: ClientConnection, head: RequestHead, body: IO[bytes] | bytes
    ) -> None:
        """Give a whole request to its native handler, or to the application in a thread."""
        started_at = self.now if self.access_log is None else self.loop.time()
        request_id = head.request_id or self.new_request_id()
        exchange = client.exchange = Exchange(
            client, head, body, request_id, started_at, head.closes
        )
        if self.draining and head.path not in self.served_while_draining:
            self._refuse(exchange, 503, "This server is shutting down; try another.")
            return
        whose, handler = head.handler
        if whose is not self:
            handler = self.native.get(head.route)
            head.handler = (self, handler)
        if handler is None:
            self.call_app(exchange)
            return
        try:
            handler(exchange)
        except Exception:  # a handler's fault is one request's, not the server's
            log.exception("The native handler of %s %s failed.", head.method, head.path)
            self._refuse(exchange, 500, "The handler failed; the worker's log says why.")

    def call_app(self, exchange: Exchange) -> None:
        call = WSGICall(self.app, exchange, self.loop, self.date_line)
        if not self._threads.submit(WSGICall.run, call):
            self._refuse(exchange, 503, "All handler threads are busy and their queue is full.")

    def _refuse(self, exchange: Exchange, status: int, message: str) -> None:
        if exchange.status:
            exchange.cut(gently=False)
            return
        headers = (("Content-Type", "application/json"), ("Retry-After", "1"))
        depth = self._threads.waiting
        body = json_error(message, queue_depth=depth, estimated_wait_s=None)
        exchange.respond(status, headers, body)

    def log_access(self, exchange: Exchange) -> None:
        if self.access_log is not None:
            self.access_log.answered(exchange, self.loop.time() - exchange.started_at)

    def log_refusal(self, connection: ClientConnection, refusal: BadRequest) -> None:
        if self.access_log is not None:
            self.access_log.refused(connection.peer, refusal)

    def _tick(self) -> None:
        """Four times a second: the coarse clock, the Date header, everything that waits."""
        self._sweep = self.loop.call_later(SWEEP_S, self._tick)
        now = self.now = self.loop.time()
        self.idle_until = now + self.limits.idle_s
        wall = int(time.time())
        if wall != self._date_at:
            self._date_at = wall
            self.date_line = f"Date: {formatdate(wall, usegmt=True)}\r\n".encode()
        for pool in self.pools.values():
            pool.sweep(now)
        self._unchecked = list(self.connections)
        self._check_some()

    def _check_some(self) -> None:
        """Check so many that nobody waits for it; the others after what has come meanwhile."""
        unchecked = self._unchecked
        for _ in range(min(len(unchecked), _CHECKED_AT_ONCE)):
            try:
                unchecked.pop().check(self.now)
            except Exception:  # an observer's fault must not stop the clock of all the others
                log.exception("A connection could not be checked.")
        if unchecked:
            self.loop.call_soon(self._check_some)

    def drain(self, *, listening: bool) -> None:
        """Begin no request any more, close idle connections, and each other one after its answer.

        ``listening``: new requests are still heard, and turned down with 503, so that a client
        is told to go elsewhere; False where a successor listens on the same sockets.
        """
        self.draining = True
        if not listening:
            self._stop_listening()
        for connection in tuple(self.connections):
            connection.close_if_idle()

    async def drained(self, deadline_s: float) -> bool:
        """Wait until every request is answered; False where the deadline came first."""
        end = self.loop.time() + deadline_s
        while self._busy() and self.loop.time() < end:
            await asyncio.sleep(0.02)
        self._stop_listening()
        return not self._busy()

    def _busy(self) -> bool:
        return any(connection.busy or connection.unsent for connection in self.connections)

    def _stop_listening(self) -> None:
        while self._listeners:
            self._listeners.pop().close()

    async def close(self) -> None:
        """Cut what is left, and return once everybody has been told."""
        self._stop_listening()
        self._sweep.cancel()
        self._unchecked = []
        for relaying in self.relayings:
            if isinstance(relaying, Relaying):
                relaying.interrupt("This server is shutting down; try another.")
        for connection in tuple(self.connections):
            with suppress(AttributeError):  # asyncio's TLS of 3.11.2 where it is closed already
                connection.transport.abort()
        end = self.loop.time() + _CLOSE_S
        while self.connections and self.loop.time() < end:
            await asyncio.sleep(0.01)
        for pool in self.pools.values():
            pool.close()
        await asyncio.sleep(0)
