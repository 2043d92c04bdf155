"""``Relay``: an answer that a Flask handler returns and the model server gives.

Under the engine the handler's thread is free as soon as the handler has returned: the loop carries
the request and its answer. Under any other WSGI server the same object streams in the thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from flask import Response

from vast_pyworker.engine import RelayPlan
from vast_pyworker.engine.environ import EXCHANGE, HANDLER
from vast_pyworker.errors import Refused
from vast_pyworker.model import Outcome

from .fallback import stream
from .grants import ENVELOPE, current_worker, request_idx_of
from .passage import Passage
from .refusals import answer_of
from .state import Worker
from .work import Calculator, Work

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

TICKET = "pyworker.ticket"
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
        super().__init__()
        self._path = path
        self._payload = json
        self._data = data.encode() if isinstance(data, str) else data
        self._method = method.upper()
        self._sent_headers = headers
        self._workload = workload
        self._passage: Passage | None = None

    @classmethod
    def of_passage(cls, passage: Passage) -> Relay:
        """For a request that is checked and booked already."""
        relay = cls(passage.plan.target)
        relay._passage = passage
        return relay

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        worker = current_worker()
        try:
            passage = self._passage or self._book(worker, environ)
        except Refused as exc:
            status, headers, body = answer_of(exc)
            return Response(body, status, headers)(environ, start_response)
        if EXCHANGE not in environ:
            return stream(worker, passage, environ, start_response)
        environ[HANDLER] = passage.begin
        return ()

    def _book(self, worker: Worker, environ: WSGIEnvironment) -> Passage:
        envelope = environ.get(ENVELOPE)
        name = environ.get("PATH_INFO", self._path)
        payload, body = self._body(environ)
        plan, work = _plan_and_work(worker, self)
        accounting = worker.accounting
        ticket = environ.pop(TICKET, None) or accounting.begin(name, 0.0)
        try:
            units = _units(self._workload, work, payload)
        except Refused:
            ticket.end(Outcome.REJECTED)
            raise
        accounting.reprice(
            ticket, units, request_idx=request_idx_of(envelope.auth if envelope else None)
        )
        return Passage(worker, ticket, plan, worker.gate, work, payload, body)

    def _body(self, environ: WSGIEnvironment) -> tuple[Mapping[str, Any], bytes]:
        payload = self._payload
        if payload is not None:
            return payload if isinstance(payload, Mapping) else {}, msgspec.json.encode(payload)
        if self._data is not None:
            return {}, self._data
        envelope = environ.get(ENVELOPE)
        if envelope is None:
            file = environ["wsgi.input"]
            length = int(environ.get("CONTENT_LENGTH") or 0)
            return {}, file.read(length) if length else b""
        return envelope.payload, envelope.payload_bytes


def _units(workload: float | Calculator | None, work: Work, payload: Mapping[str, Any]) -> float:
    if isinstance(workload, int | float):
        return work.checked(workload)
    return work.before(payload)


def _plan_and_work(worker: Worker, relay: Relay) -> tuple[RelayPlan, Work]:
    """Plan and calculator of this kind of relay; remembered where only the body differs."""
    calculator = relay._workload if callable(relay._workload) else None
    has_json = relay._payload is not None
    key = (relay._path, relay._method, calculator, has_json)
    known: dict[Any, tuple[RelayPlan, Work]] = worker.parts.setdefault("relays", {})
    if relay._sent_headers is None and key in known:
        return known[key]
    work = Work(calculator, worker.backend, has_payload=relay._method not in ("GET", "HEAD"))
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
