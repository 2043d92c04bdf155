"""Every call of the controller as an OpenAPI 3.1 document, made from the same table as the calls.

Pure but for the version. Calls of workers and ``/route/`` are answered natively and stand here by
their own sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from vast_pyworker import __version__

from .door import Route

NATIVE = {
    ("POST", "/worker_status/"): "A worker's report.",
    ("POST", "/delete_requests/"): "Requests that have left a worker.",
    ("POST", "/route/"): "A worker for a client's request: a signed grant, or how things stand.",
    ("GET", "/pubkey/"): "The key that grants are signed with, PEM.",
}
_ERROR = {
    "description": "Refused, with one sentence.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}
_CODES = dict.fromkeys(("400", "401", "403", "404"), _ERROR)
_BODY_CODES = dict.fromkeys(("409", "413", "422"), _ERROR)


def document(
    routes: Iterable[Route], native: Iterable[tuple[str, str]], page: Iterable[tuple[str, str, str]]
) -> dict[str, Any]:
    """``native`` are methods and paths on the loop, ``page`` those of the page, with a sentence."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        _put(paths, route.method, route.path, _operation(route))
    for method, path in native:
        told = NATIVE.get((method, path), "Answered on the event loop.")
        _put(paths, method, path, _plain(method, path, told))
    for method, path, told in page:
        _put(paths, method, path, _plain(method, path, told))
    return {
        "openapi": "3.1.0",
        "info": {"title": "vast-pyworker controller", "version": __version__},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {
                "Error": {
                    "type": "object",
                    "properties": {"error": {"type": "string"}},
                    "required": ["error"],
                }
            },
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def template(path: str) -> str:
    """A path of Flask's as one of OpenAPI's."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path)


def _put(
    paths: dict[str, dict[str, Any]], method: str, path: str, operation: Mapping[str, Any]
) -> None:
    names = re.findall(r"<(?:(\w+):)?(\w+)>", path)
    parameters = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "integer" if kind == "int" else "string"},
        }
        for kind, name in names
    ]
    parameters += operation.get("parameters", [])
    made = dict(operation) | ({"parameters": parameters} if parameters else {})
    paths.setdefault(template(path), {})[method.lower()] = made


def _operation(route: Route) -> dict[str, Any]:
    operation = _plain(route.method, route.path, route.summary)
    operation["responses"] = {
        "200": {"description": "Done.", "content": {route.answers: {}}},
        **(_CODES if route.needs is not None else {}),
        **(_BODY_CODES if route.fields else {}),
    }
    if route.query:
        operation["parameters"] = [
            {"name": name, "in": "query", "required": False, "description": told, "schema": {}}
            for name, told in route.query.items()
        ]
    if route.needs is not None:
        operation["security"] = [{"key": []}]
        operation["x-needs"] = str(route.needs)
    if route.fields:
        properties = {name: {"description": told} for name, told in route.fields.items()}
        schema = {"type": "object", "properties": properties}
        operation["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    return operation


def _plain(method: str, path: str, told: str) -> dict[str, Any]:
    return {
        "operationId": f"{method} {template(path)}",
        "summary": told,
        "responses": {"200": {"description": "Done."}},
    }
