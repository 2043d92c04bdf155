"""Members that go whatever is wanted: too dear, too old, or near the end of their contract.

One that is too dear goes at once. One that is too old is replaced first: its successor is rented
beside it, and it goes when enough others are ready, one at a time. While that lasts the group is
one larger than wanted; the limits of the fleet and the budget hold all the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from vast_pyworker.model import Action, Bounds, Group, Member, Stage

from .deadlines import successor_s
from .roster import Roster, end, first_start, is_ready
from .victims import worth
from .words import dollars, span

_NOT_YET = (Stage.ORDERED, Stage.LOADING)
_MISSING = Stage.MISSING  # as an attribute of an Enum it is slow to read
_ROUNDING = 1e-6  # prices are sums of floats


def too_dear(member: Member, cap_usd_per_hour: float) -> bool:
    """Whether its real price, which has to be known, is above the cap."""
    price = member.instance.usd_per_hour if member.instance else None
    return price is not None and price > cap_usd_per_hour + _ROUNDING


def over_price(roster: Roster, group: Group, bounds: Bounds) -> list[Action]:
    """The end of all that cost more than is allowed now; of stopped ones, more than ever is."""
    now_allowed, ever = bounds.max_usd_per_hour, dearest_cap(group)
    return [
        end(each, f"costs {dollars(each.usd_per_hour)}, {dollars(cap)} allowed")
        for members, cap in ((roster.hot, now_allowed), (roster.cold, ever))
        for each in members
        if too_dear(each, cap)
    ]


def dearest_cap(group: Group) -> float:
    """The highest price that the group allows at any hour."""
    caps = (each.max_usd_per_hour for each in group.windows)
    return max(group.max_usd_per_hour, *(cap for cap in caps if cap is not None), 0.0)


def age(member: Member, group: Group, now: float) -> str:
    """Why a member is too old to stay; "" where it is not."""
    created_at, ends_at = member.intent.created_at, None
    if member.instance is not None:
        ends_at = member.instance.ends_at
        if member.instance.created_at is not None:
            created_at = member.instance.created_at
    if group.max_lifetime_s is not None and now - created_at >= group.max_lifetime_s:
        return f"{span(now - created_at)} old, {span(group.max_lifetime_s)} allowed"
    if ends_at is not None and ends_at - now <= successor_s(group.deadlines):
        return f"its contract ends in {span(max(0.0, ends_at - now))}"
    return ""


def old_ones(members: Sequence[Member], group: Group, now: float) -> list[Member]:
    """Those too old that may be touched. What is missing from the list may not."""
    return [
        each
        for each in members
        if not each.intent.held and each.stage is not _MISSING and age(each, group, now)
    ]


def replaced(
    old: Sequence[Member], hot: Sequence[Member], wanted: int, group: Group
) -> list[Member]:
    """Those of ``old`` that have never served, and those that ``wanted`` ready ones can do without,
    the least used first.

    One that is unheard or in trouble may serve all the same.
    """
    ready = sum(map(is_ready, hot))
    serving = sorted((each for each in old if is_ready(each)), key=worth)
    others = [each for each in old if not is_ready(each)]
    if ready < wanted:
        others = [each for each in others if _serves_nobody(each, group)]
    return others + serving[: max(0, ready - wanted)]


def _serves_nobody(member: Member, group: Group) -> bool:
    return member.stage in _NOT_YET or first_start(member, group.deadlines)
