"""Faults on demand: what can go wrong, how often, and the book that draws them.

It decides only. Answer faults are done by the HTTP layer, world faults by the market itself.
Every fault draws from a generator of its own, so a run with the same seed and the same calls
draws the same faults, whatever other faults there are.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vast_pyworker.errors import SettingError

from .kinds import ANSWER_KINDS, CALLS, WORLD_KINDS, check_params, kind_named


@dataclass(frozen=True)
class Fault:
    """One kind of trouble and when it comes.

    ``calls`` are call names or "*". Exactly one of the three says when: ``probability`` per call,
    ``count`` (the first n calls), ``script`` (one 0 or 1 per call; after its end never again).
    ``params`` belong to the kind, see ``fault_kinds``.
    """

    kind: str
    calls: tuple[str, ...] = ("*",)
    probability: float | None = None
    count: int | None = None
    script: tuple[int, ...] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def of_world(self) -> bool:
        return self.kind in WORLD_KINDS

    def to_json(self) -> dict[str, Any]:
        when = {"probability": self.probability, "count": self.count, "script": self.script}
        row: dict[str, Any] = {"kind": self.kind, "calls": list(self.calls)}
        row |= {name: value for name, value in when.items() if value is not None}
        if self.script is not None:
            row["script"] = list(self.script)
        return {**row, "params": dict(self.params)}


class _Drawn:
    """A fault with its generator and how often it was asked and came."""

    __slots__ = ("asked", "came", "fault", "rng")

    def __init__(self, fault: Fault, seed: str) -> None:
        self.fault = fault
        self.rng = random.Random(seed)
        self.asked = 0
        self.came = 0

    def comes(self) -> bool:
        fault, turn = self.fault, self.asked
        self.asked += 1
        if fault.count is not None:
            due = turn < fault.count
        elif fault.script is not None:
            due = turn < len(fault.script) and bool(fault.script[turn])
        else:
            due = self.rng.random() < (1.0 if fault.probability is None else fault.probability)
        self.came += due
        return due


class FaultBook:
    """The faults in force. Thread-safe."""

    def __init__(self, seed: object = 0, faults: Iterable[Fault] = ()) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._drawn: list[_Drawn] = []
        self._written = 0
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._drawn.append(_Drawn(fault, f"{self._seed}/{self._written}"))
            self._written += 1

    def clear(self) -> None:
        """Forgets every fault; the next one added is number 0 again, so a run can be repeated."""
        with self._lock:
            self._drawn.clear()
            self._written = 0

    def replace(self, faults: Iterable[Fault], *, seed: object = None) -> None:
        """These instead of those in force; they draw by ``seed`` where one is given."""
        self.clear()
        self._seed = self._seed if seed is None else seed
        for fault in faults:
            self.add(fault)

    def draw(self, call: str, *, world: bool = False) -> list[Fault]:
        """The faults that befall this call. The HTTP layer draws the answer faults (the default)
        once per call, the market draws the world's."""
        with self._lock:
            return [
                each.fault
                for each in self._drawn
                if each.fault.of_world is world
                and ("*" in each.fault.calls or call in each.fault.calls)
                and each.comes()
            ]

    def to_json(self) -> list[dict[str, Any]]:
        """Every fault as it was given, and how often it was asked for and came."""
        with self._lock:
            return [
                {**each.fault.to_json(), "asked": each.asked, "came": each.came}
                for each in self._drawn
            ]


def parse_fault(given: object) -> Fault:
    """A fault from its JSON object. Raises SettingError with one sentence."""
    if not isinstance(given, Mapping):
        raise SettingError(f"a fault is an object such as {EXAMPLE}, not {given!r}")
    unknown = sorted(str(name) for name in given if name not in _KEYS)
    if unknown:
        raise SettingError(f"a fault has no {', '.join(unknown)}; it may have {', '.join(_SHOWN)}")
    kind = kind_named(given.get("kind"))
    when = [name for name in ("probability", "count", "script") if given.get(name) is not None]
    if len(when) > 1:
        raise SettingError(f"fault {kind}: give one of probability, count and script, not {when}")
    return Fault(
        kind=kind,
        calls=_calls(kind, given.get("calls", given.get("call", "*"))),
        probability=_probability(kind, given.get("probability")),
        count=_count(kind, given.get("count")),
        script=_script(kind, given.get("script")),
        params=check_params(kind, given.get("params") or {}),
    )


def parse_faults(text: str | Sequence[object] | Mapping[str, object]) -> list[Fault]:
    """The faults of a JSON text, a list of objects, one object, or ``{"faults": [...]}``."""
    if isinstance(text, str):
        try:
            given: object = json.loads(text)
        except ValueError as error:
            raise SettingError(f"the faults are not JSON: {error}") from error
    else:
        given = text
    if isinstance(given, Mapping) and "faults" in given:
        given = given["faults"]
    if isinstance(given, Mapping):
        given = [given]
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise SettingError(f"the faults are a list of objects such as {EXAMPLE}, not {given!r}")
    return [parse_fault(each) for each in given]


EXAMPLE = '{"kind": "latency", "calls": ["list"], "probability": 0.5, "params": {"seconds": 2}}'
_SHOWN = ("calls", "count", "kind", "params", "probability", "script")
_KEYS = {*_SHOWN, "call", "asked", "came"}


def _calls(kind: str, given: object) -> tuple[str, ...]:
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, Sequence) or not names:
        raise SettingError(f"fault {kind}: calls are a list of call names or '*', not {given!r}")
    wrong = [repr(name) for name in names if name != "*" and name not in CALLS]
    if wrong:
        raise SettingError(
            f"fault {kind}: there is no call {', '.join(wrong)}; there are *, {', '.join(CALLS)}"
        )
    return tuple(str(name) for name in names)


def _probability(kind: str, given: object) -> float | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= 1:
        raise SettingError(f"fault {kind}: probability is a number from 0 to 1, not {given!r}")
    return float(given)


def _count(kind: str, given: object) -> int | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise SettingError(f"fault {kind}: count is a number of calls from 0 up, not {given!r}")
    return given


def _script(kind: str, given: object) -> tuple[int, ...] | None:
    if given is None:
        return None
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise SettingError(f"fault {kind}: script is a list of 0 and 1, one per call")
    if any(each not in (0, 1) for each in given):
        raise SettingError(f"fault {kind}: script is a list of 0 and 1, one per call")
    return tuple(int(each) for each in given)


__all__ = [
    "ANSWER_KINDS",
    "CALLS",
    "WORLD_KINDS",
    "Fault",
    "FaultBook",
    "parse_fault",
    "parse_faults",
]
