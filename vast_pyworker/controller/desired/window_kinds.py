"""How the hours, days and time zone of a window are written."""

from __future__ import annotations

import re
from datetime import time

from .kinds import Amiss, Kind, read_text
from .windows import zone_of

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"\s*(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)\s*")


def read_hours(value: object) -> tuple[time, time]:
    match = _HOURS.fullmatch(read_text(value))
    if match is None:
        raise ValueError
    since_hour, since_minute, until_hour, until_minute = (int(each) for each in match.groups())
    if (until_hour, until_minute) == (24, 0):
        until_hour = 0  # the end of this day is the beginning of the next
    return time(since_hour, since_minute), time(until_hour, until_minute)


def read_days(value: object) -> frozenset[int]:
    days: set[int] = set()
    for part in read_text(value).lower().split(","):
        first, dash, last = part.strip().partition("-")
        begin = DAYS.index(first.strip())
        end = DAYS.index(last.strip()) if dash else begin
        days.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return frozenset(days)


def read_zone(value: object) -> str:
    name = read_text(value)
    try:
        zone_of(name)
    except (LookupError, ValueError, OSError) as exc:
        raise Amiss(
            f'"{name}" is no time zone on this machine; write one such as "Europe/Berlin" or '
            '"UTC", or install tzdata if it is one.'
        ) from exc
    return name


HOURS = Kind("span of hours", 'two times of day, such as "22:00-06:00"', read_hours)
WEEKDAYS = Kind("list of days", 'days and spans of them, such as "mon-fri" or "sat,sun"', read_days)
ZONE = Kind("time zone", 'a name such as "Europe/Berlin"', read_zone)
