"""Reads amounts the way model servers log them: ``1.23G``, ``98.1MB/s``, ``4 GiB``, ``320ms``.

Pure. What cannot be read is None, never 0.
"""

from __future__ import annotations

import re

_NUMBER = r"^\s*(\d[\d,]*(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*"
_AMOUNT = re.compile(_NUMBER + r"([kKmMgGtT]?i?)(?:[bB](?:ytes)?)?(?:/s)?\s*$")
_DURATION = re.compile(_NUMBER + r"([a-zµ]*)\s*$")
_PREFIXES = "kmgt"
_SECONDS_PER = {
    **dict.fromkeys(("", "s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "millis", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "µs", "microseconds"), 1e-6),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
}


def amount(text: str) -> float | None:
    """``text`` as a number of units or bytes: k, M, G, T go by 1000, Ki, Mi, Gi, Ti by 1024."""
    found = _AMOUNT.match(text)
    if found is None:
        return None
    prefix = found[2].lower()
    power = _PREFIXES.index(prefix[0]) + 1 if prefix.rstrip("i") else 0
    return _number(found[1]) * (1024.0 if prefix.endswith("i") else 1000.0) ** power


def duration_s(text: str) -> float | None:
    """``text`` as seconds; a bare number is seconds."""
    found = _DURATION.match(text.lower())
    scale = _SECONDS_PER.get(found[2]) if found else None
    return None if found is None or scale is None else _number(found[1]) * scale


def _number(text: str) -> float:
    return float(text.replace(",", ""))
