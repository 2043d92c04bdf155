"""Times, money and amounts as the page shows them. Pure."""

from __future__ import annotations

from datetime import datetime, timezone

UNKNOWN = "\N{EN DASH}"


def age(seconds: float | None) -> str:
    """``45 s``, ``12 min``, ``3 h 20 min``, ``2 d 4 h``."""
    if seconds is None:
        return UNKNOWN
    whole = int(max(seconds, 0))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def clock(at: float) -> str:
    """The time of day in UTC."""
    return f"{datetime.fromtimestamp(at, timezone.utc):%H:%M:%S}"


def minute(at: float) -> str:
    return f"{datetime.fromtimestamp(at, timezone.utc):%H:%M}"


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="seconds")


def money(usd: float | None) -> str:
    """Dollars and cents; below ten cents their tenths as well, so that little is not nothing."""
    if usd is None:
        return UNKNOWN
    return f"${usd:,.3f}" if 0 < usd < 0.1 else f"${usd:,.2f}"


def tick(usd: float) -> str:
    """Dollars at the end of a scale."""
    if usd >= 1:
        return f"${usd:,.2f}".removesuffix(".00")
    return f"${usd:.6f}".rstrip("0")


def price(usd: float | None) -> str:
    """A price by the hour, which is often below a cent."""
    if usd is None:
        return UNKNOWN
    return f"${usd:,.3f}" if usd < 10 else f"${usd:,.2f}"


def amount(value: float | None) -> str:
    """A load or a capacity: three figures at most."""
    if value is None:
        return UNKNOWN
    if value >= 1_000_000:
        return f"{value / 1_000_000:.3g} M"
    if value >= 10_000:
        return f"{value / 1000:.3g} k"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
