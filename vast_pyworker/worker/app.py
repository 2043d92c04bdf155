"""The worker's Flask application: a backend's routes, the built-in ones, refusals as answers.

Builds; starts nothing. Under the engine ``forward`` routes and the probes are answered on the loop,
everything else in a thread.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Response, current_app, request
from flask.wrappers import Request
from werkzeug.exceptions import HTTPException

from vast_pyworker.engine import Exchange, Limits, NativeHandler, Server
from vast_pyworker.engine.environ import REQUEST_ID
from vast_pyworker.errors import BackendError, Refused
from vast_pyworker.model import Outcome

from . import jsonlog
from .built_in import add_built_in_routes
from .contract.loading import Handler
from .lean_flask import LeanFlask
from .reports.accounting import WORKER_ERROR
from .reports.probes import PROBE_PATHS, PROBES, probe_answer
from .state import EXTENSION, Worker
from .traffic.forwarding import Forward, ForwardRoutes
from .traffic.grants import TICKET, WORKER, units_of
from .traffic.plain_answers import end_by_status, follow, status_of
from .traffic.refusals import answer_of
from .traffic.relay import Relay
from .traffic.request_ids import with_request_id
from .units.work import PAYLOADLESS, Work

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_TOLD_WHILE_DRAINING = frozenset(("/metrics", "/pyworker/metrics", "/pyworker/status"))


LAST_WORDS_S = 12.0
"""What the last report and the backend's teardown may take after the last request."""


class WorkerApp(LeanFlask):
    """Flask with what the engine looks for: native routes, limits, hooks of its life."""

    native_routes: dict[tuple[str, str], NativeHandler]
    limits: Limits

    def __init__(self, worker: Worker) -> None:
        super().__init__("vast_pyworker", static_folder=None)
        settings = worker.settings
        self.extensions[EXTENSION] = worker
        self.native_routes = {}
        self.limits = Limits(
            body_bytes=settings.max_body_bytes, connections=settings.max_connections
        )
        self.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
        self.served_while_draining = PROBE_PATHS
        self.last_words_s = LAST_WORDS_S
        self.on_serving: Callable[[Server], None] | None = None
        self.on_draining: Callable[[Server], None] | None = None
        self.on_stopped: Callable[[Server], None] | None = None

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[WORKER] = self.extensions[EXTENSION]
        if REQUEST_ID in environ:  # in a thread of the engine's, which serves one after the other
            jsonlog.request_id.set(environ[REQUEST_ID])
            return super().wsgi_app(environ, start_response)
        start_response = with_request_id(environ, start_response)
        token = jsonlog.request_id.set(environ[REQUEST_ID])
        try:
            return super().wsgi_app(environ, start_response)
        finally:
            jsonlog.request_id.reset(token)


def create_app(worker: Worker) -> WorkerApp:
    """The application that serves ``worker``; a backend's own routes win over built-in ones."""
    app = WorkerApp(worker)
    forwards = worker.parts["forwards"] = ForwardRoutes(worker)
    claimed: set[tuple[str, str]] = set()
    for method, endpoints in worker.loaded.flask_dict.items():
        for endpoint, handler in endpoints.items():
            path = "/" + endpoint.lstrip("/")
            claimed.add((method.upper(), path))
            _add_route(app, worker, forwards, method.upper(), path, handler)
    app.served_while_draining |= _TOLD_WHILE_DRAINING - {path for _, path in claimed}
    add_built_in_routes(app, worker, claimed)
    _add_probes(app, worker, claimed)
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(HTTPException, _http_error)
    return app


def _add_route(
    app: WorkerApp,
    worker: Worker,
    forwards: ForwardRoutes,
    method: str,
    path: str,
    handler: Handler,
) -> None:
    name = f"{method} {path}"
    if isinstance(handler, Forward):
        route = forwards.add(handler, method, path)
        if "<" not in path:
            app.native_routes[method, path] = route.take
            # It turns requests down by itself, and says how long the queue is.
            app.served_while_draining |= {path}
    view = _view(worker, method, path, handler)
    try:
        app.add_url_rule(path, endpoint=name, view_func=view, methods=[method])
    except (ValueError, LookupError, SyntaxError) as exc:
        file = worker.loaded.directory / "backend.py"
        raise BackendError(f"{file}: {name} is no route that Flask knows: {exc}.") from exc


def _view(worker: Worker, method: str, path: str, handler: Handler) -> Callable[..., Any]:
    """A 2024 handler as a Flask view, booked from the call to the end of its answer."""
    backend = worker.backend
    work = Work(None, backend, has_payload=method not in PAYLOADLESS)
    if isinstance(handler, Forward):
        return lambda **_: handler(backend, request._get_current_object())  # type: ignore[attr-defined]

    def view(**_: Any) -> Any:
        asked = request._get_current_object()  # type: ignore[attr-defined]
        ticket = asked.environ[TICKET] = worker.accounting.begin(path, units_of(work, asked))
        try:
            answer = handler(backend, asked)
            if not isinstance(answer, Response):
                answer = current_app.make_response(answer)
        except Refused:
            worker.accounting.reprice(ticket, 0.0)  # a stranger turned away is no load
            ticket.end(Outcome.REJECTED)
            raise
        except HTTPException as exc:
            end_by_status(ticket, status_of(exc))
            raise
        except BaseException:  # a fork's handler: whatever it raised, its request has ended
            ticket.end(Outcome.FAILED, reason=WORKER_ERROR)
            raise
        if not isinstance(answer, Relay):  # a relay ends its ticket itself
            follow(ticket, answer)
        return answer

    return view


def _add_probes(app: WorkerApp, worker: Worker, claimed: set[tuple[str, str]]) -> None:
    """Probes are answered on the loop: busy threads must never look like a dead worker."""
    for name in PROBES:
        for path in (f"/pyworker/{name}", f"/{name}"):
            if ("GET", path) in claimed:
                continue

            def native(exchange: Exchange, name: str = name) -> None:
                exchange.respond(*probe_answer(worker, name))

            def view(name: str = name) -> Response:
                status, headers, body = probe_answer(worker, name)
                return Response(body, status, headers)

            app.native_routes["GET", path] = native
            app.add_url_rule(path, endpoint=f"GET {path}", view_func=view, methods=["GET"])


def _refused(refused: Refused) -> Response:
    status, headers, body = answer_of(refused)
    return Response(body, status, headers)


def _http_error(error: HTTPException) -> Response | HTTPException:
    """Werkzeug's own answers, as JSON where the client sent or wants JSON."""
    if error.response is not None or not _wants_json(request):
        return error
    body = json.dumps({"error": f"{error.name}: {error.description}"})
    headers = [(n, v) for n, v in error.get_headers() if n.lower() != "content-type"]
    return Response(body, error.code, headers, mimetype="application/json")


def _wants_json(asked: Request) -> bool:
    return asked.is_json or asked.accept_mimetypes.best == "application/json"
