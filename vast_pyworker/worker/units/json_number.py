"""Read a size out of JSON that a stranger wrote. Pure; every calculator of work uses it."""

from __future__ import annotations

import math
from typing import TypeVar

T = TypeVar("T")

_TOO_MANY = 1 << 53


def size(value: object, otherwise: T) -> float | T:
    """``value`` if it is a number of 0 or more, else ``otherwise``.

    What is too large to count, and NaN, is infinity: ``workload.checked`` refuses that.
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool) or value < 0:
        return otherwise
    return value if value < _TOO_MANY else math.inf
