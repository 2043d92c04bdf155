"""The controller's HTTP side as one Flask application with native routes. Starts nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from vast_pyworker.engine import NativeHandler
from vast_pyworker.engine.environ import HANDLER
from vast_pyworker.errors import PyworkerError

from .api import (
    clients,
    endpoints,
    magister,
    metrics,
    openapi,
    operating,
    people,
    workergroups,
)
from .api.asking import Asked
from .api.door import Door, Route, answer, refused
from .api.parts import Parts
from .page import routes as page

log = logging.getLogger(__name__)

_TABLES: tuple[tuple[str, Callable[[Parts], list[Route]]], ...] = (
    ("people", people.routes),
    ("operating", operating.routes),
    ("magister", magister.routes),
    ("clients", clients.routes),
    ("endpoints", endpoints.routes),
    ("workergroups", workergroups.routes),
    ("metrics", metrics.routes),
)


class ControllerApp(Flask):
    """``native_routes`` are answered on the engine's event loop, before Flask."""

    native_routes: Mapping[tuple[str, str], NativeHandler]


def build_app(parts: Parts) -> ControllerApp:
    """The WSGI application for ``RunningServer``."""
    app = ControllerApp("vast_pyworker.controller", static_folder=None)
    app.url_map.strict_slashes = False
    app.native_routes = dict(parts.native)
    door = Door(parts)
    routes: list[Route] = []
    for name, table in _TABLES:
        made = table(parts)
        routes += made
        app.register_blueprint(door.blueprint(name, made))
    app.register_blueprint(page.blueprint(parts, parts.sessions))
    routes.append(_described(routes, parts))
    app.register_blueprint(door.blueprint("openapi", routes[-1:]))
    _let_native_in(app, parts.native)
    _answer_the_rest(app)
    return app


def _described(routes: list[Route], parts: Parts) -> Route:
    def described(asked: Asked) -> dict[str, Any]:
        return openapi.document(routes, parts.native, page.CALLS)

    return Route("GET", "/openapi.json", described, "This document.")


def _let_native_in(app: Flask, native: Mapping[tuple[str, str], NativeHandler]) -> None:
    """The native calls without their last slash, and in other spellings that Flask takes."""
    for method, path in native:

        def handed(handler: NativeHandler = native[method, path]) -> Response:
            request.environ[HANDLER] = handler
            return Response(b"")

        app.add_url_rule(
            path, endpoint=f"native {method} {path}", view_func=handed, methods=[method],
            provide_automatic_options=False,
        )  # fmt: skip


def _answer_the_rest(app: Flask) -> None:
    """Unknown paths, wrong methods and our own faults, in the shape of every other refusal."""

    def failed(error: Exception) -> Response:
        if isinstance(error, PyworkerError):
            return refused(error)
        if isinstance(error, HTTPException):
            sentence = f"{request.method} {request.path[:200]}: {error.name}."
            made = answer({"error": sentence}, error.code or 500)
            if allowed := getattr(error, "valid_methods", None):
                made.headers["Allow"] = ", ".join(sorted(allowed))
            return made
        log.error("%s %s failed.", request.method, request.path, exc_info=error)
        return answer({"error": "The controller failed at this call; its log says why."}, 500)

    app.register_error_handler(Exception, failed)
