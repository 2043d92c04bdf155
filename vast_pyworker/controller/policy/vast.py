"""The policy ``vast``: what Vast documents of its serverless autoscaler, with its parameters.

Active capacity is the anticipated load / ``target_util``, never below ``min_load``, and what clears
the queue in ``target_queue_time``. Beside it the largest number of stopped workers is kept that
``cold_workers``, ``cold_mult`` or ``min_cold_load`` demand. Where Vast's pages and programs
disagree on a default, that of its command line 1.9 holds. What is unknown changes nothing.

What Vast does not document is decided here: the load anticipated is the greater of the means over
one and ten minutes; ``cold_mult`` looks at the highest load of the last hour; after a start what
there is stays for ten minutes, until the load before is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from vast_pyworker.model import Bounds, Group, Want

from .base import within
from .memories import Peaks, highest, with_peak
from .observation import Load, Observation
from .options import Option, check, values
from .words import amount, percent

OPTIONS = (
    Option("min_load", "least active capacity, units/s", 0.0),
    Option("min_cold_load", "least capacity, active and stopped, units/s", 0.0),
    Option("target_util", "the share of the active capacity to be used", 0.9, most=1.0, above=True),
    Option("cold_mult", "capacity, active and stopped, as a multiple of the load", 2.5),
    Option("cold_workers", "least stopped workers", 5, whole=True),
    Option(
        "max_workers", "most workers, stopped ones included", whole=True,
        unset="the group's max_instances",
    ),
    Option("max_queue_time", "seconds of work after which a worker is full", 30.0, above=True),
    Option("target_queue_time", "seconds in which a queue is to be cleared", 10.0, above=True),
    Option(
        "inactivity_timeout", "idle seconds before there may be none active; below 0: never none",
        least=-math.inf, unset="as 0: at once",
    ),
)  # fmt: skip
HORIZON_S = 3600.0
LEARNING_S = 600.0
_ROUNDING = 1e-9  # so that a load of exactly n workers does not need n + 1


@dataclass(frozen=True)
class Memory:
    """What was wanted last, the loads of the last hour, and what there was at the start."""

    hot: int
    cold: int
    loads: Peaks
    begun_at: float
    begun_hot: int


@dataclass(frozen=True)
class _Want:
    """Counts before the bounds: active, and in all. ``whole`` is False where some of the load is
    unknown."""

    hot: int
    total: int
    whole: bool
    words: str


class Vast:
    """Vast's parameters, by Vast's names."""

    def check(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        return check("vast", OPTIONS, options)

    def decide(
        self, group: Group, bounds: Bounds, seen: Observation, memory: Any
    ) -> tuple[Want, Any]:
        options = values(OPTIONS, group.policy_options)
        known = memory if isinstance(memory, Memory) else _begun(seen)
        loads = with_peak(known.loads, anticipated(seen.load)[0], seen.now, HORIZON_S)
        want = _wanted(seen, options, highest(loads))
        want = _kept(want, known, seen)
        want = _awake(want, known, seen, options)
        most = int(options.get("max_workers", bounds.max_instances))
        hot, note = within(bounds, min(want.hot, most))
        cold = max(int(options["cold_workers"]), want.total - hot)
        cold = max(0, min(cold, most - hot))
        settled = Memory(hot, cold, loads, known.begun_at, known.begun_hot)
        return Want(hot, cold, f"{want.words}{note}"), settled


def anticipated(load: Load) -> tuple[float, bool]:
    """The load to be ready for in units/s, and whether all of it is known.

    The ten minutes' mean makes it fall slowly. Work in flight counts as what comes in a minute.
    """
    rates = (load.arrivals_60s, load.arrivals_600s)
    coming = max(each or 0.0 for each in (*rates, _rate(load.in_flight)))
    return coming, None not in (*rates, load.in_flight, load.queued)


def _rate(work: float | None) -> float | None:
    return None if work is None else work / 60.0


def _begun(seen: Observation) -> Memory:
    return Memory(seen.hot, seen.cold, (), seen.now, seen.hot)


def _wanted(seen: Observation, options: Mapping[str, Any], peak: float) -> _Want:
    """The documented formulas."""
    load, whole = anticipated(seen.load)
    queued, perf = seen.load.queued or 0.0, seen.perf_per_worker
    active = max(options["min_load"], load / options["target_util"])
    active += queued / options["target_queue_time"]
    total = max(peak * options["cold_mult"], options["min_cold_load"])
    if not perf:
        sure = whole and active == 0 and total == 0
        words = "no load" if sure else "what a worker can do is not known yet"
        return _Want(1 if active > 0 else 0, 1 if total > 0 else 0, sure, words)
    words = _words(load, queued, active / perf, options, whole)
    return _Want(_workers(active, perf), _workers(total, perf), whole, words)


def _workers(capacity: float, perf: float) -> int:
    return math.ceil(capacity / perf - _ROUNDING)


def _words(
    load: float, queued: float, workers: float, options: Mapping[str, Any], whole: bool
) -> str:
    if not whole:
        return "the load is not known in full"
    if queued == 0 and load / options["target_util"] < options["min_load"]:
        return f"min_load of {amount(options['min_load'])} units/s needs {amount(workers)}"
    if workers == 0:
        return "no load"
    waiting = f" and {amount(queued)} units queued" if queued else ""
    used = percent(options["target_util"])
    return f"load {amount(load)} units/s{waiting} needs {amount(workers)} at {used}"


def _kept(want: _Want, known: Memory, seen: Observation) -> _Want:
    """What is unknown, or not known yet after a start, never makes a group smaller."""
    if not want.whole:
        words = f"{want.words}: {'more' if want.hot > known.hot else 'no change'}"
        total = max(want.total, known.hot + known.cold)
        return replace(want, hot=max(want.hot, known.hot), total=total, words=words)
    stays = min(known.begun_hot, known.hot)
    if 0 <= seen.now - known.begun_at < LEARNING_S and want.hot < stays:
        return replace(want, hot=stays, words=f"{want.words}, and {stays} there were at the start")
    return want


def _awake(want: _Want, known: Memory, seen: Observation, options: Mapping[str, Any]) -> _Want:
    """Whether there may be none active."""
    timeout_s, idle_s = options.get("inactivity_timeout", 0.0), seen.load.idle_s
    if want.hot > 0 or timeout_s == 0:
        return want
    if timeout_s < 0:
        return replace(want, hot=1, words=f"{want.words}, and never none")
    if known.hot > 0 and (idle_s is None or idle_s < timeout_s):
        return replace(want, hot=1, words=f"{want.words}, not idle for {timeout_s:g} s")
    return want
