"""The policy ``target``: enough workers that each is used to a given share.

Follows the load of the last minute, and work that waits. It goes down only to the highest number
that was needed within a window (as Kubernetes does), and panics when load comes at twice what it
wanted to have (as Knative does). Numbers come from what was wanted, never from how many happen to
be ready; what is unknown never makes a group smaller.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vast_pyworker.model import Bounds, Group, Want

from .base import within
from .memories import Peaks, highest, with_peak
from .observation import Load, Observation
from .options import Option, check, values
from .words import amount, percent

OPTIONS = (
    Option("utilisation", "the share of a worker that is to be used", 0.7, most=1.0, above=True),
    Option("up_window_s", "more are wanted only if more were needed for so long", 0.0),
    Option("down_window_s", "fewer are wanted only if fewer were needed for so long", 300.0),
    Option("panic_threshold", "how many times what is wanted makes a panic", 2.0, 1.0, above=True),
    Option("panic_window_s", "how long a panic lasts after its last cause", 60.0),
    Option("backlog_s", "in what time waiting work is to be done", 60.0, above=True),
)
_ROUNDING = 1e-9  # so that a load of exactly n workers does not need n + 1


@dataclass(frozen=True)
class Need:
    """How many workers the load asks for. Where it is not ``whole``, that is the least it can be,
    for some of it is unknown."""

    workers: float
    whole: bool
    words: str

    @property
    def count(self) -> int:
        return math.ceil(self.workers - _ROUNDING)


@dataclass(frozen=True)
class Memory:
    """``lows`` are negated, so that the highest of them is the lowest need."""

    wanted: int
    highs: Peaks
    lows: Peaks
    panic_until: float = -math.inf


class Target:
    """Wants load / (what one worker can do x ``utilisation``), and the group's cold pool."""

    def check(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        return check("target", OPTIONS, options)

    def decide(
        self, group: Group, bounds: Bounds, seen: Observation, memory: Any
    ) -> tuple[Want, Any]:
        options = values(OPTIONS, group.policy_options)
        # What there is at a start counts as needed: the load of the time before is not known.
        known = memory if isinstance(memory, Memory) else _begun(seen)
        need = need_of(seen, options["utilisation"], options["backlog_s"])
        known = _remember(known, need, seen, options)
        count, why = _stabilised(known, need, seen.now, options)
        hot, note = within(bounds, count)
        settled = Memory(hot, known.highs, known.lows, known.panic_until)
        return Want(hot, group.cold_instances, f"{why}{note}"), settled


def need_of(seen: Observation, utilisation: float, backlog_s: float) -> Need:
    """What the load asks for. Where one worker's capacity is unknown, one for any load at all."""
    load, whole = demand(seen.load, backlog_s)
    if whole and load == 0:
        return Need(0.0, True, "no load")
    if not seen.perf_per_worker:
        words = "what a worker can do is not known yet"
        return Need(1.0 if load > 0 else 0.0, False, words)
    workers = load / (seen.perf_per_worker * utilisation)
    if not whole:
        return Need(workers, False, "the load is not known in full")
    words = f"load {amount(load)} units/s needs {amount(workers)} at {percent(utilisation)}"
    return Need(workers, True, words)


def demand(load: Load, backlog_s: float) -> tuple[float, bool]:
    """Units of work a second to be done, and whether all of it is known.

    Work in flight has mostly come within the last minute: the greater of the two counts, so that a
    long stream after which nothing came is still seen. What waits comes on top.
    """
    coming = max(load.arrivals_60s or 0.0, (load.in_flight or 0.0) / backlog_s)
    parts = (load.arrivals_60s, load.in_flight, load.queued)
    return coming + (load.queued or 0.0) / backlog_s, None not in parts


def _begun(seen: Observation) -> Memory:
    return Memory(seen.hot, ((seen.now, seen.hot),), ((seen.now, -seen.hot),))


def _remember(known: Memory, need: Need, seen: Observation, options: Mapping[str, Any]) -> Memory:
    now, count = seen.now, need.count
    least = count if need.whole else max(count, known.wanted)
    started = min(known.panic_until, now + options["panic_window_s"])  # a clock may go back
    panics = _panics(known, seen, options)
    return Memory(
        known.wanted,
        with_peak(known.highs, least, now, options["down_window_s"]),
        with_peak(known.lows, -least, now, options["up_window_s"]),
        now + options["panic_window_s"] if panics else started,
    )


def _panics(known: Memory, seen: Observation, options: Mapping[str, Any]) -> bool:
    load, _ = demand(seen.load, options["backlog_s"])
    if not seen.perf_per_worker or known.wanted < 1:
        return False
    return bool(load >= options["panic_threshold"] * known.wanted * seen.perf_per_worker)


def _stabilised(
    known: Memory, need: Need, now: float, options: Mapping[str, Any]
) -> tuple[int, str]:
    """The number wanted before the bounds, and why."""
    if not need.whole:
        count = max(need.count, known.wanted)
        return count, f"{need.words}: {'more' if count > known.wanted else 'no change'}"
    most, least = round(highest(known.highs)), round(-highest(known.lows))
    if now < known.panic_until:
        return max(need.count, known.wanted, most), f"panic: {need.words}"
    if need.count > known.wanted:
        # From nothing there is no waiting; and the lowest need of a window never means fewer.
        count = max(least, known.wanted) if known.wanted else need.count
        waits = f", for less than {options['up_window_s']:g} s" if count < need.count else ""
        return count, need.words + waits
    count = min(max(most, need.count), known.wanted)
    if count > need.count:
        return count, f"{need.words}, and {count} within {options['down_window_s']:g} s"
    return count, need.words
