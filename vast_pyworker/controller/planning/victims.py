"""Who goes when there are too many: what never served first, then the least used, then the dearest.

Unknown use is not idleness: of those that are ready, the ones proven idle go first and the ones
nobody knows about last. What a person holds is never a victim, nor what is missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from vast_pyworker.model import Member, Stage

from .roster import is_ready
from .words import dollars

_ORDER = (
    Stage.SUSPECT,
    Stage.ORDERED,
    Stage.LOADING,
    Stage.STARTING,
    Stage.JOINING,
    Stage.WARMING,
    Stage.READY,
)


def victims(hot: Iterable[Member], count: int, ready_count: int) -> list[Member]:
    """Up to ``count`` of those that run, and of the ready ones up to ``ready_count``; those to go
    first first."""
    if count <= 0:
        return []
    fit = sorted(filter(_can_go, hot), key=worth)
    useless = [each for each in fit if not is_ready(each)]
    serving = [each for each in fit if is_ready(each)]
    return [*useless, *serving[: max(0, ready_count)]][:count]


def resting(hot: Iterable[Member], count: int) -> list[Member]:
    """Up to ``count`` of those that may be stopped into the cold pool: they have their model."""
    if count <= 0:
        return []
    fit = [each for each in hot if is_ready(each) and _can_go(each)]
    return sorted(fit, key=worth)[:count]


def surplus_cold(cold: Iterable[Member], count: int) -> list[Member]:
    """Up to ``count`` of those that stand still, those dearest to keep first."""
    if count <= 0:
        return []
    fit = [each for each in cold if each.stage is Stage.COLD and not each.intent.held]
    return sorted(fit, key=_keep_price, reverse=True)[:count]


def use(member: Member) -> str:
    """How much a member is used, in words."""
    if not is_ready(member):
        return str(member.stage)
    if member.in_flight is None:
        return "use unknown"
    if member.in_flight == 0:
        return "idle"
    return f"{member.in_flight} in flight"


def farewell(member: Member) -> str:
    """The reason for which a victim goes."""
    return f"{use(member)}, {dollars(member.usd_per_hour)}"


def _can_go(member: Member) -> bool:
    return member.stage in _ORDER and not member.intent.held


def worth(member: Member) -> tuple[float, float, float, str]:
    """What is lost with it: the smaller, the sooner it goes."""
    used = math.inf if member.in_flight is None else float(member.in_flight)
    rank = _ORDER.index(member.stage)
    return (rank, used if is_ready(member) else 0.0, -member.usd_per_hour, member.intent.id)


def _keep_price(member: Member) -> tuple[float, float, str]:
    stopped = member.instance.usd_per_hour_stopped if member.instance else None
    return (stopped or 0.0, member.usd_per_hour, member.intent.id)
