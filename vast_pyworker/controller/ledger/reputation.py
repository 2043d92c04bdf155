"""What is remembered against machines and hosts, fading, and on which hosts a launch failed.

A strike counts half after ``HALF_LIFE_S``. Machine and host are apart: a host has many machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select

from . import schema
from .database import Database

HALF_LIFE_S = 86400.0
FORGOTTEN_AFTER_S = 20 * HALF_LIFE_S  # a millionth of it is left
_STRIKES, _FAILURES = schema.strikes, schema.failures


@dataclass(frozen=True)
class Score:
    """A sum of strikes as it stood at ``at``."""

    value: float
    at: float

    def now(self, now: float) -> float:
        """What is left of it. It never grows, also where the clock went back."""
        return float(self.value * 0.5 ** (max(now - self.at, 0.0) / HALF_LIFE_S))


@dataclass(frozen=True)
class Scores:
    """All of them at one moment; 0.0 is nothing known against it."""

    at: float
    machines: Mapping[int, Score]
    hosts: Mapping[int, Score]

    def machine(self, machine_id: int) -> float:
        known = self.machines.get(machine_id)
        return known.now(self.at) if known else 0.0

    def host(self, host_id: int) -> float:
        known = self.hosts.get(host_id)
        return known.now(self.at) if known else 0.0


class Reputation:
    """Used from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._machines: dict[int, Score] = {}
        self._hosts: dict[int, Score] = {}
        self._failures: dict[str, dict[int, float]] = {}
        self._fail = database.replacing(_FAILURES)

    def load(self) -> None:
        """Read what still counts."""
        newest = self._database.read(select(func.max(_STRIKES.c.at)))[0][0] or 0.0
        for row in self._database.read(
            select(_STRIKES)
            .where(_STRIKES.c.at > newest - FORGOTTEN_AFTER_S)
            .order_by(_STRIKES.c.id)
        ):
            self._count(row.machine_id, row.host_id, row.weight, row.at)
        for row in self._database.read(select(_FAILURES)):
            self._failures.setdefault(row.group, {})[row.host_id] = row.at

    def strike(
        self, *, machine_id: int | None, host_id: int | None, weight: float, at: float, why: str
    ) -> None:
        """Something went wrong on a machine; either number may be unknown."""
        row = {"at": at, "machine_id": machine_id, "host_id": host_id, "weight": weight, "why": why}
        with self._database.write(durable=False) as transaction:
            transaction.execute(insert(_STRIKES), [row])
            transaction.after(lambda: self._count(machine_id, host_id, weight, at))

    def scores(self, now: float) -> Scores:
        """What stands against machines and hosts; does not change afterwards."""
        with self._database.lock:
            return Scores(now, dict(self._machines), dict(self._hosts))

    def note_failure(self, group: str, host_id: int | None, at: float) -> None:
        """The group's launch failed on a host. One that is unknown proves nothing."""
        if host_id is None:
            return
        row = {"group": group, "host_id": host_id, "at": at}
        with self._database.write(durable=False) as transaction:
            transaction.execute(self._fail, [row])
            transaction.after(lambda: self._failures.setdefault(group, {}).update({host_id: at}))

    def failed_hosts(self, group: str, since: float) -> frozenset[int]:
        """On which hosts the group's launch failed since then."""
        with self._database.lock:
            known = self._failures.get(group, {})
            return frozenset(host_id for host_id, at in known.items() if at >= since)

    def forgive_launch(self, group: str) -> None:
        """Forget the failures of a group's launch: it was changed, or has come up."""
        if not self._failures.get(group):
            return
        with self._database.write(durable=False) as transaction:
            transaction.execute(delete(_FAILURES).where(_FAILURES.c.group == group))
            transaction.after(lambda: self._failures.update({group: {}}))

    def _count(self, machine_id: int | None, host_id: int | None, weight: float, at: float) -> None:
        for number, scores in ((machine_id, self._machines), (host_id, self._hosts)):
            if number is not None:
                before = scores.get(number)
                left = before.now(at) if before else 0.0
                latest = max(at, before.at) if before else at
                scores[number] = Score(left + weight, latest)
