"""An ``X-Request-ID`` for every request and answer where there is no engine to see to it."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

from vast_pyworker.engine.environ import REQUEST_ID

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_USABLE = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}\Z")  # as in the engine: any other is replaced


def with_request_id(environ: WSGIEnvironment, start_response: StartResponse) -> StartResponse:
    """Give the request its id, the client's or a new one, and its answer the same."""
    sent = environ.get("HTTP_X_REQUEST_ID", "")
    request_id = environ[REQUEST_ID] = sent if _USABLE.match(sent) else secrets.token_hex(8)

    def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
        if not any(name.lower() == "x-request-id" for name, _ in headers):
            headers = [*headers, ("X-Request-ID", request_id)]
        return start_response(status, headers, *exc_info)

    return start
