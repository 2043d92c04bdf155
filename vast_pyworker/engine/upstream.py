"""Connections to a model server: a pool of idle ones, each carrying one request at a time.

What goes over them is the business of ``relaying``. There is no cap on open connections: who may
send is decided before, by admission.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from .plan import Origin
from .response_head import ResponseHead

# Shorter than the 5 s after which uvicorn and cpp-httplib close an idle connection, so that a
# request is not written into one that is being closed.
IDLE_S = 4.0
MOST_IDLE = 256
# A model server may hold a thread for each connection: one to spare is kept only of one that
# has shown that it takes this many.
SPARE_FROM = 8


class Carried(Protocol):
    """What a connection carries: one request waiting for, or receiving, its answer."""

    def feed(self, data: bytes) -> None: ...

    def lost(self, exc: Exception | None) -> None: ...

    def upstream_paused(self, paused: bool) -> None: ...


class UpstreamConnection(asyncio.Protocol):
    """One connection to the model server."""

    __slots__ = (
        "carried",
        "head",
        "head_bytes",
        "head_length",
        "idle_since",
        "on_made",
        "pool",
        "transport",
        "whole",
    )

    transport: asyncio.Transport

    def __init__(
        self, pool: Pool, on_made: Callable[[UpstreamConnection], None] | None = None
    ) -> None:
        self.pool = pool
        self.on_made = on_made
        self.carried: Carried | None = None
        self.idle_since = 0.0  # by the server's clock; 0.0 before its first answer
        # Of the answer before, for the next is likely to have the same, and the same length.
        self.head_bytes = b""
        self.head: ResponseHead | None = None
        self.head_length = 0
        self.whole = -1

    @property
    def unsent(self) -> int:
        """Bytes of the request that the model server has not taken yet."""
        return self.transport.get_write_buffer_size()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.pool.open += 1
        on_made, self.on_made = self.on_made, None
        if on_made is not None:
            on_made(self)

    def data_received(self, data: bytes) -> None:
        carried = self.carried
        if carried is not None:
            carried.feed(data)
        else:  # an answer to nothing: the framing cannot be trusted any more
            self.pool.forget(self)
            self.transport.abort()

    def eof_received(self) -> None:
        """No request may go this way any more; ``connection_lost`` follows."""
        self.pool.forget(self)

    def connection_lost(self, exc: Exception | None) -> None:
        carried, self.carried = self.carried, None
        self.pool.open -= 1
        self.pool.forget(self)
        if carried is not None:
            carried.lost(exc)

    def pause_writing(self) -> None:
        if self.carried is not None:
            self.carried.upstream_paused(True)

    def resume_writing(self) -> None:
        if self.carried is not None:
            self.carried.upstream_paused(False)

    def remember(self, head_bytes: bytes, head: ResponseHead) -> None:
        """An answer came whole, under this head."""
        self.head_bytes, self.head = head_bytes, head
        self.head_length = len(head_bytes)
        self.whole = self.head_length + head.whole

    def release(self) -> None:
        """The answer is complete and nothing came after it: the connection may be used again."""
        self.carried = None
        pool = self.pool
        self.idle_since = pool.now
        pool.idle.append(self)

    def drop(self) -> None:
        """Give up the connection, and with it whatever the model server does for it."""
        self.carried = None
        self.transport.abort()


class Pool:
    """Connections to one origin: ``open`` counts them, ``idle`` are those free for use, the last
    used one last."""

    def __init__(self, origin: Origin, loop: asyncio.AbstractEventLoop) -> None:
        self.origin = origin
        self._loop = loop
        self._dialling: asyncio.Task[None] | None = None
        self.open = 0
        self.idle: list[UpstreamConnection] = []
        self.now = loop.time()

    def __len__(self) -> int:
        return len(self.idle)

    async def dial(self, on_made: Callable[[UpstreamConnection], None]) -> None:
        """Make a new connection, which ``on_made`` gets as soon as it is open; raises OSError."""
        origin, loop = self.origin, self._loop

        def make() -> UpstreamConnection:
            return UpstreamConnection(self, on_made)

        if origin.unix_path is not None:
            await loop.create_unix_connection(make, origin.unix_path)
        else:
            await loop.create_connection(make, origin.host, origin.port, ssl=origin.tls)

    def keep_spare(self) -> None:
        """The last idle connection is taken: dial one for whoever comes next, where many come."""
        if self.open >= SPARE_FROM and self._dialling is None:
            self._dialling = self._loop.create_task(self._dial_spare())

    async def _dial_spare(self) -> None:
        try:
            await self.dial(UpstreamConnection.release)
        except OSError:
            pass  # whoever needs one dials again, and is told
        finally:
            self._dialling = None

    def forget(self, connection: UpstreamConnection) -> None:
        if connection.idle_since and connection in self.idle:
            self.idle.remove(connection)

    def sweep(self, now: float) -> None:
        """Called four times a second: close what is idle for too long, or one too many."""
        self.now = now
        idle = self.idle
        while idle and (len(idle) > MOST_IDLE or now - idle[0].idle_since > IDLE_S):
            idle.pop(0).transport.close()  # the oldest

    def close(self) -> None:
        if self._dialling is not None:
            self._dialling.cancel()
        while self.idle:
            self.idle.pop().transport.abort()


class Pools(dict[Origin, Pool]):
    """The pools of one loop, by origin; each is made when it is first asked for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop

    def __missing__(self, origin: Origin) -> Pool:
        pool = self[origin] = Pool(origin, self._loop)
        return pool
