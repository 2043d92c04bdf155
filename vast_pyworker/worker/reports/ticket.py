"""One request while it is held: when it passed each station, and the one way to end it.

What is here: the record a handler carries. What is not: the books it is entered in
(``accounting``), through which alone tickets are made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from vast_pyworker.model import Outcome, RequestEnd

if TYPE_CHECKING:
    from .accounting import Accounting

FINISHED, FAILED = Outcome.FINISHED, Outcome.FAILED  # looked up once: an enum is slow at it


class Ticket(msgspec.Struct, eq=False, gc=False):
    """One request (or one open session) while it is held; made by ``Accounting.begin``.

    Times are Unix seconds, 0.0 for not yet. Every method may be called from any thread. The
    garbage collector need not look at it: the books let go of it when it has ended.
    """

    _books: Accounting
    route: str
    work: float
    request_idx: int
    reqnum: object
    session: str | None
    entered_at: float
    started_at: float = 0.0
    first_byte_at: float = 0.0
    completed_at: float = 0.0
    outcome: Outcome | None = None
    measured: float | None = None
    reason: str = ""
    is_session: bool = False
    is_posted: bool = False

    def start(self) -> None:
        """The request has left the queue and goes to the model."""
        if not self.started_at:
            self.started_at = self._books.now()

    def first_byte(self) -> None:
        """The first byte of the model's answer is here."""
        if not self.first_byte_at:
            books = self._books
            self.first_byte_at = books.now()
            books.progress += 1

    def touch(self) -> None:
        """The model has moved on: a byte, a token, a step. The watchdog watches this."""
        self._books.progress += 1

    def end(self, outcome: Outcome, *, work: float | None = None, reason: str = "") -> bool:
        """Close the request; True for the first call, False (and nothing done) for later ones.

        ``work`` is the measured work of a finished request, where it is known; it replaces the
        estimate in what counts as served. ``reason`` refines the outcome for /metrics: a model's
        4xx is finished with ``CLIENT_ERROR`` (and serves nothing), a fault of our own is failed
        with ``WORKER_ERROR``; any other failure is the model's.
        """
        return self._books.end(self, outcome, work, reason)

    def as_told(self) -> RequestEnd:
        """What the autoscaler is told of a request that has ended."""
        outcome = self.outcome
        assert outcome is not None, "only ended tickets are owed"
        was_done = outcome is FINISHED or outcome is FAILED
        completed_at = self.completed_at if was_done else 0.0
        return RequestEnd(self.request_idx, outcome, self.entered_at, self.started_at, completed_at)
