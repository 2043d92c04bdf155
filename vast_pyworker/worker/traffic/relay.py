"""``Relay``: an answer that a Flask handler returns and the model server gives.

Under the engine the handler's thread is free as soon as the handler has returned: the loop carries
the request and its answer. Under any other WSGI server the same object streams in the thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from flask import Response, request

from vast_pyworker.engine import RelayPlan
from vast_pyworker.engine.environ import EXCHANGE, HANDLER
from vast_pyworker.errors import Refused
from vast_pyworker.model import Outcome
from vast_pyworker.worker.reports.accounting import WORKER_ERROR, Ticket
from vast_pyworker.worker.state import Worker
from vast_pyworker.worker.units.work import PAYLOADLESS, Calculator, Work

from .envelope import Envelope
from .fallback import stream
from .grants import ENVELOPE, TICKET, book, open_request, worker_of
from .passage import Passage
from .refusals import answer_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_REMEMBERED = 256
_JSON = ((b"Content-Type", b"application/json"),)


class Relay(Response):
    """Pass the request in hand on to ``path`` of the model server and its answer to the client.

    The body is ``json`` (any JSON value), else ``data`` (bytes), else the client's own payload
    without its grant. ``headers`` are set in place of the client's. ``workload`` is the request's
    work in units or a calculator; default: the Backend's own. Who may call is the handler's
    business: see ``signed_payload``.
    """

    def __init__(
        self,
        path: str,
        *,
        json: Any = None,
        data: bytes | str | None = None,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        workload: float | Calculator | None = None,
    ) -> None:
        # Not yet a Response: one that the engine answers is never asked for headers or a body,
        # and making those costs more than the rest of the relay. See __getattr__.
        self._path = path
        self._payload = json
        self._data = data.encode() if isinstance(data, str) else data
        self._method = method.upper()
        self._sent_headers = headers
        self._workload = workload
        self._passage: Passage | None = None

    def __getattr__(self, name: str) -> Any:
        """Become a whole Response when something of one is asked for."""
        if "_is_whole" in self.__dict__ or name.startswith("__"):
            raise AttributeError(name)
        self._is_whole = True
        super().__init__()
        return getattr(self, name)

    @classmethod
    def of_passage(cls, passage: Passage) -> Relay:
        """For a request that is checked and booked already."""
        relay = cls(passage.plan.target)
        relay._passage = passage
        return relay

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        worker = worker_of(environ)
        try:
            passage = self._passage or self._booked(worker, environ)
        except Refused as exc:
            status, headers, body = answer_of(exc)
            return Response(body, status, headers)(environ, start_response)
        if EXCHANGE not in environ:
            return stream(worker, passage, environ, start_response)
        environ[HANDLER] = passage.begin
        return ()

    def _booked(self, worker: Worker, environ: WSGIEnvironment) -> Passage:
        """The passage of the request in hand; its ticket is ended where there can be none."""
        ticket: Ticket = environ.get(TICKET) or worker.accounting.begin(self._path, 0.0)
        try:
            passage = self._passage_for(worker, environ, ticket)
        except Refused:
            worker.accounting.reprice(ticket, 0.0)  # as on a declared route
            ticket.end(Outcome.REJECTED)
            raise
        except BaseException:  # a fork's calculator or a body cut short: the books are kept
            ticket.end(Outcome.FAILED, reason=WORKER_ERROR)
            raise
        environ.pop(TICKET, None)
        return passage

    def _passage_for(self, worker: Worker, environ: WSGIEnvironment, ticket: Ticket) -> Passage:
        payload, body = self._body(worker, environ)
        has_json = self._payload is not None or (
            self._data is None and body != b"" and not environ.get("CONTENT_TYPE")
        )
        plan, work = _plan_and_work(worker, self, has_json)
        units = _units(self._workload, work, payload)
        book(worker, ticket, units, ticket.request_idx, ticket.session)
        return Passage(worker, ticket, plan, worker.gate, work, payload, body)

    def _body(self, worker: Worker, environ: WSGIEnvironment) -> tuple[Mapping[str, Any], bytes]:
        payload = self._payload
        if payload is not None:
            return payload if isinstance(payload, Mapping) else {}, msgspec.json.encode(payload)
        if self._data is not None:
            return {}, self._data
        envelope: Envelope = environ.get(ENVELOPE) or open_request(worker, request, signed=False)
        has_payload = self._method not in PAYLOADLESS
        return (envelope.payload if has_payload else {}), envelope.payload_bytes


def _units(workload: float | Calculator | None, work: Work, payload: Mapping[str, Any]) -> float:
    if isinstance(workload, int | float):
        return work.checked(workload)
    return work.before(payload)


def _plan_and_work(worker: Worker, relay: Relay, has_json: bool) -> tuple[RelayPlan, Work]:
    """Plan and calculator of this kind of relay; remembered where only the body differs."""
    calculator = relay._workload if callable(relay._workload) else None
    key = (relay._path, relay._method, calculator, has_json)
    known: dict[Any, tuple[RelayPlan, Work]] = worker.parts.setdefault("relays", {})
    if relay._sent_headers is None and key in known:
        return known[key]
    work = Work(calculator, worker.backend, has_payload=relay._method not in PAYLOADLESS)
    shared = relay._sent_headers is None and len(known) < _REMEMBERED
    sent = _encoded(relay._sent_headers or {})
    plan = RelayPlan(
        worker.origin,
        relay._path,
        method=relay._method,
        headers=(*sent, *(_JSON if has_json and not _names_type(sent) else ())),
        timeouts=worker.timeouts,
        keep_tail=work.measures,
        shared=shared,
    )
    if shared:
        known[key] = plan, work
    return plan, work


def _encoded(headers: Mapping[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((n.encode("latin-1"), v.encode("latin-1")) for n, v in headers.items())


def _names_type(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name.lower() == b"content-type" for name, _ in headers)
