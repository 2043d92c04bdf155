"""JSON bodies to plain objects, and what of a body is taken. Pure.

The quick decoder knows strict JSON. What it refuses is read once more the lenient way, because
Python's clients and workers write ``NaN`` for a number they do not have: that becomes ``None``.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

_decode = msgspec.json.decode
_NOT_AN_OBJECT = "The body must be one JSON object."


def read_object(body: bytes) -> dict[str, Any]:
    """The object in ``body``; ValueError with one sentence where there is none."""
    try:
        data = _decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        data = _read_leniently(body)
    if type(data) is not dict:
        raise ValueError(_NOT_AN_OBJECT)
    return data


def _read_leniently(body: bytes) -> Any:
    """Through the strict encoder: it writes null for what is no number, and no half characters."""
    try:
        return _decode(msgspec.json.encode(json.loads(body)))
    except (ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as exc:
        raise ValueError(_NOT_AN_OBJECT) from exc
