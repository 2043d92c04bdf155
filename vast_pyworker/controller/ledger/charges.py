"""What was spent on one instance in one hour, and the integral of a price over time. Pure.

Money is whole millionths of a dollar. An ``hour`` is the Unix second at which an hour of UTC
begins. Prices are dollars an hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Literal, NamedTuple

from vast_pyworker.model import Intent

HOUR_S = 3600
MICRO = 1_000_000
GPU: Kind = "gpu"
DISK: Kind = "disk"
TRAFFIC: Kind = "traffic"
RECONCILED: Kind = "reconciled"

Kind = Literal["gpu", "disk", "traffic", "reconciled"]


class Charge(NamedTuple):
    """``micro_usd`` of one kind in one hour. ``instance_id`` is None while it is not known.

    ``reconciled`` is what the provider's own bill differs by, and the only kind below 0.
    """

    instance_id: int | None
    intent_id: str
    group: str
    kind: Kind
    micro_usd: int
    hour: int


def hour_of(at: float) -> int:
    """The hour that ``at`` lies in."""
    return int(at // HOUR_S) * HOUR_S


def integral(usd_per_hour: float, since: float, until: float) -> list[tuple[int, int]]:
    """Hour and millionths of a dollar for each hour between two times; none where none is due.

    Adjoining spells at one price add up to the whole: every end is counted from the beginning of
    its hour, so nothing is lost by counting often. Exact to one millionth for each spell and hour.
    """
    if usd_per_hour <= 0 or since >= until:
        return []
    found = []
    micro_per_hour = usd_per_hour * MICRO
    for hour, begun, ended in spans(since, until):
        micro = ceil(micro_per_hour * ended / HOUR_S) - ceil(micro_per_hour * begun / HOUR_S)
        if micro:
            found.append((hour, micro))
    return found


def spans(since: float, until: float) -> Iterator[tuple[int, float, float]]:
    """Each hour between two times, and from which to which second of it they reach."""
    hour = hour_of(since)
    begun = since - hour
    while hour < until:
        yield hour, begun, min(until - hour, HOUR_S)
        hour += HOUR_S
        begun = 0.0


def charges_at(
    intent: Intent, usd_per_hour: float, since: float, until: float, *, disk: float = 0.0
) -> list[Charge]:
    """What an intent's instance costs between two times at a price, ``disk`` of it for its disk."""
    return charges_of(intent, usd_per_hour - disk, disk, since, until)


def charges_of(
    intent: Intent, usd_gpu: float, usd_disk: float, since: float, until: float
) -> list[Charge]:
    """The same, at the prices of both parts."""
    instance_id, intent_id, group = intent.instance_id, intent.id, intent.group
    found = [
        Charge(instance_id, intent_id, group, GPU, micro, hour)
        for hour, micro in integral(usd_gpu, since, until)
    ]
    if usd_disk:
        found += [
            Charge(instance_id, intent_id, group, DISK, micro, hour)
            for hour, micro in integral(usd_disk, since, until)
        ]
    return found
