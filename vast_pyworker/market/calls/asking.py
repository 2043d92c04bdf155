"""What a request says, read and checked: its key, its body, its query, the numbers in its path."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Request

from vast_pyworker.market.accounts.identities import Account, Caller
from vast_pyworker.market.refusal import MarketRefusal, invalid

from . import shapes

BODY_LIMIT_BYTES = 1_000_000
_MOST_DIGITS = 15


@dataclass(frozen=True)
class Asked:
    """One request as a view sees it. ``body`` is an object, empty where none was sent."""

    caller: Caller | None
    body: dict[str, Any] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def account(self) -> Account:
        """Whose call it is; MarketRefusal(401) where nobody's."""
        if self.caller is None:
            raise shapes.no_key()
        return self.caller.account

    @property
    def account_id(self) -> int:
        return self.account.id

    def json_of(self, name: str, default: Any) -> Any:
        """A query argument that is written as JSON; MarketRefusal(400) where it cannot be read."""
        text = self.query.get(name)
        if text is None or text == "":
            return default
        try:
            return _decoded(text)
        except ValueError as error:
            said = f"Error in query parameters: {name} is not valid JSON"
            raise MarketRefusal(400, "invalid_request", said) from error

    def forbid_unknown(self, *known: str) -> None:
        """MarketRefusal(400) unless the body has no other field than these."""
        extra = sorted(set(self.body) - set(known))
        if extra:
            raise shapes.extra_inputs(extra, 400)


def bad_body() -> MarketRefusal:
    """What most calls say to a body that is not a JSON object."""
    return invalid("Invalid json body")


def key_of(request: Request) -> str | None:
    """The key that came: the Bearer header's, else ``?api_key=``, which old clients quote."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return request.args.get("api_key", "").strip('"') or None


def identity_of(request: Request) -> str:
    """Whom a rate limit counts: the token, the key in the query and the address together."""
    headers, args = request.headers, request.args
    who = (headers.get("Authorization", ""), args.get("api_key", ""), request.remote_addr or "")
    return "|".join(who)


def bytes_of(request: Request) -> bytes:
    """What was sent; MarketRefusal(413) where it is too long, whether that was announced or not."""
    if (request.content_length or 0) > BODY_LIMIT_BYTES:
        raise shapes.too_large(BODY_LIMIT_BYTES)
    raw = request.get_data(cache=True)
    if len(raw) > BODY_LIMIT_BYTES:
        raise shapes.too_large(BODY_LIMIT_BYTES)
    return raw


def body_of(request: Request, bad: Callable[[], MarketRefusal] = bad_body) -> dict[str, Any]:
    """The JSON object that was sent, {} for nothing.

    Raises what ``bad`` makes, or MarketRefusal(413). What comes with a GET is read where it can be,
    since the official client sends such.
    """
    raw = bytes_of(request)
    if not raw.strip():
        return {}
    try:
        body = _decoded(raw)
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict):
        return body
    if request.method == "GET":
        return {}
    raise bad()


def number_of(text: str, refusal: MarketRefusal) -> int:
    """A number in a path; raises ``refusal`` for anything but up to 15 decimal digits."""
    if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS:
        return int(text)
    raise refusal


def _decoded(text: str | bytes) -> Any:
    """JSON of finite numbers and whole characters; ValueError otherwise."""
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a character cannot be written
    return value


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits} is too large")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
