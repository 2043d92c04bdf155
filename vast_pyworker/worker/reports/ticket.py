"""One request while it is held: when it passed each station, and the one way to end it.

What is here: the record a handler carries. What is not: the books it is entered in
(``accounting``), through which alone tickets are made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vast_pyworker.model import Outcome

if TYPE_CHECKING:
    from .accounting import Accounting


class Ticket:
    """One request (or one open session) while it is held; made by ``Accounting.begin``.

    Times are Unix seconds, 0.0 for not yet. Every method may be called from any thread.
    """

    __slots__ = (
        "_books",
        "completed_at",
        "entered_at",
        "first_byte_at",
        "is_posted",
        "is_session",
        "measured",
        "outcome",
        "reason",
        "reqnum",
        "request_idx",
        "route",
        "session",
        "started_at",
        "work",
    )

    def __init__(self, books: Accounting, route: str, work: float, request_idx: int) -> None:
        self._books = books
        self.route = route
        self.work = work
        self.request_idx = request_idx
        self.reqnum: object = None
        self.session: str | None = None
        self.is_session = False
        self.entered_at = books.now()
        self.started_at = 0.0
        self.first_byte_at = 0.0
        self.completed_at = 0.0
        self.outcome: Outcome | None = None
        self.measured: float | None = None
        self.reason = ""
        self.is_posted = False

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
        return self._books._end(self, outcome, work, reason)
