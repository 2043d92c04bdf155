"""Whether one more instance may be paid for. Pure, and no where anything is unknown.

What is committed runs, and is paid for, until the end of the day and of the month: whether it will
be ended sooner is not known when it is rented. One more counts for at least an hour, for its image
is billed beside its price. All that is rented counts at its running price, also what stands still
and what is being destroyed. Days and months are those of UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from math import isfinite

from vast_pyworker.controller.planning.context import Verdict
from vast_pyworker.model import Limits

MICRO = 1_000_000
ROUNDING_USD = 1e-9
LEAST_HOURS = 1.0
"""One more counts for at least so long: its image is billed beside its price, at once."""


@dataclass(frozen=True)
class Window:
    """The present day or month: its limit and what was spent in it, in dollars."""

    name: str
    key: str
    limit: float
    spent: float
    hours_left: float


@dataclass(frozen=True)
class Budget:
    """What may be spent and what is. None is unknown, and refused.

    ``committed_usd_per_hour`` is what all ``instances`` cost while they run.
    """

    limits: Limits
    committed_usd_per_hour: float | None
    instances: int | None
    spent_day_micro: int | None
    spent_month_micro: int | None
    now: float

    def verdict(self, usd_per_hour: float | None, planned: int = 0) -> Verdict:
        """On one more at a price, after ``planned`` others at the same price."""
        if usd_per_hour is None or not isfinite(usd_per_hour) or usd_per_hour < 0:
            return Verdict(False, "Nothing is rented at a price that is not known.")
        sentence = self._unknown() or next(self._refusals(usd_per_hour, planned), "")
        return Verdict(not sentence, sentence)

    def exhausted(self, within_s: float) -> str:
        """Why what there is cannot go on for so long; "" where it can.

        "" also where that is not known: nothing is ended for want of knowledge.
        """
        rate = self.committed_usd_per_hour
        for window in self._windows() if rate is not None else ():
            assert rate is not None
            due = window.spent + rate * min(within_s / 3600.0, window.hours_left)
            if due > window.limit + ROUNDING_USD:
                return (
                    f"The {window.name} costs ${due:.2f} of at most ${window.limit:.2f} "
                    f"({window.key}) within {within_s / 60:.0f} minutes: "
                    f"${window.spent:.2f} is spent, and all runs at ${rate:.3f}/h."
                )
        return ""

    def _unknown(self) -> str:
        if self.instances is None or self.committed_usd_per_hour is None:
            return "Nothing is rented while it is not known what is rented already."
        if not isfinite(self.committed_usd_per_hour):
            return "Nothing is rented while the price of what is rented already is not known."
        day, month = self.limits.usd_per_day, self.limits.usd_per_month
        if day is not None and self.spent_day_micro is None:
            return "Nothing is rented while it is not known what was spent today."
        if month is not None and self.spent_month_micro is None:
            return "Nothing is rented while it is not known what was spent this month."
        return ""

    def _refusals(self, usd_per_hour: float, planned: int) -> Iterator[str]:
        assert self.instances is not None and self.committed_usd_per_hour is not None
        count = self.instances + planned + 1
        if count > self.limits.instances:
            yield (
                f"One more would be {count} instances of at most {self.limits.instances} "
                "(limits.instances)."
            )
        rate = self.committed_usd_per_hour + usd_per_hour * (planned + 1)
        if rate > self.limits.usd_per_hour + ROUNDING_USD:
            yield (
                f"One more at ${usd_per_hour:.3f}/h would be ${rate:.3f}/h of at most "
                f"${self.limits.usd_per_hour:.3f}/h (limits.usd_per_hour)."
            )
        for window in self._windows():
            least = max(LEAST_HOURS - window.hours_left, 0.0) * usd_per_hour * (planned + 1)
            due = window.spent + rate * window.hours_left + least
            if due > window.limit + ROUNDING_USD:
                yield (
                    f"One more at ${usd_per_hour:.3f}/h could take the {window.name} to "
                    f"${due:.2f} of at most ${window.limit:.2f} ({window.key}): "
                    f"${window.spent:.2f} is spent, and ${rate:.3f}/h for the "
                    f"{window.hours_left:.1f} hours left may follow"
                    + (", and one more counts for an hour: its image is billed." if least else ".")
                )

    def _windows(self) -> Iterator[Window]:
        day, month = window_ends(self.now)
        known = (
            ("day", "limits.usd_per_day", self.limits.usd_per_day, self.spent_day_micro, day),
            (
                "month",
                "limits.usd_per_month",
                self.limits.usd_per_month,
                self.spent_month_micro,
                month,
            ),
        )
        for name, key, limit, spent, ends in known:
            if limit is not None and spent is not None:
                yield Window(name, key, limit, spent / MICRO, (ends - self.now) / 3600.0)


def window_starts(now: float) -> tuple[float, float]:
    """When the present day and the present month began in UTC, Unix seconds."""
    midnight = _midnight(now)
    return midnight.timestamp(), midnight.replace(day=1).timestamp()


def window_ends(now: float) -> tuple[float, float]:
    """When the present day and the present month end in UTC, Unix seconds."""
    midnight = _midnight(now)
    next_month = (midnight.replace(day=28) + timedelta(days=4)).replace(day=1)
    return (midnight + timedelta(days=1)).timestamp(), next_month.timestamp()


def _midnight(now: float) -> datetime:
    day = datetime.fromtimestamp(now, timezone.utc)
    return day.replace(hour=0, minute=0, second=0, microsecond=0)
