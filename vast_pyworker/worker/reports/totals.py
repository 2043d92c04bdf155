"""The running totals of one route: counts and work by how requests ended, and three durations.

What is here: adding up. What is not: a lock (the accounting holds one), what a report says of the
totals (``accounting``), their exposition (``metrics``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from vast_pyworker.model import Outcome

from .histogram import Distribution, Histogram

if TYPE_CHECKING:
    from .ticket import Ticket

SUCCESS = "success"
CLIENT_ERROR = "client_error"
UPSTREAM_ERROR = "upstream_error"
WORKER_ERROR = "worker_error"
CANCELLED = "cancelled"
REJECTED = "rejected"
FINISHED, FAILED = Outcome.FINISHED, Outcome.FAILED  # looked up once: an enum is slow at it
LABELS = (SUCCESS, CLIENT_ERROR, UPSTREAM_ERROR, WORKER_ERROR, CANCELLED, REJECTED)


def label_of(outcome: Outcome, reason: str) -> str:
    """One of ``LABELS``: the outcome, refined by a reason that fits it."""
    if outcome is FINISHED:
        return CLIENT_ERROR if reason == CLIENT_ERROR else SUCCESS
    if outcome is FAILED:
        return WORKER_ERROR if reason == WORKER_ERROR else UPSTREAM_ERROR
    return CANCELLED if outcome is Outcome.CANCELLED else REJECTED


@dataclass(frozen=True)
class RouteTotals:
    """What one route has done since the process began.

    ``requests`` and ``work`` map each of ``LABELS`` to a count and to units of work. The
    durations leave out rejected requests; each runs from the moment a request was begun.
    """

    in_progress: int
    requests: dict[str, int]
    work: dict[str, float]
    duration_s: Distribution
    queue_wait_s: Distribution
    first_byte_s: Distribution


class Route:
    """The totals while they grow; the accounting posts to them, one thread at a time."""

    __slots__ = (
        "_duration",
        "_first_byte",
        "_queue_wait",
        "received",
        "requests",
        "work",
    )

    def __init__(self) -> None:
        self.received = 0.0
        self.requests = dict.fromkeys(LABELS, 0)
        self.work = dict.fromkeys(LABELS, 0.0)
        self._duration = Histogram()
        self._queue_wait = Histogram()
        self._first_byte = Histogram()

    def post(self, tickets: Sequence[Ticket]) -> None:
        """Add ended requests; measured work replaces the estimate in what their outcome counts."""
        # How long those took that never waited, and whose answers came whole.
        durations = [
            ticket.completed_at - ticket.entered_at
            for ticket in tickets
            if ticket.outcome is FINISHED
            and ticket.started_at == ticket.entered_at
            and not ticket.first_byte_at
            and ticket.measured is None
            and not ticket.reason
            and not ticket.is_session
        ]
        count = len(durations)
        if count < len(tickets):
            self._post_each(tickets)
            return
        work = sum([ticket.work for ticket in tickets])
        self.received += work
        self.requests[SUCCESS] += count
        self.work[SUCCESS] += work
        self._duration.observe(durations)
        self._queue_wait.observe([0.0] * count)
        self._first_byte.observe(durations)  # each has no other first byte than its last

    def _post_each(self, tickets: Sequence[Ticket]) -> None:
        timed: list[Ticket] = []
        for ticket in tickets:
            outcome, work = ticket.outcome, ticket.work
            label = SUCCESS
            if outcome is not FINISHED or ticket.reason:
                label = label_of(outcome or FAILED, ticket.reason)
            self.received += work
            self.requests[label] += 1
            measured = ticket.measured
            if measured is not None and outcome is FINISHED and 0.0 <= measured < inf:
                work = measured
            self.work[label] += work
            if label != REJECTED and not ticket.is_session:
                timed.append(ticket)
        self._time(timed)

    def totals(self, in_progress: int) -> RouteTotals:
        """A frozen copy."""
        return RouteTotals(
            in_progress,
            dict(self.requests),
            dict(self.work),
            self._duration.snapshot(),
            self._queue_wait.snapshot(),
            self._first_byte.snapshot(),
        )

    def _time(self, tickets: Sequence[Ticket]) -> None:
        self._duration.observe([t.completed_at - t.entered_at for t in tickets])
        started = [ticket for ticket in tickets if ticket.started_at]
        self._queue_wait.observe([t.started_at - t.entered_at for t in started])
        self._first_byte.observe(
            [(t.first_byte_at or t.completed_at) - t.entered_at for t in started]
        )
