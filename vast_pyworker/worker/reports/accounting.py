"""What every request cost and how it ended: begun once, ended exactly once.

What is here: the counters that reports and /metrics are made of, and the queue of ended requests
the autoscaler is owed. What is not: admission, I/O, logging, the wire's spelling (``wire``).

Totals only ever grow; a report carries the difference to the last acknowledged snapshot. So what
happens while a report is under way is in the next one, and an acknowledgement that comes twice or
never loses nothing.
"""

from __future__ import annotations

import threading
import time
from collections import Counter as Tally
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf

from vast_pyworker.model import Outcome, RequestEnd

from .owed import Owed
from .ticket import Ticket
from .totals import (
    CANCELLED,
    CLIENT_ERROR,
    FINISHED,
    REJECTED,
    SUCCESS,
    UPSTREAM_ERROR,
    WORKER_ERROR,
    Route,
    RouteTotals,
)

SESSION_ROUTE = "/session"
JOURNAL_LENGTH = 256
MAX_ENDS = 20_000  # some 4 MB; an autoscaler that is told of no more has lost count long before


@dataclass(frozen=True)
class Counters:
    """One moment of the accounting; hand it to ``acknowledge`` once it has been delivered.

    Loads are in the backend's units of work. ``cur_load`` is held at this moment, by requests
    outside sessions and by sessions; ``new_load`` (received less cancelled and rejected, never
    below 0), ``rejected_load`` and ``served_load`` count since the last acknowledged snapshot.
    ``requests_received`` and the ``*_total`` fields count since the process began.
    """

    cur_load: float = 0.0
    new_load: float = 0.0
    rejected_load: float = 0.0
    served_load: float = 0.0
    requests_working: int = 0
    requests_received: int = 0
    working_idxs: tuple[int, ...] = ()
    received_total: float = 0.0
    cancelled_total: float = 0.0
    rejected_total: float = 0.0
    served_total: float = 0.0


