"""Numbers as a person reads them, rounded so that a sentence changes only with its meaning."""

from __future__ import annotations

import math


def amount(value: float) -> str:
    """Two significant digits, never in powers of ten: 0.31, 2.7, 27, 240, 12000."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    places = 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, places)
    return (
        f"{rounded:.{max(places, 0)}f}".rstrip("0").rstrip(".") if places > 0 else f"{rounded:.0f}"
    )


def percent(share: float) -> str:
    """0.7 as ``70 %``."""
    return f"{share * 100:g} %"
