"""One request's way through the worker: booked, let in, relayed, settled; ended exactly once.

The same for declared routes and for handlers that return a ``Relay``. Everything here runs on the
engine's loop; ``fallback`` does the same in a thread where there is no engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from vast_pyworker.engine import Exchange, RelayEnd, RelayPlan
from vast_pyworker.errors import Full, Gone, Refused
from vast_pyworker.model import Outcome
from vast_pyworker.worker.reports.accounting import CLIENT_ERROR, Ticket
from vast_pyworker.worker.state import Worker
from vast_pyworker.worker.units.work import Work

from .admission import Gate
from .refusals import answer_of, not_ready

Payload = Mapping[str, Any]
_NOTHING: Payload = {}
FINISHED, CANCELLED = Outcome.FINISHED, Outcome.CANCELLED  # looked up once: an enum is slow at it


def cancel_within(session_id: str, passages: Collection[Passage]) -> None:
    """Cancel the requests within a session that is closed; from any thread."""
    for passage in tuple(passages):
        if passage.ticket.session == session_id:
            passage.cancel_soon()


def cancel_request(request_id: str, passages: Collection[Passage]) -> bool:
    """Cancel the request of this id, the last of several, from any thread; False: there is none.

    Looked through one by one: nothing is kept by id for what is asked for this rarely.
    """
    wanted = request_id.encode("latin-1", "replace")
    found = [passage for passage in tuple(passages) if passage.request_id == wanted]
    if not found:
        return False
    max(found, key=lambda passage: passage.ticket.entered_at).cancel_soon()
    return True


class Passage(msgspec.Struct, eq=False):
    """A request that is booked and checked, and then on its way to the model server and back.

    ``payload`` is what ``work`` measures the answer by; ``body`` what the model server gets. Under
    the engine ``begin`` starts it, once; elsewhere ``fallback`` carries it.
    """

    _worker: Worker
    ticket: Ticket
    plan: RelayPlan
    gate: Gate
    work: Work
    payload: Payload
    body: bytes | msgspec.Raw
    _exchange: Exchange = None  # type: ignore[assignment]  # until it begins
    _alarm: asyncio.TimerHandle | None = None

    __repr__ = object.__repr__  # a Struct's own shows its fields: no log is to hold a prompt

    @property
    def request_id(self) -> bytes:
        """The id of a request that has begun."""
        return self._exchange.request_id

    def begin(self, exchange: Exchange) -> None:
        """Go on, wait, or be turned down with an answer."""
        worker, ticket = self._worker, self.ticket
        self._exchange = exchange
        if exchange.over:  # the client left while a handler ran
            ticket.end(CANCELLED)
            return
        if not worker.readiness.accepting:
            self.turn_down(not_ready(worker.readiness))
            return
        worker.passages.add(self)
        if ticket.session is not None and ticket.session not in worker.sessions:
            self.turn_down(Gone("invalid session"))  # closed between the check and here
            return
        try:
            goes_on = self.gate.enter(self)
        except Full as exc:
            self.turn_down(exc)
            return
        if goes_on:
            ticket.started_at = ticket.entered_at
            exchange.relay(self.plan, self.body, self)
        else:
            self._wait()

    def _wait(self) -> None:
        exchange = self._exchange
        exchange.on_gone = self.left_queue
        if self.gate.max_queue_time_s:
            self._alarm = exchange.later(self.gate.max_queue_time_s, self.waited_too_long)

    def granted(self) -> None:
        """A place is free and taken for this request."""
        self._silence_alarm()
        self.ticket.start()
        self._exchange.relay(self.plan, self.body, self)

    def waited_too_long(self) -> None:
        self._alarm = None
        if self.gate.give_up(self):
            self.turn_down(self.gate.full("No place became free in time; try another worker."))

    def left_queue(self) -> None:
        """The client left while the request was waiting."""
        self._silence_alarm()
        if self.gate.give_up(self):
            self._end(CANCELLED)

    def turn_down(self, refused: Refused) -> None:
        self._end(Outcome.REJECTED)
        self._exchange.on_gone = None
        self._exchange.respond(*answer_of(refused))

    def cancel(self) -> None:
        """Stop this request by somebody's wish: as if its client had left."""
        self._exchange.cancel()

    def cancel_soon(self) -> None:
        """The same from any thread."""
        self._exchange.call_soon(self.cancel)

    def on_head(self, status: int) -> None:
        """The answer comes in pieces and may take long: let go of what is not needed for it."""
        self.ticket.first_byte()
        self.body = b""
        if not self.plan.keep_tail:
            self.payload = _NOTHING

    def on_progress(self) -> None:
        self._worker.accounting.progress += 1

    def on_end(self, end: RelayEnd) -> None:
        outcome, status = end.outcome, end.status
        worker, ticket = self._worker, self.ticket
        books = worker.accounting
        held_s = work = at = None
        reason = ""
        if outcome is FINISHED:
            if status is None or status >= 400:
                reason = CLIENT_ERROR
            elif status != 101:  # how long a WebSocket was open tells nothing about a request
                # The model has answered: what that took, and what it was worth.
                now = books.now
                at = now()
                held_s = at - ticket.started_at
                if end.tail:
                    work = self.work.after(self.payload, end.tail)
        self.gate.leave(held_s)
        worker.passages.discard(self)
        books.end(ticket, outcome, work, reason, at)
        if outcome is CANCELLED:
            self._tell_cancelled()

    def _end(self, outcome: Outcome) -> None:
        """End a request that was never relayed."""
        self._worker.passages.discard(self)
        self.ticket.end(outcome)

    def _tell_cancelled(self) -> None:
        tell = self._worker.on_cancelled
        if tell is not None:
            tell(self.request_id.decode("latin-1"))

    def _silence_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
