"""``forward(...)``: a handler that passes requests to the model server without entering Flask.

Anywhere else (another WSGI server, a test client, a call from a handler) it is an ordinary
``(backend, request)`` handler that returns a ``Relay``; what it does is the same.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from msgspec import Raw

from vast_pyworker.engine import Exchange, RelayPlan
from vast_pyworker.errors import Refused
from vast_pyworker.model import Outcome
from vast_pyworker.worker.reports.accounting import Ticket
from vast_pyworker.worker.state import Worker
from vast_pyworker.worker.units.work import PAYLOADLESS, Calculator, Work

from .admission import Gate
from .envelope import open_envelope, read_object
from .grants import JSON, TICKET, book, is_json, request_idx_of, worker_of
from .passage import Passage
from .refusals import answer_of
from .relay import Relay

_NOTHING: dict[str, Any] = {}
_JSON_HEADER = ((b"Content-Type", b"application/json"),)


@dataclass(frozen=True)
class Forward:
    """A declared route: what ``forward`` was called with. Callable as a 2024 handler."""

    path: str
    method: str
    workload: Calculator | None
    concurrency: int | None
    max_queue: int | None
    max_queue_time: float | None
    signed: bool

    def __call__(self, backend: Any, request: Any) -> Any:
        worker = worker_of(request.environ)
        route = worker.parts["forwards"].route_of(self, request.method, request.path)
        return route.enter_from_flask(request)


def forward(
    path: str,
    *,
    method: str = "POST",
    workload: Calculator | None = None,
    concurrency: int | None = None,
    max_queue: int | None = None,
    max_queue_time: float | None = None,
    signed: bool = True,
) -> Forward:
    """A handler that relays to ``path`` on the model server.

    ``workload`` tells a payload's units of work (default: the Backend's own, else 100). At most
    ``concurrency`` requests run at once (default: they share the Backend's places), at most
    ``max_queue`` wait (default MAX_QUEUE), and none that would wait more than ``max_queue_time``
    seconds (default QUEUE_TIMEOUT; 0: any wait). ``signed`` routes want a grant or an API key.
    """
    if concurrency is not None and concurrency < 1:
        raise ValueError(f"forward({path!r}): concurrency is {concurrency}; use 1 or more.")
    return Forward(path, method, workload, concurrency, max_queue, max_queue_time, signed)


class ForwardRoute:
    """A ``Forward`` bound to a worker: the native handler of one method and path."""

    def __init__(self, worker: Worker, spec: Forward, name: str) -> None:
        self.name = name
        self.spec = spec
        self.signed = spec.signed
        self.has_payload = spec.method not in PAYLOADLESS
        self.work = Work(spec.workload, worker.backend, has_payload=self.has_payload)
        self.gate = _gate_of(worker, spec)
        worker.gates[name] = self.gate
        self.plan = self._plan(worker, ())
        self.json_plan = self._plan(worker, _JSON_HEADER)
        self._worker = worker

    def _plan(self, worker: Worker, headers: tuple[tuple[bytes, bytes], ...]) -> RelayPlan:
        return RelayPlan(
            worker.origin,
            self.spec.path,
            method=self.spec.method,
            headers=headers,
            timeouts=worker.timeouts,
            keep_tail=self.work.measures,
        )

    def take(self, exchange: Exchange) -> None:
        """The native handler: everything that must be known about a request, on the loop."""
        head, body = exchange.head, exchange.body_file
        if type(body) is not bytes:
            body = exchange.body
        try:
            passage = self.admit(body, head.content_type, head.authorization)
        except Refused as exc:
            exchange.respond(*answer_of(exc))
            return
        passage.begin(exchange)

    def enter_from_flask(self, request: Any) -> Relay:
        """The same from inside Flask: check here, let the ``Relay`` do the rest."""
        environ, kind = request.environ, request.content_type
        sent = kind.encode("latin-1", "replace") if kind else None
        authorization = environ.get("HTTP_AUTHORIZATION")
        ticket = environ.pop(TICKET, None)  # there is one where a handler calls this one
        return Relay.of_passage(self.admit(request.get_data(), sent, authorization, ticket))

    def admit(
        self,
        body: bytes | Raw,
        kind: bytes | None,
        authorization: str | None,
        ticket: Ticket | None = None,
    ) -> Passage:
        """Check a request and book it: its payload goes on as it came, without the grant.

        ``kind`` is its Content-Type; what is not JSON is passed on unopened. ``ticket`` is given
        where the request is in the books already. Raises Refused.
        """
        worker = self._worker
        request_idx = 0
        session_id = None
        payload = _NOTHING
        plan = self.plan
        try:
            if kind == JSON or not kind or not body or is_json(kind):
                envelope = open_envelope(body)
                session_id = envelope.session_id
                sent = envelope.sent
                payload = read_object(sent)
                if self.signed:
                    worker.gatekeeper.check(envelope, authorization)
                    grant = envelope.grant
                    if grant is not None and type(grant.request_idx) is int:
                        request_idx = grant.request_idx
                    else:
                        request_idx = request_idx_of(envelope.auth)
                if not self.has_payload:
                    payload = _NOTHING
                if body:
                    body = sent
                    if not kind:
                        plan = self.json_plan
            elif self.signed:
                worker.gatekeeper.check_grant(None, authorization)
            if session_id is not None:
                worker.sessions.touch(session_id)
            units = self.work.before(payload)
        except Refused:
            if ticket is None:
                worker.accounting.begin(
                    self.name, 0.0, request_idx=request_idx, session=session_id
                ).end(Outcome.REJECTED)
            raise
        if ticket is None:
            # By position, which is cheaper than by name.
            ticket = worker.accounting.begin(self.name, units, request_idx, None, session_id)
        else:
            book(worker, ticket, units, request_idx, session_id)
        return Passage(worker, ticket, plan, self.gate, self.work, payload, body)


class ForwardRoutes:
    """The declared routes of one worker, by method and path."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._routes: dict[tuple[str, str], ForwardRoute] = {}
        self._by_spec: dict[int, ForwardRoute] = {}
        self._lock = threading.Lock()

    def add(self, spec: Forward, method: str, path: str) -> ForwardRoute:
        """Declare a route; its name is its path, with the method where that is taken."""
        name = f"{method} {path}" if path in self._worker.gates else path
        route = self._routes[method, path] = ForwardRoute(self._worker, spec, name)
        self._by_spec.setdefault(id(spec), route)
        return route

    def route_of(self, spec: Forward, method: str, path: str) -> ForwardRoute:
        """The route a request came by; one made on the spot for a Forward called directly."""
        declared = self._routes.get((method, path))
        if declared is not None and declared.spec is spec:
            return declared
        known = self._by_spec.get(id(spec))
        if known is not None:
            return known
        with self._lock:
            made = self._by_spec.get(id(spec))
            if made is None:
                made = self.add(spec, "CALL", spec.path)
            return made


def _gate_of(worker: Worker, spec: Forward) -> Gate:
    own = (spec.concurrency, spec.max_queue, spec.max_queue_time)
    if own == (None, None, None):
        return worker.gate
    settings = worker.settings
    return Gate(
        spec.concurrency or worker.gate.concurrency,
        settings.max_queue if spec.max_queue is None else spec.max_queue,
        settings.queue_timeout_s if spec.max_queue_time is None else spec.max_queue_time,
    )
