"""The door that every call goes through: the body, the key, its right, then the view.

The views know nothing of HTTP but what ``Asked`` tells them; what they return is the JSON of the
answer, or a whole response. Refusals are ``{"error": sentence}``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, Response, request

from vast_pyworker.controller.access import Caller, Right
from vast_pyworker.controller.page.sessions import COOKIE
from vast_pyworker.errors import LedgerError, ProviderError, PyworkerError, Refused, Unauthorized

from .asking import Asked, body_of, key_of
from .parts import Parts
from .refusals import Forbidden

View = Callable[..., Any]
log = logging.getLogger(__name__)

VAST = ("/api/v0/", "/get_", "/update_workers/")

NO_KEY = "No key came with the request: send it as Authorization: Bearer KEY."
WRONG_KEY = "The key is not known here, or was revoked."


@dataclass(frozen=True)
class Route:
    """One call. ``needs`` None: no key. ``own``: also the token of the instance that the path
    names. ``clients``: also the key of an endpoint, which its view then tells of no other.
    ``magister``: no key where that is configured. ``fields`` of the body and
    ``query`` are told in /openapi.json, name to sentence; ``raw`` where the body is no JSON."""

    method: str
    path: str
    view: View
    summary: str
    needs: Right | None = Right.READ
    fields: Mapping[str, str] = field(default_factory=dict)
    own: bool = False
    clients: bool = False
    magister: bool = False
    query: Mapping[str, str] = field(default_factory=dict)
    raw: bool = False
    answers: str = "application/json"


class Door:
    """Registers routes on blueprints and lets their calls through."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def blueprint(self, name: str, routes: Sequence[Route]) -> Blueprint:
        made = Blueprint(name, __name__)
        for number, route in enumerate(routes):
            made.add_url_rule(
                route.path,
                endpoint=f"{number}",
                view_func=self._handler(route),
                methods=[route.method],
                provide_automatic_options=False,
            )
        return made

    def _handler(self, route: Route) -> Callable[..., Response]:
        def handle(**path: str) -> Response:
            try:
                return self._through(route, path)
            except PyworkerError as exc:
                return refused(exc, as_vast=route.path.startswith(VAST))

        return handle

    def _through(self, route: Route, path: Mapping[str, str]) -> Response:
        body = {} if route.raw else body_of(request)
        key = key_of(request, body)
        caller = self._caller(route, path, key)
        done = route.view(Asked(caller, body, request.args.to_dict(), key), **path)
        return done if isinstance(done, Response) else answer(done)

    def _caller(self, route: Route, path: Mapping[str, str], text: str) -> Caller | None:
        if route.needs is None:
            return None
        if not text and route.magister and self._parts.open_magister:
            return None
        caller = self._parts.access.account(text) if text else self._signed_in(route)
        if caller is not None:
            if not caller.may(route.needs):
                raise Forbidden(f"This key may {_right_of(caller)}; this needs {route.needs}.")
            return caller
        client = self._parts.access.client(text) if text and route.clients else None
        return client or self._instance(route, path, text)

    def _signed_in(self, route: Route) -> Caller | None:
        """Who is signed in to the page may look here too; nothing is done by a cookie alone."""
        if route.method != "GET" or route.own:
            return None
        found = self._parts.sessions.find(request.cookies.get(COOKIE, ""))
        return None if found is None else found[1]

    def _instance(self, route: Route, path: Mapping[str, str], text: str) -> Caller:
        """The instance that the path names, where it asks for itself."""
        if route.own and text:
            intent = self._parts.commands.look(path.get("ident", ""))
            caller = self._parts.access.instance(text, intent)
            if caller is not None:
                return caller
        raise Unauthorized(WRONG_KEY if text else NO_KEY)


def answer(document: Any, status: int = 200) -> Response:
    """JSON, ended by a line."""
    text = json.dumps(document, allow_nan=False, default=str)
    made = Response(f"{text}\n", status, content_type="application/json")
    made.headers["Cache-Control"] = "no-store"
    return made


def refused(exc: PyworkerError, *, as_vast: bool = False) -> Response:
    """The answer for an error that was raised on purpose. ``as_vast``: also with the fields in
    which Vast's command line looks for the sentence."""
    if isinstance(exc, Refused):
        more = {"success": False, "msg": str(exc)} if as_vast else {}
        made = answer({**exc.body, **more}, exc.status)
        if exc.retry_after_s is not None:
            made.headers["Retry-After"] = f"{exc.retry_after_s:.0f}"
        if exc.status == 401:
            made.headers["WWW-Authenticate"] = "Bearer"
        return made
    if isinstance(exc, ProviderError):
        return answer({"error": str(exc)}, 502)
    if isinstance(exc, LedgerError):
        return answer({"error": str(exc)}, 503)
    log.error("A call was not answered: %s", exc)
    return answer({"error": str(exc)}, 500)


def _right_of(caller: Caller) -> str:
    return str(caller.key.right) if caller.key else "nothing"
