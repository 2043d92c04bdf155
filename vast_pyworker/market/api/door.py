"""The door that every call goes through: limits, faults, keys, the body, then the view.

The views know nothing of HTTP but what ``Asked`` tells them; what they return is the JSON of the
answer, or a whole response.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, Response, request

from vast_pyworker.market.accounts.accounts import Accounts
from vast_pyworker.market.accounts.identities import Caller
from vast_pyworker.market.calls import shapes
from vast_pyworker.market.calls.asking import (
    BODY_LIMIT_BYTES,
    Asked,
    bad_body,
    body_of,
    identity_of,
    key_of,
)
from vast_pyworker.market.calls.limits import RateLimits
from vast_pyworker.market.faults.answer_faults import AnswerFaults
from vast_pyworker.market.faults.row_faults import LIST_CALLS, Question
from vast_pyworker.market.refusal import MarketRefusal

View = Callable[..., Any]
Body = dict[str, Any]


@dataclass(frozen=True)
class Route:
    """One call: where it is found, who may make it, and the view that does it.

    ``name`` is its name for faults, or gives it from the body. ``limit`` is its name for rate
    limits, ``name`` where empty. ``scope``: what a sub-key must be permitted. ``public``: needs no
    key. ``own_instance``: the key of an instance may make it, for the ``ident`` that it belongs to.
    """

    method: str
    path: str
    name: str | Callable[[Body], str]
    view: View
    scope: str = ""
    limit: str = ""
    public: bool = False
    own_instance: bool = False
    bad_body: Callable[[], MarketRefusal] = bad_body


class Door:
    """Registers routes on blueprints and lets their calls through. ``limits`` None: no limits."""

    def __init__(self, accounts: Accounts, faults: AnswerFaults, limits: RateLimits | None) -> None:
        self._accounts = accounts
        self._faults = faults
        self._limits = limits

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
            return self._through(route, path)

        return handle

    def _through(self, route: Route, path: dict[str, str]) -> Response:
        body, bad = self._body(route)
        name = route.name if isinstance(route.name, str) else route.name(body)
        limited = self._limited(route.limit or name)
        if limited is not None:
            return limited

        def act(after_token: str | None = None) -> Response:
            try:
                caller = self._caller(route, path)  # a wrong key is told before a wrong body
                if bad is not None:
                    raise bad
                asked = Asked(caller, body, request.args.to_dict())
                if after_token is not None:
                    asked = replace(asked, query={**asked.query, "after_token": after_token})
                done = route.view(asked, **path)
            except MarketRefusal as refusal:
                return shapes.refused(refusal)
            return done if isinstance(done, Response) else shapes.answer(done)

        return self._faults.through(_question(name), act)

    def _limited(self, name: str) -> Response | None:
        if self._limits is None:
            return None
        too_many = self._limits.check(name, identity_of(request))
        if too_many is None:
            return None
        if isinstance(too_many.body, str):
            return shapes.text(too_many.body, 429, too_many.headers)
        return shapes.answer(too_many.body, 429, too_many.headers)

    def _body(self, route: Route) -> tuple[Body, MarketRefusal | None]:
        """The body, and why there is none."""
        try:
            return body_of(request, route.bad_body), None
        except MarketRefusal as refusal:
            return {}, refusal

    def _caller(self, route: Route, path: dict[str, str]) -> Caller | None:
        key = key_of(request)
        if key is None:
            if route.public:
                return None
            raise shapes.no_key()
        caller = self._accounts.caller(key)
        if caller is None:
            raise shapes.wrong_key()
        _check_right(route, caller, path)
        return caller


def _question(call: str) -> Question:
    if call not in LIST_CALLS:
        return Question(call, "")
    body = request.get_data()[:BODY_LIMIT_BYTES].decode("utf-8", "replace")
    asked = f"{identity_of(request)} {request.method} {request.full_path} {body}"
    return Question(call, asked, request.args.get("after_token", ""))


def _check_right(route: Route, caller: Caller, path: dict[str, str]) -> None:
    """MarketRefusal(403) where this key may not make this call."""
    key = caller.key
    if key.instance_id is not None and not route.public:
        if not route.own_instance or path.get("ident") != str(key.instance_id):
            raise shapes.not_allowed("The key of an instance may act on that instance only.")
    elif not key.allows(route.scope):
        raise shapes.not_allowed(f"This API key lacks the permission {route.scope}.")
