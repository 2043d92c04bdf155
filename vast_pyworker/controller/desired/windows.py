"""Which bounds hold for a group at a moment: its own, or those of the first window it is in.

A window begins and ends by the clock on the wall of its zone and belongs to the day on which it
begins. Where the clock is put forward, a time that is left out is the moment of the change; where
it is put back, a time that comes twice is the first of the two. So windows that meet leave no
hole and do not overlap, and a window is one piece on every day.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from vast_pyworker.model import Bounds, Group, Window

_DAY = timedelta(days=1)
_DAY_MINUTES = 24 * 60
_Number = TypeVar("_Number", int, float)


def bounds_at(group: Group, now: float) -> Bounds:
    """The bounds at ``now`` (Unix seconds). What the window leaves open is the group's own."""
    window = next((each for each in group.windows if is_open(each, now)), None)
    if window is None:
        return Bounds(group.min_instances, group.max_instances, group.max_usd_per_hour)
    return Bounds(
        _first(window.min_instances, group.min_instances),
        _first(window.max_instances, group.max_instances),
        _first(window.max_usd_per_hour, group.max_usd_per_hour),
    )


def is_open(window: Window, now: float) -> bool:
    """Whether ``now`` (Unix seconds) lies in it: from its begin on, until before its end."""
    zone = zone_of(window.zone)
    today = datetime.fromtimestamp(now, zone).date()
    return any(_holds(window, day, zone, now) for day in (today, today - _DAY))


def minutes_of(window: Mapping[str, Any]) -> frozenset[int]:
    """The minutes of a week of its zone that are in a window, by its fields; none where some of
    them could not be read."""
    if not {"since", "until", "days"} <= window.keys():
        return frozenset()
    since, until = (each.hour * 60 + each.minute for each in (window["since"], window["until"]))
    span = range(since, until if until > since else until + _DAY_MINUTES)
    week = 7 * _DAY_MINUTES
    return frozenset((day * _DAY_MINUTES + m) % week for day in window["days"] for m in span)


def zone_of(name: str) -> tzinfo:
    """The time zone. Raises ValueError or an OSError or LookupError where there is none."""
    return timezone.utc if name == "UTC" else ZoneInfo(name)


def _holds(window: Window, day: date, zone: tzinfo, now: float) -> bool:
    if day.weekday() not in window.days:
        return False
    last = day if window.until > window.since else day + _DAY
    return moment(day, window.since, zone) <= now < moment(last, window.until, zone)


def moment(day: date, at: time, zone: tzinfo) -> float:
    """When the clocks of the zone first show this time or a later one, in Unix seconds."""
    shown = datetime.combine(day, at)
    first = shown.replace(tzinfo=zone).timestamp()
    other = shown.replace(tzinfo=zone, fold=1).timestamp()
    if first <= other:
        return first
    # The time is left out that day: ``first`` is as long after the change as ``other`` before it.
    seconds = range(int(other), int(first) + 1)
    return float(seconds[bisect_left(seconds, shown, key=lambda each: _shown(each, zone))])


def _shown(seconds: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(seconds, zone).replace(tzinfo=None)


def _first(value: _Number | None, other: _Number) -> _Number:
    return other if value is None else value
