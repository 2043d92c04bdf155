"""What is spent, what it is spent at, and the limits of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vast_pyworker.controller import showing
from vast_pyworker.controller.budget import window_starts
from vast_pyworker.controller.ledger.charges import MICRO

from .parts import Parts


def spent_today(parts: Parts) -> Mapping[str, int]:
    """Millionths of a dollar since midnight in UTC, by group."""
    day, _ = window_starts(parts.now())
    names = {each.intent.group for each in parts.loop.fleet.members} | set(parts.loop.wishes.groups)
    return {name: parts.ledger.spend.spent_micro(day, name) for name in names}


def money(parts: Parts) -> dict[str, Any]:
    """Dollars of the day and month against their limits; None for no limit."""
    limits = parts.loop.wishes.limits
    day, month = window_starts(parts.now())
    spend = parts.ledger.spend
    return {
        "usd_per_hour": sum(map(showing.usd_per_hour_now, parts.loop.fleet.members)),
        "usd_per_hour_limit": limits.usd_per_hour,
        "usd_today": spend.spent_micro(day) / MICRO,
        "usd_per_day_limit": limits.usd_per_day,
        "usd_this_month": spend.spent_micro(month) / MICRO,
        "usd_per_month_limit": limits.usd_per_month,
        "instances_limit": limits.instances,
    }
