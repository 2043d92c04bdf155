"""The worker's own routes, for people, probes, the autoscaler and the 2024 log watch.

A backend's routes win where they have the same name. Off loopback each of these wants a token,
except those that carry their own proof (sessions, reports of the log watch).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from http.client import HTTPException
from typing import Any

from flask import Flask, Response, jsonify, request

from vast_pyworker import __version__
from vast_pyworker.errors import Invalid

from .openapi import build_openapi
from .reports.metrics import CONTENT_TYPE
from .state import Worker
from .traffic.grants import open_request
from .traffic.passage import cancel_request
from .traffic.refusals import not_ready

BUILT_IN_ROUTES = {
    "/pyworker/status": "State, reason, load, queues, capacity, GPU and host, as JSON.",
    "/pyworker/metrics": "Everything measured, for Prometheus; also at /metrics.",
    "/pyworker/metrics/upstream": "The model server's own metrics; also at /metrics/upstream.",
    "/pyworker/openapi.json": "The backend's and the worker's routes as OpenAPI 3.1.",
    "/pyworker/livez": "Liveness probe; also at /livez.",
    "/pyworker/readyz": "Readiness probe; also at /readyz.",
    "/pyworker/startupz": "Startup probe; also at /startupz.",
    "/pyworker/update": "Ask for an update of the worker at its next start (master token).",
    "/pyworker/drain": "Take no more requests; those in flight finish.",
    "/pyworker/requests/<request_id>": "DELETE cancels a request by its X-Request-ID.",
    "/session/create": "Open a session (signed).",
    "/session/get": "Look at an open session.",
    "/session/health": "Ask whether a session is open.",
    "/session/end": "Close a session.",
    "/report_loading": "The 2024 log watch saw the model begin to load (master token).",
    "/report_loaded": "The 2024 log watch saw the model loaded (master token).",
    "/report_capacity": "The 2024 log watch read the model's capacity (master token).",
    "/report_done": "The 2024 log watch saw a request done (master token).",
    "/report_error": "The 2024 log watch saw a fatal error (master token).",
}
REPORTS = ("loading", "loaded", "capacity", "done", "error")

View = Callable[..., Any]
Adder = Callable[[str, str, View], None]


def add_built_in_routes(app: Flask, worker: Worker, claimed: set[tuple[str, str]]) -> None:
    """Add every route of ``BUILT_IN_ROUTES`` that the backend has not claimed; probes are apart."""

    def add(method: str, path: str, view: View) -> None:
        if (method, path) not in claimed:
            app.add_url_rule(path, endpoint=f"{method} {path}", view_func=view, methods=[method])

    _add_views_of_state(add, worker)
    _add_commands(add, worker)
    _add_sessions(add, worker)
    _add_reports(add, worker)


def _add_views_of_state(add: Adder, worker: Worker) -> None:
    def status() -> Any:
        _check_caller(worker)
        return jsonify(status_document(worker))

    def metrics() -> Response:
        _check_caller(worker)
        return Response(worker.render_metrics(), content_type=CONTENT_TYPE)

    def openapi() -> Any:
        _check_caller(worker)
        return jsonify(build_openapi(worker.loaded, BUILT_IN_ROUTES))

    def upstream() -> Any:
        _check_caller(worker)
        if worker.upstream_metrics is None:
            return {"error": "The backend has no gauges_path: nobody knows where they are."}, 404
        try:
            return Response(worker.upstream_metrics(), content_type=CONTENT_TYPE)
        except (OSError, HTTPException) as exc:
            return {"error": f"The model server does not tell ({exc or type(exc).__name__})."}, 502

    add("GET", "/pyworker/status", status)
    add("GET", "/pyworker/openapi.json", openapi)
    for path in ("/pyworker/metrics", "/metrics"):
        add("GET", path, metrics)
        add("GET", f"{path}/upstream", upstream)


def _add_commands(add: Adder, worker: Worker) -> None:
    def update() -> Any:
        worker.gatekeeper.check_master_token(request.headers.get("Authorization"))
        mark = worker.update_mark
        try:
            mark.touch()
        except OSError as exc:
            reason = f"{mark} cannot be written ({exc.strerror}); make its folder writable."
            return {"error": reason}, 500
        return {"ok": True}

    def drain() -> Any:
        _check_caller(worker)
        worker.readiness.draining("the operator has asked for it")
        return {"ok": True, "in_flight": worker.accounting.in_flight}, 202

    def cancel(request_id: str) -> Any:
        _check_caller(worker)
        if not cancel_request(request_id, worker.passages):
            return {"error": f"No request {request_id!r} is on its way here."}, 404
        return {"ok": True}, 202

    add("POST", "/pyworker/update", update)
    add("POST", "/pyworker/drain", drain)
    add("DELETE", "/pyworker/requests/<request_id>", cancel)


def _add_sessions(add: Adder, worker: Worker) -> None:
    def create() -> Any:
        envelope = open_request(worker, request, signed=True)
        if not worker.readiness.accepting:
            raise not_ready(worker.readiness)
        created = worker.sessions.create(envelope.auth or {}, envelope.payload)
        return created, 201

    def one(name: str) -> View:
        def view() -> Any:
            body = request.get_json(silent=True)
            if not isinstance(body, dict):
                raise Invalid("invalid JSON")
            return getattr(worker.sessions, name)(body.get("session_id"), body.get("session_auth"))

        return view

    add("POST", "/session/create", create)
    for name in ("get", "health", "end"):
        add("POST", f"/session/{name}", one(name))


def _add_reports(add: Adder, worker: Worker) -> None:
    """What the 2024 log watch posts: to the Backend's metrics, and as evidence of readiness."""

    def report(kind: str) -> View:
        def view() -> Any:
            body = request.get_json(silent=True)
            if not isinstance(body, dict):
                raise Invalid("invalid JSON")
            worker.gatekeeper.check_master_token(body.get("mtoken"))
            metrics = getattr(worker.backend, "metrics", None)
            name = "report_req_stats" if kind == "done" else f"report_{kind}"
            name = "report_batch_capacity" if kind == "capacity" else name
            tell = getattr(metrics, name, None)
            if callable(tell):
                tell(body)
            if worker.evidence is not None:
                worker.evidence(kind, body)
            return f"Reported {kind}"

        return view

    for kind in REPORTS:
        add("POST", f"/report_{kind}", report(kind))


def status_document(worker: Worker) -> dict[str, Any]:
    """What ``/pyworker/status`` shows; JSON values only, nothing secret."""
    accounting = worker.accounting
    document = {
        "version": __version__,
        "backend": worker.loaded.name,
        "url": worker.settings.url,
        **worker.readiness.document(),
        "requests": {
            "in_flight": accounting.in_flight,
            "routes": {
                name: {
                    "running": gate.running,
                    "queued": gate.queued,
                    "concurrency": gate.concurrency,
                    "max_queue": gate.max_queue,
                    "estimated_wait_s": gate.estimated_wait_s(),
                }
                for name, gate in tuple(worker.gates.items())
            },
        },
    }
    return document | {name: tell() for name, tell in worker.status.items()}


def _check_caller(worker: Worker) -> None:
    """Let in who is on this machine; anybody else needs a token."""
    if not _is_local():
        worker.gatekeeper.check_token(request.headers.get("Authorization"))


def _is_local() -> bool:
    """Whether the caller is on this machine and speaks for nobody else."""
    if request.headers.get("X-Forwarded-For") or request.headers.get("Forwarded"):
        return False
    try:
        return ipaddress.ip_address(request.remote_addr or "127.0.0.1").is_loopback
    except ValueError:
        return False
