"""After ``101 Switching Protocols``: bytes both ways, whatever they mean, until one side ends.

Takes the place of the ``Relaying`` that got the 101. Knows no waits: a WebSocket may be silent for
hours. Each side is read no faster than the other takes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vast_pyworker.model import Outcome

from .plan import RelayEnd, RelayObserver
from .upstream import UpstreamConnection

if TYPE_CHECKING:
    from .exchange import Exchange


class Tunnel:
    """One client's tunnel to the model server. Ends exactly once; all calls are on the loop."""

    _active = False
    _over = False

    def __init__(
        self, exchange: Exchange, connection: UpstreamConnection, observer: RelayObserver
    ) -> None:
        self._exchange = exchange
        self._connection = connection
        self._observer = observer

    def open(self, top: bytes) -> None:
        """Answer ``top`` (the 101 and what came after it), then pass on what comes."""
        exchange = self._exchange
        self._connection.carried = self
        exchange.relaying = self
        exchange.begin(101, close=True)
        exchange.write(top)
        exchange.client.open_tunnel(self._connection.transport.write)

    def feed(self, data: bytes) -> None:
        self._active = True
        self._exchange.write(data)

    def lost(self, exc: Exception | None) -> None:
        """The model server closed its side: so is the client's, after what was written."""
        if exc is None:
            self._end(Outcome.FINISHED, "")
            self._exchange.cut(gently=True)
        else:
            self._end(Outcome.FAILED, "The model server's connection broke.")
            self._exchange.cut(gently=False)

    def cancel(self) -> None:
        """The client closed its side."""
        if not self._over:
            self._connection.drop()
            self._end(Outcome.FINISHED, "")

    def pause(self, paused: bool) -> None:
        transport = self._connection.transport
        if paused:
            transport.pause_reading()
        else:
            transport.resume_reading()

    def upstream_paused(self, paused: bool) -> None:
        self._exchange.client.pause_reading(paused)

    def check(self, now: float) -> None:
        """Called four times a second: tell of progress."""
        if self._active:
            self._active = False
            self._observer.on_progress()

    def _end(self, outcome: Outcome, error: str) -> None:
        self._over = True
        exchange = self._exchange
        exchange.relaying = None
        self._observer.on_end(RelayEnd(outcome, 101, b"", error))
