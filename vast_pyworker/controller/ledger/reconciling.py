"""What has to be written so that the ledger says what the provider billed. Writes nothing.

More is charged to the present hour. Less is believed only of an instance that is gone, for a bill
may be late; it is taken back from the newest hours first and never makes an hour of an instance
cost less than nothing: an error is found soon after it was made, and money of last month is no room
in the budget of this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil, isfinite

from sqlalchemy import ColumnElement, func, select

from vast_pyworker.model import Intent

from . import schema
from .charges import HOUR_S, MICRO, RECONCILED, Charge
from .database import Database

_TABLE, _INTENTS = schema.spend, schema.intents
ROUNDING = 1e-3  # of a millionth: what dollars lose as floating point is not a part of one
Nets = dict[str, list[tuple[int, int]]]  # by intent: hour and sum, the newest hour first


@dataclass(frozen=True)
class Bill:
    """Dollars by instance, read in ``hour``."""

    usd: Mapping[int, float]
    hour: int


@dataclass(frozen=True)
class _Owner:
    instance_id: int
    intent_id: str
    group: str
    is_closed: bool

    def charge(self, micro: int, hour: int) -> Charge:
        return Charge(self.instance_id, self.intent_id, self.group, RECONCILED, micro, hour)


def differences(database: Database, bill: Bill) -> list[Charge]:
    """For each instance on the bill that is known. All charges have to be in the database."""
    totals = _totals(database)
    recent: Nets | None = None
    found: list[Charge] = []
    for owner in _owners(database):
        usd = bill.usd.get(owner.instance_id)
        if usd is None or not isfinite(usd) or usd < 0:
            continue
        more = ceil(usd * MICRO - ROUNDING) - totals.get(owner.intent_id, 0)
        if more > 0:
            found.append(owner.charge(more, bill.hour))
        elif more < 0 and owner.is_closed:
            if recent is None:
                recent = _nets(database, _TABLE.c.hour >= bill.hour - HOUR_S)
            found += _taken_back(database, owner, -more, recent)
    return found


def reversal(database: Database, intent: Intent, new: Mapping[int, int]) -> list[Charge]:
    """Takes back all that was charged for an intent, hour by hour; ``new`` is not written yet."""
    sums = dict(new)
    for hour, micro in _nets(database, _TABLE.c.intent_id == intent.id).get(intent.id, ()):
        sums[hour] = sums.get(hour, 0) + micro
    return [
        Charge(intent.instance_id, intent.id, intent.group, RECONCILED, -micro, hour)
        for hour, micro in sums.items()
        if micro
    ]


def _taken_back(database: Database, owner: _Owner, micro: int, recent: Nets) -> Iterator[Charge]:
    nets = recent.get(owner.intent_id, [])
    if sum(net for _, net in nets) < micro:
        nets = _nets(database, _TABLE.c.intent_id == owner.intent_id)[owner.intent_id]
    for hour, net in nets:
        part = min(net, micro)
        if part > 0:
            micro -= part
            yield owner.charge(-part, hour)


def _owners(database: Database) -> Iterable[_Owner]:
    """The intent to charge for each instance: the last, should there be several."""
    rows = database.read(
        select(
            _INTENTS.c.instance_id,
            _INTENTS.c.id,
            _INTENTS.c.group,
            _INTENTS.c.closed_at.is_not(None).label("is_closed"),
        )
        .where(_INTENTS.c.instance_id.is_not(None))
        .order_by(_INTENTS.c.created_at)
    )
    return {
        row.instance_id: _Owner(row.instance_id, row.id, row.group, bool(row.is_closed))
        for row in rows
    }.values()


def _totals(database: Database) -> Mapping[str, int]:
    rows = database.read(
        select(_TABLE.c.intent_id, func.sum(_TABLE.c.micro_usd)).group_by(_TABLE.c.intent_id)
    )
    return {intent_id: int(micro) for intent_id, micro in rows}


def _nets(database: Database, which: ColumnElement[bool]) -> Nets:
    rows = database.read(
        select(_TABLE.c.intent_id, _TABLE.c.hour, func.sum(_TABLE.c.micro_usd))
        .where(which)
        .group_by(_TABLE.c.intent_id, _TABLE.c.hour)
        .order_by(_TABLE.c.hour.desc())
    )
    found: Nets = {}
    for intent_id, hour, micro in rows:
        found.setdefault(intent_id, []).append((hour, int(micro)))
    return found
