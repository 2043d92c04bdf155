"""Reads numbers out of a model server's Prometheus text.

Pure, and for a few names out of a long page: no family is parsed that nobody asked for. A name
that is not on the page is absent from the answer, never 0.
"""

from __future__ import annotations

from collections.abc import Collection
from math import isfinite


def read_counters(text: str, names: Collection[str]) -> dict[str, float]:
    """The sum over all label sets of each of ``names`` that occurs in ``text``.

    A name is that of a sample, so a histogram's is ``..._count`` or ``..._sum``.
    """
    found: dict[str, float] = {}
    starts = tuple(names)
    if not starts:
        return found
    for line in text.splitlines():
        if line.startswith(starts):
            name, value = _sample(line)
            if name in names and value is not None:
                found[name] = found.get(name, 0.0) + value
    return found


def _sample(line: str) -> tuple[str, float | None]:
    """Name and value of ``name{label="value"} number [timestamp]``; labels may hold anything."""
    head, brace, rest = line.partition("{")
    if brace:
        name, numbers = head, rest.rpartition("}")[2].split()
    else:
        name, *numbers = line.split()
    try:
        value = float(numbers[0])
    except (IndexError, ValueError):
        return name, None
    return name, value if isfinite(value) else None
