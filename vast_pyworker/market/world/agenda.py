"""What is due when: one heap for the whole market, so that time costs only what happens in it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_FEW = 256


@dataclass(frozen=True, slots=True)
class Event:
    """``name`` says what happens at ``at`` to ``target`` (an instance, a machine, ...); ``stamp``
    is the contract's when it was written down, and ``detail`` is JSON values."""

    at: float
    name: str
    target: int
    stamp: int
    detail: Any = None


class Agenda:
    """Events in the order of their time, and of their coming where that is equal."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Event]] = []
        self._written = 0
        self._tidy_at = _FEW

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, at: float, name: str, target: int, stamp: int = 0, detail: Any = None) -> None:
        self._written += 1
        event = Event(at, name, target, stamp, detail)
        heapq.heappush(self._heap, (at, self._written, event))

    def next_at(self) -> float | None:
        return self._heap[0][0] if self._heap else None

    def pop(self) -> Event:
        return heapq.heappop(self._heap)[2]

    def tidy(self, void: Callable[[Event], bool]) -> None:
        """Drops what no longer means anything, whenever the heap has doubled since last time."""
        if len(self._heap) <= self._tidy_at:
            return
        self._heap = [entry for entry in self._heap if not void(entry[2])]
        heapq.heapify(self._heap)
        self._tidy_at = 2 * len(self._heap) + _FEW

    def state(self) -> list[list[Any]]:
        """Everything here as JSON values, in order, for ``restore``."""
        events = [event for _, _, event in sorted(self._heap, key=lambda entry: entry[:2])]
        return [[e.at, e.name, e.target, e.stamp, e.detail] for e in events]

    def restore(self, rows: list[list[Any]]) -> None:
        self._heap = []
        for row in rows:
            self.add(*row)
