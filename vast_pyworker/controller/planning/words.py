"""Times, prices and counts as a person reads them."""

from __future__ import annotations

from collections.abc import Iterable


def span(seconds: float) -> str:
    """45 s, 31 min, 2.5 h, 3 d: never more than two figures' worth."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 120 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f}".removesuffix(".0") + " h"
    return f"{seconds / 86400:.0f} d"


def dollars(usd_per_hour: float) -> str:
    return f"${usd_per_hour:.3f}/h"


def listed(parts: Iterable[str], joint: str = ", ") -> str:
    """The parts that say something, joined."""
    return joint.join(part for part in parts if part)
