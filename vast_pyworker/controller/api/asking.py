"""What a call asked: its key, wherever the official clients put it, and its body as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Request

from vast_pyworker.controller.access import Caller
from vast_pyworker.errors import Invalid

from .refusals import BadAsk, TooLarge

BODY_BYTES = 256 * 1024
_KEY_LENGTH = 512
_LARGEST = 1e12


@dataclass(frozen=True)
class Asked:
    """``caller`` is None only where no key is needed. ``body`` is {} where none was sent. ``key``
    is the one that came with the request."""

    caller: Caller | None
    body: Mapping[str, Any]
    query: Mapping[str, str]
    key: str = field(default="", repr=False)

    @property
    def who(self) -> str:
        return self.caller.who if self.caller else "somebody without a key"

    @property
    def endpoint(self) -> str | None:
        """The endpoint whose key this is; None for a key of the account."""
        key = self.caller.key if self.caller else None
        return key.endpoint if key else None

    def number(
        self, name: str, *, least: float = 0.0, most: float = _LARGEST, whole: bool = False
    ) -> float | None:
        """A number of the body, None where it is null or absent; Invalid (422) otherwise."""
        value = self.body.get(name)
        if value is None:
            return None
        kind = "a whole number" if whole else "a number"
        allowed = f"{kind} from {least:g} to {most:g}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Invalid(f"{name} is {value!r:.64}; it has to be {allowed}.")
        if not math.isfinite(value) or not least <= value <= most or (whole and value % 1):
            raise Invalid(f"{name} is {value!r:.64}; it has to be {allowed}.")
        return value

    def text(self, name: str, longest: int = 255) -> str | None:
        """A text of the body, None where it is null or absent; Invalid (422) otherwise."""
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > longest:
            raise Invalid(f"{name} has to be a text of at most {longest} characters.")
        return value

    def limit(self, default: int, most: int) -> int:
        """``?limit=`` of the query, between 1 and ``most``."""
        return min(max(self.query_number("limit", default), 1), most)

    def query_number(self, name: str, default: int) -> int:
        text = self.query.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise BadAsk(f"{name} is {text[:64]!r}; it has to be a whole number.")
        return int(text)


def key_of(request: Request, body: Mapping[str, Any]) -> str:
    """The Bearer token, else ``api_key`` of the body, else of the query; "" for none."""
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and bearer.strip():
        return bearer.strip()[:_KEY_LENGTH]
    in_body = body.get("api_key")
    if isinstance(in_body, str) and in_body:
        return in_body[:_KEY_LENGTH]
    return request.args.get("api_key", "")[:_KEY_LENGTH]


def body_of(request: Request) -> dict[str, Any]:
    """The JSON object that was sent, also with a GET, whatever its content type says."""
    text = text_of(request)
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise BadAsk("The body cannot be read as JSON.") from None
    if not isinstance(found, dict):
        raise BadAsk("The body has to be one JSON object.")
    return found


def text_of(request: Request) -> bytes:
    """The body as it came; TooLarge where no call needs so much."""
    if (request.content_length or 0) > BODY_BYTES:
        raise TooLarge(f"The body is larger than {BODY_BYTES} bytes; send less.")
    return request.get_data()
