"""A backend's routes and the worker's own as an OpenAPI 3.1 document.

What a handler says about itself is all there is to read: its docstring, the types it returns and
what it was given as attributes (``handler.payload = Prompt``, a dataclass or TypedDict, and
``handler.example``, a dict). Does not: serve the document, or check requests against it.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Mapping
from typing import Any

import msgspec

from vast_pyworker import __version__

from .contract.loading import Handler, Loaded
from .traffic.forwarding import Forward

BUILT_IN_GETS = frozenset(
    ("status", "metrics", "upstream", "openapi.json", "livez", "readyz", "startupz")
)
_SCHEMAS = "#/components/schemas/{name}"
_KEY = "key"

GRANT_FIELDS = {
    "url": {"type": "string", "description": "The worker that the grant is for."},
    "signature": {"type": "string", "description": "Base64 of the autoscaler's signature."},
    "cost": {"type": "number", "description": "Work announced to the autoscaler."},
    "endpoint": {"type": "string"},
    "reqnum": {"type": "integer"},
    "request_idx": {"type": "integer"},
}
REFUSED = {
    "type": "object",
    "properties": {
        "error": {"type": "string"},
        "queue_depth": {"type": "integer"},
        "estimated_wait_s": {"type": "number"},
    },
    "required": ["error"],
}
_REFUSALS = {
    "401": "No valid grant or key came with the request.",
    "422": "The body lacks a field or has a wrong one.",
    "429": "This worker is full; another may not be. See Retry-After.",
    "503": "The model is not ready, or the worker is draining. See Retry-After.",
}


def build_openapi(loaded: Loaded, built_in: Mapping[str, str]) -> dict[str, Any]:
    """The document, as JSON values. ``built_in`` maps the worker's own paths to a sentence each.

    Where both have a method and path, the backend's wins.
    """
    schemas = _Schemas()
    paths: dict[str, dict[str, Any]] = {}
    for path, sentence in built_in.items():
        operation = _built_in_operation(path, sentence)
        paths.setdefault(_template(path), {})[built_in_method(path).lower()] = operation
    for method, endpoints in loaded.flask_dict.items():
        for endpoint, handler in endpoints.items():
            operation = _operation(f"{method} /{endpoint}", handler, schemas)
            paths.setdefault(_template(f"/{endpoint}"), {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": loaded.name,
            "version": __version__,
            "description": inspect.getdoc(loaded.module) or "",
        },
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": schemas.found,
            "securitySchemes": {_KEY: {"type": "http", "scheme": "bearer"}},
        },
    }


def built_in_method(path: str) -> str:
    """The method that one of the worker's own paths is asked with."""
    if path.startswith("/pyworker/requests/"):
        return "DELETE"
    return "GET" if path.rpartition("/")[2] in BUILT_IN_GETS else "POST"


def summary_of(handler: Handler) -> str:
    """What a route does, in one line; empty where nobody wrote it down."""
    if isinstance(handler, Forward):
        return f"Passed on to {handler.method} {handler.path} of the model server."
    return _docstring(handler)[0]


class _Schemas:
    """JSON Schemas of Python types, gathered under the components of one document."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {
            "Grant": {
                "type": "object",
                "description": "What the autoscaler answered to /route/.",
                "properties": GRANT_FIELDS,
                "required": ["url", "signature"],
            },
            "Refused": REFUSED,
        }

    def of(self, annotation: Any) -> dict[str, Any] | None:
        """The schema of ``annotation``; None for a type that JSON knows nothing about."""
        try:
            (schema,), components = msgspec.json.schema_components(
                (annotation,), ref_template=_SCHEMAS
            )
        except (TypeError, RecursionError):
            return None
        self.found.update(components)
        return schema


def _operation(name: str, handler: Handler, schemas: _Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": name, "summary": summary_of(handler)}
    if isinstance(handler, Forward):
        return operation | _forward_operation(handler)
    description = _docstring(handler)[1]
    if description:
        operation["description"] = description
    payload = schemas.of(handler.payload) if hasattr(handler, "payload") else None
    example = getattr(handler, "example", None)
    if payload is not None or example is not None:
        operation["requestBody"] = _json_body(payload or {"type": "object"}, example)
    operation["responses"] = {"200": _answer(handler, schemas)}
    return operation


def _forward_operation(spec: Forward) -> dict[str, Any]:
    told: dict[str, Any] = {
        "responses": {
            "200": {"description": "The model server's own answer."},
            **{code: _refusal(sentence) for code, sentence in _refusals(spec).items()},
        }
    }
    if spec.method in ("POST", "PUT", "PATCH"):
        payload = {"type": "object"}  # whatever the model server takes
        told["requestBody"] = _json_body(_envelope(payload) if spec.signed else payload)
    if spec.signed:
        told["security"] = [{}, {_KEY: []}]  # a grant in the body, or a key in the header
    return told


def _refusals(spec: Forward) -> dict[str, str]:
    return {code: text for code, text in _REFUSALS.items() if spec.signed or code != "401"}


def _built_in_operation(path: str, sentence: str) -> dict[str, Any]:
    names = re.findall(r"<(\w+)>", path)
    operation: dict[str, Any] = {
        "operationId": f"{built_in_method(path)} {path}",
        "summary": sentence,
        "tags": ["worker"],
        "responses": {"200": {"description": "Done."}},
    }
    if names:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in names
        ]
    return operation


def _envelope(payload: dict[str, Any]) -> dict[str, Any]:
    return {
        "anyOf": [
            {
                "type": "object",
                "properties": {
                    "auth_data": {"$ref": _SCHEMAS.format(name="Grant")},
                    "payload": payload,
                    "session_id": {"type": "string"},
                },
                "required": ["auth_data", "payload"],
            },
            payload,
        ]
    }


def _answer(handler: Handler, schemas: _Schemas) -> dict[str, Any]:
    """A handler's 200, from the type it says it returns; a string is text, the rest is JSON."""
    answer: dict[str, Any] = {"description": "What the backend answers."}
    try:
        returned = typing.get_type_hints(handler).get("return")
    except (TypeError, NameError, AttributeError):  # no annotations, or of names not to be found
        returned = None
    schema = schemas.of(returned) if returned not in (None, Any) else None
    if schema is not None:
        kind = "text/html" if returned is str else "application/json"
        answer["content"] = {kind: {"schema": schema}}
    return answer


def _json_body(schema: dict[str, Any], example: Any = None) -> dict[str, Any]:
    media = {"schema": schema} if example is None else {"schema": schema, "example": example}
    return {"required": True, "content": {"application/json": media}}


def _refusal(sentence: str) -> dict[str, Any]:
    schema = {"$ref": _SCHEMAS.format(name="Refused")}
    return {"description": sentence, "content": {"application/json": {"schema": schema}}}


def _docstring(handler: Handler) -> tuple[str, str]:
    """A docstring's first paragraph as one line, and the rest."""
    written = inspect.getdoc(handler) if inspect.isroutine(handler) else None
    first, _, rest = (written or "").partition("\n\n")
    return " ".join(first.split()), rest


def _template(path: str) -> str:
    """A path of Flask's as one of OpenAPI's: ``<name>`` becomes ``{name}``."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path)
