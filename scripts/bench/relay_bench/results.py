"""What was measured, as it is kept in the JSON file. Plain values; None is unknown, never 0."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Unary:
    """One unary load: ``errors`` are answers with a status above 399, and broken connections.
    ``distance_ns``: between the CPUs of load and candidate; None where there is one for all."""

    requests: int
    seconds: float
    errors: int
    p50_us: float
    p99_us: float
    cpu_s: float | None = None
    distance_ns: float | None = None


@dataclass(frozen=True)
class Streams:
    """One load of streams. ``done``: all events came. ``failed``: refused, broken or cut short.
    ``unfinished``: not over, or not begun, when the rest was given up. ``window_*``: while all
    were open; ``cpu_s``: from the first to the last."""

    streams: int
    done: int
    failed: int
    unfinished: int
    events: int
    seconds: float
    ttfb_p50_us: float
    ttfb_p99_us: float
    event_p99_us: float
    window_events: int | None = None
    window_cpu_s: float | None = None
    cpu_s: float | None = None
    memory_mb: float | None = None
    distance_ns: float | None = None


@dataclass(frozen=True)
class Visit:
    """One candidate in one round. ``streams`` is keyed by their number, as text."""

    unary: Unary | None
    varied: Unary | None
    streams: Mapping[str, Streams]


Round = Mapping[str, Visit]


@dataclass(frozen=True)
class Run:
    """One run: rounds in order, each with the visits that succeeded, by candidate's name."""

    profile: str
    began: str
    machine: Mapping[str, str]
    rounds: tuple[Round, ...]
    failures: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Run:
        raw = json.loads(text)
        rounds = tuple({name: _visit(v) for name, v in each.items()} for each in raw.pop("rounds"))
        return cls(rounds=rounds, **raw)


def _visit(raw: Mapping[str, Any]) -> Visit:
    return Visit(
        unary=Unary(**raw["unary"]) if raw["unary"] else None,
        varied=Unary(**raw["varied"]) if raw["varied"] else None,
        streams={number: Streams(**each) for number, each in raw["streams"].items()},
    )
