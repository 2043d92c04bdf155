"""What runs on at one price, counted together: a few sums for each count, however many there are.

The sum of a group is brought up to date at every count; what one intent owes is worked out when it
is asked for. Both come of the same integral, so they agree to the millionth. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from vast_pyworker.model import Intent

from .charges import DISK, GPU, HOUR_S, MICRO, Charge, Kind, charges_of, spans

HourSum = tuple[int, str, Kind, int]


class Spell(Struct, gc=False):
    """An intent's instance at its prices, dollars an hour, for its GPU and for its disk.

    ``since`` is set by the meter: from then on nothing of it is in anybody's book. ``basis`` is
    what the prices were read from, for whoever began it.
    """

    intent: Intent
    usd_gpu: float
    usd_disk: float
    basis: Any = None
    since: float = 0.0


class Meter:
    """Guarded by the database's lock, but ``running``, which any thread may look things up in."""

    def __init__(self) -> None:
        self._spells: dict[str, Spell] = {}
        self.running: Mapping[str, Spell] = MappingProxyType(self._spells)
        """By intent."""
        self._rates: dict[tuple[str, Kind], dict[str, float]] = {}
        self._sums: dict[tuple[str, Kind], int] = {}  # at ``_at``, from the beginning of its hour
        self._at = float("-inf")
        self._is_settled = True

    def restart(self, at: float) -> None:
        """Count from ``at`` on. To be settled before."""
        self._at = at
        self._sums.clear()
        for spell in self._spells.values():
            spell.since = at

    def advance(self, until: float) -> list[HourSum]:
        """Hour, group, kind and millionths of a dollar of all since the last count."""
        found: list[HourSum] = []
        if until <= self._at:
            return found
        for hour, begun, ended in spans(self._at, until) if self._spells else ():
            for (group, kind), rates in self._rates.items():
                before = self._sums.get((group, kind)) if begun else 0
                if before is None:
                    before = _sum_at(begun, rates.values())
                self._sums[group, kind] = after = _sum_at(ended, rates.values())
                if after > before:
                    found.append((hour, group, kind, after - before))
        self._at = until
        self._is_settled = False
        return found

    def begin(self, spell: Spell) -> None:
        """It runs from the last count on; none of its intent's may be running."""
        intent = spell.intent
        spell.since = self._at
        self._spells[intent.id] = spell
        for kind, usd_per_hour in ((GPU, spell.usd_gpu), (DISK, spell.usd_disk)):
            if usd_per_hour > 0:
                key = (intent.group, kind)
                self._rates.setdefault(key, {})[intent.id] = usd_per_hour * MICRO
                self._sums.pop(key, None)

    def end(self, intent_id: str) -> list[Charge]:
        """What the intent owes until the last count; it runs no longer."""
        spell = self._spells.pop(intent_id, None)
        if spell is None:
            return []
        for kind in (GPU, DISK):
            key = (spell.intent.group, kind)
            if self._rates.get(key, {}).pop(intent_id, None) is not None:
                self._sums.pop(key, None)
        return _owed(spell, self._at)

    def end_all(self) -> list[Charge]:
        """What all owe until the last count; nothing runs any longer."""
        found = self.settle()
        for kept in (self._spells, self._rates, self._sums):
            kept.clear()
        return found

    def owed(self, intent_id: str) -> list[Charge]:
        """What the intent owes until the last count."""
        spell = self._spells.get(intent_id)
        return [] if spell is None else _owed(spell, self._at)

    def settle(self) -> list[Charge]:
        """What all owe until the last count. It is in the caller's book from now on."""
        found: list[Charge] = []
        if self._is_settled:
            return found
        for spell in self._spells.values():
            found += _owed(spell, self._at)
            spell.since = self._at
        self._is_settled = True
        return found


def _owed(spell: Spell, until: float) -> list[Charge]:
    return charges_of(spell.intent, spell.usd_gpu, spell.usd_disk, spell.since, until)


def _sum_at(offset_s: float, rates: Iterable[float]) -> int:
    """Millionths of a dollar from the beginning of an hour, each part rounded as ``integral``
    rounds it."""
    return sum(map(ceil, [each * offset_s / HOUR_S for each in rates]))
