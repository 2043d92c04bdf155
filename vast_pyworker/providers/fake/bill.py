"""The fake's own bill: exact, by instance, phase and rate, to be compared with a ledger.

Rates are whole micro-dollars an hour and times whole microseconds, so every sum is a whole number
of ``UNITS_PER_MICRO`` parts of a micro-dollar and nothing is ever rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from vast_pyworker.model import Phase

UNITS_PER_MICRO = 3_600_000_000
MICRO = 1_000_000


def micro(amount: float) -> int:
    """Dollars as micro-dollars, or seconds as microseconds."""
    return round(amount * MICRO)


@dataclass(frozen=True)
class Line:
    """One time at one rate: ``since`` and ``until`` in microseconds of Unix time."""

    phase: Phase
    micro_usd_per_hour: int
    since: int
    until: int

    @property
    def units(self) -> int:
        return self.micro_usd_per_hour * (self.until - self.since)

    @property
    def micro_usd(self) -> Fraction:
        return Fraction(self.units, UNITS_PER_MICRO)


class Bill:
    """Times come from the caller, in microseconds, and never go back."""

    def __init__(self) -> None:
        self._closed: dict[int, list[Line]] = {}
        self._open: dict[int, Line] = {}  # until is since
        self._units: dict[int, int] = {}  # of closed lines
        self._charged = 0  # of all, until _at
        self._rate = 0
        self._at = 0

    def begin(self, instance_id: int, phase: Phase, micro_usd_per_hour: int, at: int) -> None:
        """From now on it costs this much; what it cost before ends."""
        was = self._open.get(instance_id)
        if was and (was.phase, was.micro_usd_per_hour) == (phase, micro_usd_per_hour):
            return
        self.end(instance_id, at)
        self._rate += micro_usd_per_hour
        self._open[instance_id] = Line(phase, micro_usd_per_hour, at, at)

    def end(self, instance_id: int, at: int) -> None:
        """It costs nothing any more."""
        self._charged += self._rate * (at - self._at)
        self._at = at
        was = self._open.pop(instance_id, None)
        if was is None:
            return
        self._rate -= was.micro_usd_per_hour
        if at > was.since:
            line = Line(was.phase, was.micro_usd_per_hour, was.since, at)
            self._closed.setdefault(instance_id, []).append(line)
            self._units[instance_id] = self._units.get(instance_id, 0) + line.units

    def lines(self, instance_id: int, at: int) -> list[Line]:
        """All it was charged, the last up to ``at``."""
        was = self._open.get(instance_id)
        closed = self._closed.get(instance_id, [])
        if was is None or at <= was.since:
            return list(closed)
        return [*closed, Line(was.phase, was.micro_usd_per_hour, was.since, at)]

    def micro_usd(self, instance_id: int, at: int) -> Fraction:
        """All that one instance was charged, exact micro-dollars."""
        return Fraction(self._units_of(instance_id, at), UNITS_PER_MICRO)

    def usd_by_instance(self, at: int) -> dict[int, float]:
        """Dollars by instance, also of those that are gone."""
        known = {**dict.fromkeys(self._units), **dict.fromkeys(self._open)}
        per_usd = UNITS_PER_MICRO * MICRO
        return {each: self._units_of(each, at) / per_usd for each in known}

    def total_units(self, at: int) -> int:
        """All that was charged to all."""
        return self._charged + self._rate * (at - self._at)

    def total_micro_usd(self, at: int) -> Fraction:
        return Fraction(self.total_units(at), UNITS_PER_MICRO)

    def reaches(self, units: int) -> int | None:
        """When the total comes to ``units`` if nothing changes, None for never."""
        if self._charged >= units:
            return self._at
        if self._rate <= 0:
            return None
        return self._at - (self._charged - units) // self._rate

    def _units_of(self, instance_id: int, at: int) -> int:
        was = self._open.get(instance_id)
        running = was.micro_usd_per_hour * max(0, at - was.since) if was else 0
        return self._units.get(instance_id, 0) + running