class Accounting:
    """The books of one worker: thread-safe, no I/O; a request begins and ends without a lock.

    Beginning adds a ticket to those held; ending appends it to a journal. What needs sums posts
    the journal under the one lock; so does whoever ends a request when it has grown long.
    ``progress``, a plain attribute, grows while the model answers.
    """

    def __init__(self, now: Callable[[], float] = time.time, *, max_ends: int = MAX_ENDS) -> None:
        self.now = now
        self.progress = 0
        self._lock = threading.Lock()
        self._held: set[Ticket] = set()
        self._journal: deque[Ticket] = deque()
        self._open_sessions = 0
        self._posted = 0
        self._posted_requests = 0
        self._repriced = 0
        self._routes: dict[str, Route] = {}
        self._acknowledged = Counters()
        self._owed: Owed[Ticket] = Owed(max_ends)

    @property
    def in_flight(self) -> int:
        """Requests held now; open sessions are not among them."""
        return len(self._held) - self._open_sessions

    @property
    def at_model(self) -> int:
        """Requests that were let through to the model and have not ended."""
        return sum(1 for each in tuple(self._held) if each.started_at and not each.is_session)

    @property
    def changes(self) -> int:
        """Grows whenever a report would differ."""
        return 2 * (self._posted + len(self._journal)) + len(self._held) + self._repriced

    @property
    def ends_dropped(self) -> int:
        """Ends given up undelivered because too many were waiting."""
        with self._lock:
            self._post()
            return self._owed.dropped

    def begin(
        self,
        route: str,
        work: float,
        request_idx: int = 0,
        reqnum: object = None,
        session: str | None = None,
    ) -> Ticket:
        """Take a request into the books; the caller owes it exactly one ``end``.

        ``work`` is the estimate, finite and not negative (ValueError otherwise). ``request_idx``
        is the autoscaler's number: give it only once the grant has been verified, for the end of
        the request will be reported under it; 0 for requests the autoscaler did not route.
        ``session`` names the open session a request belongs to: its work is new and served, but
        the autoscaler counts the session, not the requests within.
        """
        if not (work >= 0.0 and work < inf):
            raise ValueError(f"work must be finite and not negative, not {work!r}")
        now = self.now  # called as an attribute it would be taken for a method first
        ticket = Ticket(self, route, work, request_idx, reqnum, session, now())
        self._held.add(ticket)
        return ticket

    def begin_session(self, work: float, *, request_idx: int = 0, reqnum: object = None) -> Ticket:
        """Take an open session into the books: ``work`` is held until the ticket is ended."""
        with self._lock:
            self._open_sessions += 1
        ticket = self.begin(SESSION_ROUTE, work, request_idx=request_idx, reqnum=reqnum)
        ticket.is_session = True
        ticket.started_at = ticket.entered_at
        return ticket

    @contextmanager
    def request(self, route: str, work: float, *, request_idx: int = 0) -> Iterator[Ticket]:
        """A started request as a context: failed on an exception, else finished, unless ended."""
        ticket = self.begin(route, work, request_idx=request_idx)
        ticket.start()
        try:
            yield ticket
        except BaseException:  # whatever the block raised, its request has ended
            ticket.end(Outcome.FAILED, reason=WORKER_ERROR)
            raise
        ticket.end(Outcome.FINISHED)

    def reprice(self, ticket: Ticket, work: float, *, request_idx: int = 0) -> None:
        """A request's work (and number) is known only now: a handler has decided to relay it.

        As if the ticket had been begun with them; nothing where it has ended.
        """
        if not 0.0 <= work < inf:
            raise ValueError(f"work must be finite and not negative, not {work!r}")
        with self._lock:
            if ticket.outcome is None:
                ticket.work = work
                ticket.request_idx = request_idx
                self._repriced += 1

    def take(self) -> Counters:
        """What a report says now."""
        with self._lock:
            everything = self._still_held()
            now = self._totals_now(everything)
        held = [ticket for ticket in everything if ticket.session is None]
        past = self._acknowledged
        received = now.received_total - past.received_total
        cancelled = now.cancelled_total - past.cancelled_total
        rejected = now.rejected_total - past.rejected_total
        return Counters(
            cur_load=float(sum(ticket.work for ticket in held)),
            new_load=max(received - cancelled - rejected, 0.0),
            rejected_load=rejected,
            served_load=now.served_total - past.served_total,
            requests_working=len(held),
            requests_received=now.requests_received,
            working_idxs=tuple(sorted(t.request_idx for t in held if t.request_idx)),
            received_total=now.received_total,
            cancelled_total=now.cancelled_total,
            rejected_total=now.rejected_total,
            served_total=now.served_total,
        )

    def acknowledge(self, counters: Counters) -> None:
        """``counters`` were delivered: what comes next counts from there."""
        self._acknowledged = counters

    def ends(self, limit: int = 1000) -> tuple[RequestEnd, ...]:
        """The oldest ends that the autoscaler has not been told of, at most ``limit``."""
        with self._lock:
            self._post()
            owed = self._owed.peek(limit)
        return tuple([ticket.as_told() for ticket in owed])

    def acknowledge_ends(self, ends: tuple[RequestEnd, ...]) -> None:
        """The latest answer of ``ends()`` was delivered; for the one thread that reports."""
        with self._lock:
            self._owed.settle(len(ends))

    def totals(self) -> dict[str, RouteTotals]:
        """Per route, what has happened since the process began."""
        with self._lock:
            held = Tally(ticket.route for ticket in self._still_held())
            for name in held:
                self._routes.setdefault(name, Route())
            return {name: route.totals(held[name]) for name, route in self._routes.items()}

    def end(
        self,
        ticket: Ticket,
        outcome: Outcome,
        work: float | None = None,
        reason: str = "",
        at: float | None = None,
    ) -> bool:
        """What ``Ticket.end`` does; ``at`` is the time, where the caller has looked just now."""
        if ticket.outcome is not None:
            return False
        ticket.outcome = outcome
        ticket.completed_at = self.now() if at is None else at
        if work is not None:
            ticket.measured = work
        if reason:
            ticket.reason = reason
        if outcome is FINISHED:  # a refusal or a client's impatience is no progress
            self.progress += 1
        # So a ticket is always in one of the two; who looks at both looks at the held first.
        journal = self._journal
        journal.append(ticket)
        self._held.discard(ticket)
        if len(journal) >= JOURNAL_LENGTH or ticket.is_session:
            with self._lock:
                self._post()
        return True

    def _still_held(self) -> list[Ticket]:
        """Everything that has not ended; the journal is posted. The lock is held."""
        held = tuple(self._held)
        self._post()
        return [ticket for ticket in held if not ticket.is_posted]

    def _post(self) -> None:
        """Add what has ended to the totals, each ticket once. The lock is held."""
        by_route: defaultdict[str, list[Ticket]] = defaultdict(list)
        take = self._journal.popleft
        for _ in range(len(self._journal)):
            ticket = take()
            if not ticket.is_posted:  # else two threads ended it in the same moment
                ticket.is_posted = True
                by_route[ticket.route].append(ticket)
        for name, tickets in by_route.items():
            if name not in self._routes:
                self._routes[name] = Route()
            self._routes[name].post(tickets)
            self._posted += len(tickets)
            if name == SESSION_ROUTE:
                self._open_sessions -= sum(ticket.is_session for ticket in tickets)
            within = [ticket for ticket in tickets if ticket.session is not None]
            if within:  # of these the autoscaler is told nothing
                tickets = [ticket for ticket in tickets if ticket.session is None]
            self._posted_requests += len(tickets)
            self._owed.add([ticket for ticket in tickets if ticket.request_idx])

    def _totals_now(self, held: Sequence[Ticket]) -> Counters:
        """Only the cumulative fields; the lock is held."""
        routes = self._routes.values()
        ended_work = sum(route.received for route in routes)
        return Counters(
            requests_received=self._posted_requests + sum(t.session is None for t in held),
            received_total=ended_work + sum(ticket.work for ticket in held),
            cancelled_total=sum(route.work[CANCELLED] for route in routes),
            rejected_total=sum(route.work[REJECTED] for route in routes),
            served_total=sum(route.work[SUCCESS] for route in routes),
        )


__all__ = [
    "CLIENT_ERROR",
    "SESSION_ROUTE",
    "UPSTREAM_ERROR",
    "WORKER_ERROR",
    "Accounting",
    "Counters",
    "Route",
    "RouteTotals",
    "Ticket",
]
