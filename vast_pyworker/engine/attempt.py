"""One request's connection to the model server: taken from the pool or dialled, given back or not.

A connection that was idle may have died unnoticed; the request is then sent once more. What comes
back over it is the business of ``relaying``, which builds on this.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from .limits import FOREVER
from .plan import RelayObserver, RelayPlan
from .upstream import Pool, UpstreamConnection

if TYPE_CHECKING:
    from .exchange import Exchange
    from .server import Server

# What is waited for, one after the other.
CONNECT, FIRST_BYTE, MORE = "connect", "first byte", "more of the answer"

_IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))
# A pooled connection that dies this soon after a request was written to it was being closed
# already; later, the model server may have begun the work, and a second try would do it twice.
# Measured by the server's clock, which ticks four times a second.
_STALE_S = 0.25
# A request of no more than this is out of our hands before its answer can be here.
SENT_AT_ONCE = 64 * 1024


class Attempt(msgspec.Struct, eq=False):  # a Struct is made in a third of a class's time
    """Base of ``Relaying``: how a request gets out. All calls are on the loop."""

    _exchange: Exchange
    _plan: RelayPlan
    _request: bytes
    _observer: RelayObserver
    _server: Server
    _began_at: float  # by the server's clock, as is
    _since: float  # when the present wait began
    _paused: bool
    _waiting_for: str = FIRST_BYTE
    _limit_s: float = 0.0  # 0.0: the plan's, for a first byte
    _connection: UpstreamConnection | None = None
    _dialling: asyncio.Task[None] | None = None
    _over: bool = False
    _retried: bool = False

    __repr__ = object.__repr__  # a Struct's own shows its fields: no log is to hold a request

    def feed(self, data: bytes) -> None:
        raise NotImplementedError

    def lost(self, exc: Exception | None) -> None:
        raise NotImplementedError

    def upstream_paused(self, paused: bool) -> None:
        raise NotImplementedError

    def _fail(self, status: int, message: str) -> None:
        raise NotImplementedError

    def start(self) -> None:
        """Send over the idle connection used last, or over a new one."""
        pool = self._server.pools[self._plan.origin]
        idle = pool.idle
        if idle:
            connection = idle.pop()
            self._send_over(connection)
            if self._paused:
                connection.transport.pause_reading()
        else:
            self._dial(pool)
        if not idle:
            pool.keep_spare()

    def _send_over(self, connection: UpstreamConnection) -> None:
        self._connection = connection
        connection.carried = self
        connection.transport.write(self._request)

    def _dial(self, pool: Pool) -> None:
        self._wait_for(CONNECT, self._plan.timeouts.connect_s)
        self._dialling = self._server.loop.create_task(self._dialled(pool))

    async def _dialled(self, pool: Pool) -> None:
        try:
            await pool.dial(self._reached)
        except OSError as exc:
            reason = exc.strerror or str(exc) or type(exc).__name__
            self._dialling = None
            self._fail(502, f"The model server at {pool.origin} cannot be reached: {reason}.")

    def _reached(self, connection: UpstreamConnection) -> None:
        """There is a connection; not after a turn of the loop more, when the task learns of it."""
        self._dialling = None
        if self._over:
            connection.drop()
        else:
            self._wait_for(FIRST_BYTE, self._plan.timeouts.first_byte_s)
            self._send_over(connection)
            if self._paused:  # not yet: a loop begins to read after this, whatever was asked before
                self._server.loop.call_soon(self._hold_back, connection)

    def _hold_back(self, connection: UpstreamConnection) -> None:
        if self._paused and self._connection is connection:
            connection.transport.pause_reading()

    def _wait_for(self, what: str, limit_s: float) -> None:
        """A new wait begins; ``limit_s`` 0: for as long as it takes."""
        self._waiting_for = what
        self._since = self._server.now
        self._limit_s = limit_s or FOREVER

    def _retry(self, connection: UpstreamConnection) -> None:
        self._retried = True
        self._dial(connection.pool)

    def _is_stale(self, connection: UpstreamConnection) -> bool:
        if self._retried or not connection.idle_since:
            return False
        soon = self._server.now - self._since < _STALE_S
        return soon or self._plan.method in _IDEMPOTENT

    def _give_back(self, reusable: bool) -> None:
        """The answer is complete: keep the connection for the next request, or close it."""
        connection = self._connection
        if connection is None:
            return
        # The model server may answer before it has taken all of the request.
        if reusable and (len(self._request) <= SENT_AT_ONCE or not connection.unsent):
            if self._paused:
                connection.transport.resume_reading()
            connection.release()
        else:
            connection.drop()

    def _release_upstream(self) -> None:
        if self._dialling is not None:
            self._dialling.cancel()
            self._dialling = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.drop()
