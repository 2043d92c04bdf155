"""The running totals of one route: counts and work by how requests ended, and three durations.

What is here: adding up. What is not: a lock (the accounting holds one), what a report says of the
totals (``accounting``), their exposition (``metrics``).
"""

from __future__ import annotations

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
_GATHERED = 1000
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
    """The totals while they grow; the accounting calls, one thread at a time.

    Durations are put into their histograms when somebody asks, or when many have gathered: the
    one who ends a request need not wait for that.
    """

    __slots__ = (
        "_duration",
        "_first_byte",
        "_queue_wait",
        "_untimed",
        "received",
        "requests",
        "work",
    )

    def __init__(self) -> None:
        self.received = 0.0
        self.requests = dict.fromkeys(LABELS, 0)
        self.work = dict.fromkeys(LABELS, 0.0)
        self._untimed: list[Ticket] = []
        self._duration = Histogram()
        self._queue_wait = Histogram()
        self._first_byte = Histogram()

    def end(self, ticket: Ticket, label: str, measured: float | None) -> None:
        """Add an ended request; ``measured`` replaces its estimate in what it was worth."""
        estimate = ticket.work
        self.received += estimate
        self.requests[label] += 1
        is_known = measured is not None and 0.0 <= measured < inf
        self.work[label] += measured if is_known else estimate  # type: ignore[operator]
        if label != REJECTED and not ticket.is_session:
            self._untimed.append(ticket)
            if len(self._untimed) >= _GATHERED:
                self._time()

    def totals(self, in_progress: int) -> RouteTotals:
        """A frozen copy."""
        self._time()
        return RouteTotals(
            in_progress,
            dict(self.requests),
            dict(self.work),
            self._duration.snapshot(),
            self._queue_wait.snapshot(),
            self._first_byte.snapshot(),
        )

    def _time(self) -> None:
        """Put the durations gathered so far into the histograms."""
        gathered, self._untimed = self._untimed, []
        entered = [(t, t.entered_at) for t in gathered]
        self._duration.observe_all(t.completed_at - at for t, at in entered)
        self._queue_wait.observe_all(t.started_at - at for t, at in entered if t.started_at)
        self._first_byte.observe_all(t.first_byte_at - at for t, at in entered if t.first_byte_at)
