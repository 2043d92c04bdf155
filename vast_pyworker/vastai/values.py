"""Reads single values out of rows whose shape nobody promises: a good value, or None.

None is "unknown": a field that is missing, null, of a wrong type or not a finite number. It is
never 0 and never an error. Strings lose their surrounding white space.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def text(value: object) -> str | None:
    return value.strip() if isinstance(value, str) else None


def number(value: object) -> float | None:
    """A finite number, also where it came as a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def not_negative(value: object) -> float | None:
    """As ``number``; the API writes -1 where it does not know."""
    read = number(value)
    return None if read is None or read < 0 else read


def positive(value: object) -> float | None:
    """As ``number``, for times: 0 stands for none."""
    read = number(value)
    return None if read is None or read <= 0 else read


def whole(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    read = number(value)
    return int(read) if read is not None and read == int(read) else None


def flag(value: object) -> bool | None:
    """True and False, also written as 1 and 0."""
    if isinstance(value, bool):
        return value
    return bool(value) if isinstance(value, int) and value in (0, 1) else None


def mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def pairs(value: object) -> dict[str, str] | None:
    """``[[key, value], ...]`` or an object, as a dict; what is no pair is left."""
    if isinstance(value, dict):
        items: list[Any] = list(value.items())
    elif isinstance(value, list):
        items = [each for each in value if isinstance(each, list | tuple) and len(each) == 2]
    else:
        return None
    return {str(key): str(content) for key, content in items}


def host_ports(value: object) -> dict[str, int]:
    """``{"22/tcp": [{"HostPort": "40022"}]}`` as ``{"22/tcp": 40022}``; unmapped ones are left."""
    found: dict[str, int] = {}
    for inner, bindings in mapping(value).items():
        for binding in bindings if isinstance(bindings, list) else ():
            port = whole(mapping(binding).get("HostPort"))
            if port is not None and 0 < port < 65536:
                found.setdefault(inner, port)
    return found
