"""What was measured, as it is kept in the JSON file. Plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Pair:
    """One call in one round: the market's requests a second, and those of a constant answer of
    the same ``answer_bytes``. Times are the market's."""

    market_per_s: float
    constant_per_s: float
    answer_bytes: int
    p50_us: float
    p99_us: float


@dataclass(frozen=True)
class Many:
    """Many instances in one market. Memory is the proportional set size of its process."""

    instances: int
    create_s: float
    pages: int
    pages_s: float
    before_mb: float
    after_mb: float

    @property
    def kb_each(self) -> float:
        return (self.after_mb - self.before_mb) * 1e3 / self.instances


@dataclass(frozen=True)
class Run:
    """One run: by call the pairs of all rounds, in order."""

    profile: str
    began: str
    machine: Mapping[str, str]
    pairs: Mapping[str, tuple[Pair, ...]]
    many: Many

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Run:
        raw = json.loads(text)
        pairs = {name: tuple(Pair(**each) for each in rows) for name, rows in raw["pairs"].items()}
        return cls(**{**raw, "pairs": pairs, "many": Many(**raw["many"])})
