"""What members cost between two moments, and the budget that is left. Pure.

Where it is not known what an instance cost it is charged as if it ran: the ledger may say too much
until the provider's bill comes, never too little.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Protocol

from vast_pyworker.controller.budget import Budget, window_starts
from vast_pyworker.controller.ledger.charges import Charge, charges_of
from vast_pyworker.controller.ledger.meter import Spell
from vast_pyworker.model import Intent, Limits, Member, Phase, Stage

__all__ = ["Budget", "Spent", "budget_of", "charges_between", "payable", "running_on"]

_DISK_ONLY = (Phase.STOPPED, Phase.OUTBID, Phase.SCHEDULING, Phase.EXPIRED)
_UNSEEN = (Stage.ORDERED, Stage.MISSING)


class Spent(Protocol):
    """Sums of money; the ledger's ``spend`` has it."""

    def spent_micro(self, since: float, group: str | None = None) -> int: ...

    def last_at(self) -> float | None: ...


def charges_between(members: Iterable[Member], since: float, until: float) -> list[Charge]:
    """What each member cost from ``since`` to ``until``; nothing where the clock went back.

    It costs what the provider says that it costs now, from when it came to its stage; before that,
    and where nobody knows, the dearest price known. So a controller that was away charges the time
    until its first look in full.
    """
    if since >= until:
        return []
    found: list[Charge] = []
    for member in members:
        begun = max(since, member.intent.created_at)
        seen = max(member.since, begun)
        if seen > begun:
            found += _charges(member, _dearest(member), begun, min(seen, until))
        if seen < until:
            found += _charges(member, _present(member), seen, until)
    return found


def running_on(member: Member, *, seen: bool, basis: object) -> Spell:
    """The member at the price that ``charges_between`` will charge as long as nothing changes.

    Not ``seen``: nobody looks at it any more, so what does not stand is taken to run.
    """
    known = seen or member.stage is Stage.COLD
    gpu, disk = _parts(member, _present(member) if known else _dearest(member))
    return Spell(member.intent, gpu, disk, basis)


def payable(members: Iterable[Member], opened: Mapping[str, Intent], now: float) -> list[Member]:
    """Members of an earlier look brought to what is open now: what is closed is left out, what was
    opened since is there as ordered."""
    known = [each for each in members if each.intent.id in opened]
    seen = {each.intent.id for each in known}
    return known + [
        Member(intent, Stage.ORDERED, now) for key, intent in opened.items() if key not in seen
    ]


def budget_of(limits: Limits, open_intents: Iterable[Intent], spend: Spent, now: float) -> Budget:
    """What may be spent at this moment, all that is open counted at its running price."""
    prices = [
        each.usd_per_hour_cap if each.usd_per_hour is None else each.usd_per_hour
        for each in open_intents
    ]
    committed = sum(prices)
    day, month = window_starts(now)
    last_at = spend.last_at()
    known = last_at is not None or not prices

    def spent(since: float) -> int | None:
        if not known:
            return None
        uncounted_s = max(now - max(since, now if last_at is None else last_at), 0.0)
        return spend.spent_micro(since) + round(committed * uncounted_s / 3600.0 * 1e6)

    return Budget(limits, committed, len(prices), spent(day), spent(month), now)


def _present(member: Member) -> float:
    """Dollars an hour in the state that was seen last."""
    instance = member.instance
    if instance is None or instance.phase is Phase.UNKNOWN or member.stage in _UNSEEN:
        return _dearest(member)
    if instance.usd_per_hour_now is not None:
        return instance.usd_per_hour_now
    if instance.phase in _DISK_ONLY and instance.usd_per_hour_stopped is not None:
        return instance.usd_per_hour_stopped
    return _dearest(member)


def _dearest(member: Member) -> float:
    """Dollars an hour that it cannot cost more than, as far as is known."""
    intent, instance = member.intent, member.instance
    if intent.instance_id is None:
        return max(intent.usd_per_hour_cap, intent.usd_per_hour or 0.0)
    prices = [intent.usd_per_hour]
    if instance is not None:
        prices += [instance.usd_per_hour, instance.usd_per_hour_now]
    known = [each for each in prices if each is not None and isfinite(each)]
    return max(known) if known else intent.usd_per_hour_cap


def _charges(member: Member, usd_per_hour: float, since: float, until: float) -> list[Charge]:
    return charges_of(member.intent, *_parts(member, usd_per_hour), since, until)


def _parts(member: Member, usd_per_hour: float) -> tuple[float, float]:
    """Of a price the GPU's part and the disk's. All is for the GPU where that is not known."""
    stopped = member.instance.usd_per_hour_stopped if member.instance else None
    disk = min(max(stopped or 0.0, 0.0), usd_per_hour)
    return usd_per_hour - disk, disk
