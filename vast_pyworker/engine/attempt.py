"""One request's connection to the model server: taken from the pool or dialled, given back or not.

A connection that was idle may have died unnoticed; the request is then sent once more. What comes
back over it is the business of ``relaying``, which builds on this.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .plan import RelayPlan
from .upstream import Pool, UpstreamConnection

if TYPE_CHECKING:
    from .server import Server

FOREVER = float("inf")

_IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))
# A pooled connection that dies this soon after a request was written to it was being closed
# already; later, the model server may have begun the work, and a second try would do it twice.
# Measured by the server's clock, which ticks four times a second.
_STALE_S = 0.25
# A request of no more than this is out of our hands before its answer can be here.
_SENT_AT_ONCE = 64 * 1024


class Attempt:
    """Base of ``Relaying``: how a request gets out. All calls are on the loop."""

    __slots__ = (
        "_connection",
        "_deadline",
        "_dialling",
        "_over",
        "_paused",
        "_plan",
        "_request",
        "_retried",
        "_sent_at",
        "_server",
        "_waiting_for",
    )

    def __init__(self, plan: RelayPlan, request: bytes, server: Server) -> None:
        self._plan = plan
        self._request = request
        self._server = server
        self._connection: UpstreamConnection | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._paused = False
        self._over = False
        self._retried = False
        self._waiting_for = "connect"
        self._sent_at = 0.0
        self._deadline = FOREVER

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
        pool = self._server.pool(self._plan.origin)
        while pool.idle:
            connection = pool.idle.pop()
            if not connection.transport.is_closing():
                self._send(connection)
                return
        self._dial(pool)

    def _dial(self, pool: Pool) -> None:
        self._waiting_for = "connect"
        self._deadline = self._server.now + (self._plan.timeouts.connect_s or FOREVER)
        self._dialling = self._server.loop.create_task(self._dialled(pool))

    async def _dialled(self, pool: Pool) -> None:
        try:
            connection = await pool.dial()
        except OSError as exc:
            reason = exc.strerror or str(exc) or type(exc).__name__
            self._dialling = None
            self._fail(502, f"The model server at {pool.origin} cannot be reached: {reason}.")
            return
        self._dialling = None
        if self._over:
            connection.drop()
        else:
            self._send(connection)

    def _send(self, connection: UpstreamConnection) -> None:
        self._connection = connection
        connection.carried = self
        now = self._sent_at = self._server.now
        self._waiting_for = "first byte"
        wait = self._plan.timeouts.first_byte_s
        self._deadline = now + wait if wait else FOREVER
        if self._paused:
            connection.transport.pause_reading()
        connection.transport.write(self._request)

    def _retry(self, connection: UpstreamConnection) -> None:
        self._retried = True
        self._dial(connection.pool)

    def _is_stale(self, connection: UpstreamConnection) -> bool:
        if self._retried or not connection.reused:
            return False
        soon = self._server.now - self._sent_at < _STALE_S
        return soon or self._plan.method in _IDEMPOTENT

    def _give_back(self, reusable: bool) -> None:
        """The answer is complete: keep the connection for the next request, or close it."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        # The model server may answer before it has taken all of the request.
        if reusable and (len(self._request) <= _SENT_AT_ONCE or not connection.unsent):
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
