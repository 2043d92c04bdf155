"""What of a golden plan is not told but worked out: bounds by a window, a want by a policy on a
load, and the verdict of the limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import time

from vast_pyworker.controller.budget import Budget
from vast_pyworker.controller.deciding import observe
from vast_pyworker.controller.planning.context import Verdict
from vast_pyworker.controller.policy import POLICIES
from vast_pyworker.controller.policy.observation import Load
from vast_pyworker.model import Bounds, Group, Limits, Member, Want, Window

Told = Mapping[str, str]
DAYS = frozenset(range(7))


def with_window(group: Group, hours: str, zone: str, told: Told) -> Group:
    """``hours`` as 22:00-06:00; on every day."""
    since, until = (time.fromisoformat(each) for each in hours.split("-"))
    made = Window(
        DAYS, since, until, zone,
        min_instances=int(told["min"]) if "min" in told else None,
        max_instances=int(told["max"]) if "max" in told else None,
        max_usd_per_hour=float(told["cap"]) if "cap" in told else None,
    )  # fmt: skip
    return replace(group, windows=(*group.windows, made))


def with_policy(group: Group, name: str, told: Told) -> Group:
    options = POLICIES[name].check({key: float(value) for key, value in told.items()})
    return replace(group, policy=name, policy_options=options)


def want_of(
    group: Group, bounds: Bounds, load: Told, members: Sequence[Member], now: float
) -> Want:
    """What the group's policy wants on a load, of which only what is told is known."""
    names = {each.name for each in fields(Load)}
    assert load.keys() <= names, load.keys() - names
    seen = observe(members, Load(**{key: float(value) for key, value in load.items()}), 0, now)
    return POLICIES[group.policy].decide(group, bounds, seen, None)[0]


def purse(told: Told, members: Sequence[Member], now: float) -> Callable[[float, int], Verdict]:
    """The real budget of these limits; ``spent_day`` and ``spent_month`` are in dollars."""
    limits = Limits(
        instances=int(told.get("instances", 100)),
        usd_per_hour=float(told.get("usd_per_hour", 100)),
        usd_per_day=float(told["usd_per_day"]) if "usd_per_day" in told else None,
        usd_per_month=float(told["usd_per_month"]) if "usd_per_month" in told else None,
    )
    spent_day, spent_month = (float(told.get(f"spent_{each}", 0)) for each in ("day", "month"))

    def may_rent(usd_per_hour: float, planned: int) -> Verdict:
        committed = sum(each.usd_per_hour for each in members)
        micro = (round(each * 1e6) for each in (spent_day, spent_month))
        return Budget(limits, committed, len(members), *micro, now).verdict(usd_per_hour, planned)

    return may_rent
