"""The money counted since the last writing, and the sums of the hours, in memory. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

from .charges import Charge

_PART = attrgetter("intent_id", "hour", "kind", "micro_usd")


class Book:
    """Guarded by the database's lock. Sums are millionths of a dollar."""

    def __init__(self) -> None:
        self._new: dict[str, dict[tuple[int, str], int]] = {}  # by intent: hour and kind
        self._new_hours: dict[tuple[int, str, str], int] = {}
        self._hours: dict[str, dict[int, int]] = {}
        self._all: dict[int, int] = {}
        self.loaded_since = float("inf")
        """From this hour on the sums of hours are complete."""

    def load(self, hours: Iterable[tuple[int, str, int]], since: float) -> None:
        """Hour, group and sum of all kinds, from ``since`` on."""
        for hour, group, micro in hours:
            self._sum(hour, group, micro)
        self.loaded_since = since

    def add(self, charges: Iterable[Charge]) -> None:
        """Charges that are still to be written."""
        charges = list(charges)
        self.add_parts(charges)
        for each in charges:
            self.add_sum(each.hour, each.group, each.kind, each.micro_usd)

    def add_parts(self, charges: Iterable[Charge]) -> None:
        """The same of charges that are in the sums of the hours already."""
        new = self._new
        for intent_id, hour, kind, micro in map(_PART, charges):
            own = new.get(intent_id)
            if own is None:
                own = new[intent_id] = {}
            own[hour, kind] = own.get((hour, kind), 0) + micro

    def add_sum(self, hour: int, group: str, kind: str, micro: int) -> None:
        """What an hour cost, of which the intents' parts are to follow."""
        key = (hour, group, kind)
        self._new_hours[key] = self._new_hours.get(key, 0) + micro
        self._sum(hour, group, micro)

    def add_written(self, charges: Iterable[Charge]) -> None:
        """Charges that are in the database already."""
        for each in charges:
            self._sum(each.hour, each.group, each.micro_usd)

    def has_new(self) -> bool:
        return bool(self._new or self._new_hours)

    def new_of(self, intent_id: str) -> dict[int, int]:
        """What is not written yet of one intent, by hour."""
        found: dict[int, int] = {}
        for (hour, _), micro in self._new.get(intent_id, {}).items():
            found[hour] = found.get(hour, 0) + micro
        return found

    def spent(self, since: int, group: str | None) -> int:
        """The sum of the hours from ``since`` on."""
        hours = self._all if group is None else self._hours.get(group, {})
        return sum(micro for hour, micro in hours.items() if hour >= since)

    def new(self) -> list[dict[str, Any]]:
        """What is not written yet, as rows of ``spend``."""
        return [
            {"intent_id": intent_id, "hour": hour, "kind": kind, "micro_usd": micro}
            for intent_id, own in self._new.items()
            for (hour, kind), micro in own.items()
        ]

    def new_hours(self) -> list[dict[str, Any]]:
        """What is not written yet, as rows of ``spend_hours``."""
        return [
            {"hour": hour, "group": group, "kind": kind, "micro_usd": micro}
            for (hour, group, kind), micro in self._new_hours.items()
        ]

    def new_by_intent(self) -> Mapping[str, int]:
        return {intent_id: sum(own.values()) for intent_id, own in self._new.items()}

    def written(self) -> None:
        """All of it is in the database."""
        self._new.clear()
        self._new_hours.clear()

    def _sum(self, hour: int, group: str, micro: int) -> None:
        self._all[hour] = self._all.get(hour, 0) + micro
        hours = self._hours.setdefault(group, {})
        hours[hour] = hours.get(hour, 0) + micro
