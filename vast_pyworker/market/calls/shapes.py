"""How answers and refusals look on the wire: the bodies, statuses and content types of Vast.

Every JSON answer is ``application/json`` without a charset: the official command line compares
the whole header.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import Response

from vast_pyworker.market.refusal import MarketRefusal

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
SERVER_ERROR = b'{"success":false,"error":"internal_error","msg":"Internal server error."}'


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer; NaN and infinity are never written, since no client could read them."""
    data = json.dumps(body, separators=(",", ":"), allow_nan=False)
    return Response(data, status, headers=dict(headers or {}), content_type=JSON)


def text(body: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in plain text, such as a log; what UTF-8 cannot carry is replaced."""
    data = body.encode("utf-8", "replace")
    return Response(data, status, headers=dict(headers or {}), content_type=TEXT)


def refused(refusal: MarketRefusal) -> Response:
    """The answer for a call that was turned down, in the shape it asks for."""
    if refusal.shape == "text":
        return text(refusal.msg, refusal.status)
    return answer({**_fields(refusal), **refusal.extra}, refusal.status)


def _fields(refusal: MarketRefusal) -> dict[str, Any]:
    """``standard`` success, error, msg; ``bare`` without success; ``msg`` only that with
    success; ``message`` as ``standard`` under another name; ``error_msg`` the autoscaler's."""
    error, said = {"error": refusal.code}, {"msg": refusal.msg}
    shapes: dict[str, dict[str, Any]] = {
        "bare": {**error, **said},
        "msg": {"success": False, **said},
        "message": {"success": False, **error, "message": refusal.msg},
        "error_msg": {"success": False, "error_msg": refusal.msg},
    }
    return shapes.get(refusal.shape) or {"success": False, **error, **said}


def server_error() -> Response:
    """What a fault of the market itself looks like from outside; the log says more."""
    return Response(SERVER_ERROR, 500, content_type=JSON)


def wrong_key() -> MarketRefusal:
    """404 and not 401: so the real service answers a wrong or revoked key."""
    return MarketRefusal(404, "auth_error", "Invalid user key")


def no_key() -> MarketRefusal:
    return MarketRefusal(401, "auth_error", "This action requires login. Send an API key.")


def not_allowed(why: str) -> MarketRefusal:
    return MarketRefusal(403, "not_authorized", why)


def unknown_path(path: str) -> MarketRefusal:
    return MarketRefusal(404, "not_found", f"No such endpoint: {path}")


def wrong_method(method: str, path: str) -> MarketRefusal:
    return MarketRefusal(405, "method_not_allowed", f"{path} does not take {method}.")


def too_large(limit_bytes: int) -> MarketRefusal:
    text_ = f"Request body is larger than {limit_bytes} bytes."
    return MarketRefusal(413, "payload_too_large", text_)


def extra_inputs(names: list[str], status: int = 422) -> MarketRefusal:
    """A strict endpoint was given fields it does not know."""
    each = "; ".join(f"{name}: Extra inputs are not permitted" for name in names)
    return MarketRefusal(status, "invalid_args", each)
