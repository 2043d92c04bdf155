"""How far the load's CPU and the candidate's are from each other, and waiting until they are near.

A virtual machine's CPUs are moved by its host. When they lie far apart, every hand-over between
load and candidate costs more CPU time, up to twice as much a request; so figures are compared only
where the distance was the same. A measurement that saw an unusual one is repeated, while the
budget for that lasts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from .cpu import Pins
from .processes import run_bounded
from .results import Streams, Unary

SAME = 2.0
"""Distances within this factor count as the same; near and far differ by 5."""
RARE = 0.1
"""A distance seen in a smaller share of all looks is a chance, not the run's distance."""
LOOK_AGAIN_S = 0.5

Sample = TypeVar("Sample", Unary, Streams)


def is_same(ns: float, other_ns: float) -> bool:
    return other_ns / SAME <= ns <= other_ns * SAME


def usual_ns(seen: Iterable[float]) -> float | None:
    """The least distance that is not rare among those seen; None where none was."""
    distances = sorted(seen)
    for least in distances:
        alike = sum(least <= ns <= least * SAME for ns in distances)
        if alike >= RARE * len(distances):
            return least
    return None


@dataclass
class Gauge:
    """``look`` gives the distance in nanoseconds, None where it does not matter; ``budget_s`` is
    what may be spent on waiting and repeating in the whole run."""

    look: Callable[[], float | None]
    budget_s: float
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    seen: list[float] = field(default_factory=list)

    def measured(self, measure: Callable[[], Sample]) -> Sample:
        """One sample, with its distance; taken again while that is unusual and budget is left."""
        while True:
            before = self._wait_for_the_usual()
            began = self.now()
            sample = measure()
            after = self._look()
            if before is None or after is None:
                return sample
            sample = replace(sample, distance_ns=max(before, after))
            if self.budget_s <= 0 or self._is_usual(max(before, after)):
                return sample
            self.budget_s -= self.now() - began

    def _wait_for_the_usual(self) -> float | None:
        ns = self._look()
        while ns is not None and not self._is_usual(ns) and self.budget_s > 0:
            self.sleep(LOOK_AGAIN_S)
            self.budget_s -= LOOK_AGAIN_S
            ns = self._look()
        return ns

    def _look(self) -> float | None:
        ns = self.look()
        if ns is not None:
            self.seen.append(ns)
        return ns

    def _is_usual(self, ns: float) -> bool:
        usual = usual_ns(self.seen)
        return usual is None or is_same(ns, usual)


def look_with(tool: Path, pins: Pins) -> Callable[[], float | None]:
    """A look by the compiled gauge; None where there is one CPU for all."""
    if pins.load is None or pins.candidate is None:
        return lambda: None
    command = [str(tool), str(min(pins.load)), str(min(pins.candidate))]
    return lambda: float(run_bounded(command, timeout_s=20))
