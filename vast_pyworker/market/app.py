"""The market as a Flask application: its blueprints, and answers to what none of them takes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from .api import (
    account,
    actions,
    billing,
    instances,
    operator,
    renting,
    results,
    serverless,
    ssh_keys,
    templates,
)
from .api.door import Door, Route
from .api.parts import Parts
from .calls import guard, shapes
from .calls.limits import RateLimits
from .faults.answer_faults import AnswerFaults
from .faults.book import FaultBook
from .faults.row_faults import RowFaults
from .refusal import MarketRefusal

log = logging.getLogger(__name__)

FAMILIES: Sequence[tuple[str, str, Callable[[Parts], list[Route]]]] = (
    ("renting", "/api/v0", renting.routes),
    ("instances", "/api/v0", instances.routes),
    ("instances_v1", "/api/v1", instances.v1_routes),
    ("actions", "/api/v0", actions.routes),
    ("ssh_keys", "/api/v0", ssh_keys.routes),
    ("templates", "/api/v0", templates.routes),
    ("templates_v1", "/api/v1", templates.v1_routes),
    ("account", "/api/v0", account.routes),
    ("billing", "/api/v0", billing.routes),
    ("billing_v1", "/api/v1", billing.v1_routes),
    ("serverless", "/api/v0", serverless.routes),
    ("autoscaler", "", serverless.autoscaler_routes),
    ("results", "", results.routes),
)


@dataclass(frozen=True)
class Conduct:
    """How the application behaves beside the market. ``limits`` None: as often as you like.

    ``sleep`` is where latency is spent and ``wall`` real epoch seconds; ``any_host``: names other
    than this machine's own may be asked for.
    """

    book: FaultBook
    limits: RateLimits | None
    sleep: Callable[[float], None]
    wall: Callable[[], float]
    seed: int = 0
    any_host: bool = False


def build_app(parts: Parts, conduct: Conduct) -> Flask:
    """The WSGI application. Starts nothing."""
    app = Flask("vast_pyworker.market", static_folder=None)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    rows = RowFaults(seed=conduct.seed, now=parts.now)
    faults = AnswerFaults(conduct.book, rows, sleep=conduct.sleep, wall=conduct.wall)
    door = Door(parts.accounts, faults, conduct.limits)
    for name, prefix, routes in FAMILIES:
        app.register_blueprint(door.blueprint(name, routes(parts)), url_prefix=prefix or None)
    app.register_blueprint(operator.blueprint(parts, conduct.book))
    _answer_the_rest(app, parts)

    @app.before_request
    def only_ours() -> Response | None:
        refusal = guard.foreign(request, any_host=conduct.any_host)
        return None if refusal is None else shapes.refused(refusal)

    return app


def _answer_the_rest(app: Flask, parts: Parts) -> None:
    """Unknown paths, wrong methods and the market's own faults, in the service's shapes."""

    def failed(error: Exception) -> Response:
        if isinstance(error, NotFound):
            parts.unknown_paths.seen(request.method, request.path)
            return shapes.refused(shapes.unknown_path(request.path))
        if isinstance(error, MethodNotAllowed):
            parts.unknown_paths.seen(request.method, request.path)
            return shapes.refused(shapes.wrong_method(request.method, request.path))
        if isinstance(error, HTTPException):
            return shapes.refused(_of_http(error))
        log.error("%s %s failed.", request.method, request.path, exc_info=error)
        return shapes.server_error()

    app.register_error_handler(Exception, failed)


def _of_http(error: HTTPException) -> MarketRefusal:
    return MarketRefusal(error.code or 500, "invalid_request", error.description or "")
