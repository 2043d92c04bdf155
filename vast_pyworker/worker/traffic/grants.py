"""A request's body opened and its caller checked, for Flask handlers and declared routes alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Request
from flask import request as flask_request

from vast_pyworker.engine.environ import EXCHANGE
from vast_pyworker.errors import Invalid
from vast_pyworker.worker.reports.accounting import Ticket
from vast_pyworker.worker.state import Worker
from vast_pyworker.worker.units.work import DEFAULT_WORK, Work

from .envelope import Envelope, Grant, open_envelope

ENVELOPE = "pyworker.envelope"
TICKET = "pyworker.ticket"
WORKER = "pyworker.worker"
JSON = b"application/json"


def worker_of(environ: Mapping[str, Any]) -> Worker:
    """The worker that serves the request of this WSGI environment."""
    worker: Worker = environ[WORKER]
    return worker


def current_worker() -> Worker:
    """The worker that serves the request in hand, inside a Flask handler."""
    return worker_of(flask_request.environ)


def open_request(worker: Worker, request: Request, *, signed: bool) -> Envelope:
    """The request's envelope, checked where ``signed``, its session prolonged; raises Refused.

    A body that is not JSON is not opened: it has no grant, and its payload is empty.
    """
    environ, body = request.environ, _body_of(request)
    if body and is_json(request.content_type):
        envelope = worker.gatekeeper.open_envelope(body)
    else:
        envelope = Envelope.bare(body, {})
    if signed:
        worker.gatekeeper.check(envelope, environ.get("HTTP_AUTHORIZATION"))
    if envelope.session_id is not None:
        worker.sessions.touch(envelope.session_id)
    ticket = environ.get(TICKET)
    if ticket is not None:
        ticket.request_idx = request_idx_of(envelope.grant or envelope.auth) if signed else 0
        ticket.session = envelope.session_id
    environ[ENVELOPE] = envelope
    return envelope


def units_of(work: Work, request: Request) -> float:
    """What a request to a handler of one's own is worth, as far as that can be told before it.

    A payload that the Backend's ``workload`` cannot read is worth what any request is: the handler
    may take what a calculator made for another route does not.
    """
    if not work.reads_payload:
        return work.before({})
    try:
        body = _body_of(request)
        payload = open_envelope(body).payload if is_json(request.content_type) else {}
        return work.before(payload)
    except Invalid:
        return DEFAULT_WORK


def _body_of(request: Request) -> bytes:
    """The whole body; where the engine has it also after the handler has parsed it as a form.

    A large one is a file there, which is not to be closed while the handler may parse it still.
    """
    exchange = request.environ.get(EXCHANGE)
    if exchange is not None and isinstance(exchange.body_file, bytes):
        return exchange.body_file
    return request.get_data()


def book(
    worker: Worker, ticket: Ticket, work: float, request_idx: int, session_id: str | None
) -> None:
    """Enter what a request turned out to be in the ticket that it has already."""
    if session_id is not None:
        ticket.session = session_id
    worker.accounting.reprice(ticket, work, request_idx=request_idx)


def is_json(kind: str | bytes | None) -> bool:
    """Whether a Content-Type is JSON's, or there is none: such a body may hold a grant."""
    if not kind or kind == JSON:
        return True
    sent = kind.encode("latin-1", "replace") if isinstance(kind, str) else kind
    return sent.partition(b";")[0].strip().lower() == JSON


def signed_payload(request: Request) -> dict[str, Any]:
    """The payload of a request whose grant or API key was found good; empty unless it is JSON.

    For handlers of one's own: ``return Relay("/generate", json=signed_payload(request))``. What is
    not good is answered with 401 or 422 as on any declared route.
    """
    return open_request(worker_of(request.environ), request, signed=True).payload


def request_idx_of(auth: Grant | Mapping[str, Any] | None) -> int:
    """The autoscaler's number of a request whose grant was verified; 0 for none."""
    if isinstance(auth, Grant):
        number = auth.request_idx
    else:
        number = auth.get("request_idx", 0) if auth else 0
    return number if type(number) is int else 0  # True is an int too, but no number
