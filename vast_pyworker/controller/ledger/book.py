"""The money counted since the last writing, and the sums of the hours, in memory. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .charges import Charge


class Book:
    """Guarded by the database's lock. Sums are millionths of a dollar."""

    def __init__(self) -> None:
        self._new: dict[tuple[str, int, str], int] = {}
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
        new, hours = self._new, self._new_hours
        for each in charges:
            key = (each.intent_id, each.hour, each.kind)
            new[key] = new.get(key, 0) + each.micro_usd
            whole = (each.hour, each.group, each.kind)
            hours[whole] = hours.get(whole, 0) + each.micro_usd
            self._sum(each.hour, each.group, each.micro_usd)

    def add_written(self, charges: Iterable[Charge]) -> None:
        """Charges that are in the database already."""
        for each in charges:
            self._sum(each.hour, each.group, each.micro_usd)

    def has_new(self) -> bool:
        return bool(self._new)

    def new_of(self, intent_id: str) -> dict[int, int]:
        """What is not written yet of one intent, by hour."""
        found: dict[int, int] = {}
        for (owner, hour, _), micro in self._new.items():
            if owner == intent_id:
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
            for (intent_id, hour, kind), micro in self._new.items()
        ]

    def new_hours(self) -> list[dict[str, Any]]:
        """What is not written yet, as rows of ``spend_hours``."""
        return [
            {"hour": hour, "group": group, "kind": kind, "micro_usd": micro}
            for (hour, group, kind), micro in self._new_hours.items()
        ]

    def new_by_intent(self) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for (intent_id, _, _), micro in self._new.items():
            found[intent_id] = found.get(intent_id, 0) + micro
        return found

    def written(self) -> None:
        """All of it is in the database."""
        self._new.clear()
        self._new_hours.clear()

    def _sum(self, hour: int, group: str, micro: int) -> None:
        self._all[hour] = self._all.get(hour, 0) + micro
        hours = self._hours.setdefault(group, {})
        hours[hour] = hours.get(hour, 0) + micro
