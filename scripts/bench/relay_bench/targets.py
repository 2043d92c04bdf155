"""What must hold, each as one line: the target, what was measured, met or missed. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from . import ratios as r
from .plan import LATENCY_AT, MEMORY_AT
from .results import Run

STREAM_COUNTS = (100, 500, 1000)
MEMORY_LIMIT_MB = 100.0
OURS = {"forward": "forward()", "flask": "Flask handler returning Relay"}
PER_UNARY = {"forward": 2.0, "flask": 8.0}
PER_EVENT = {"forward": 1.2, "flask": 1.5}
OFFICIAL_PER_UNARY, OFFICIAL_PER_EVENT, FIRST_BYTE = 25.0, 2.5, 2.0


@dataclass(frozen=True)
class Verdict:
    """``met`` is None where it was not measured."""

    target: str
    measured: str
    met: bool | None

    @property
    def word(self) -> str:
        return {True: "met", False: "missed", None: "not measured"}[self.met]


def verdicts(run: Run) -> list[Verdict]:
    """Every target, in the order of the documentation."""
    good = r.comparable(run)
    return [*_against_nginx(good), *_against_official(good), *_open_streams(run)]


def _against_nginx(run: Run) -> Iterator[Verdict]:
    for name, label in OURS.items():
        bound = PER_UNARY[name]
        found = r.ratios(run, name, "nginx", r.cpu_per_10k)
        yield at_most(f"{label}: CPU per unary request", found, bound)
        bound = PER_EVENT[name]
        for count in STREAM_COUNTS:
            found = r.ratios(run, name, "nginx", r.cpu_per_million(count))
            yield at_most(f"{label}: CPU per event, {count:,} streams", found, bound)
    found = r.ratios(run, "forward", "nginx", r.ttfb_p99_us(LATENCY_AT))
    yield at_most(f"forward(): time to first byte, p99, {LATENCY_AT} streams", found, FIRST_BYTE)


def _against_official(run: Run) -> Iterator[Verdict]:
    found = r.ratios(run, "official", "forward", r.cpu_per_10k)
    yield at_least("official worker: CPU per unary request", found, OFFICIAL_PER_UNARY)
    for count in STREAM_COUNTS:
        found = r.ratios(run, "official", "forward", r.cpu_per_million(count))
        what = f"official worker: CPU per event, {count:,} streams"
        yield at_least(what, found, OFFICIAL_PER_EVENT)


def _open_streams(run: Run) -> Iterator[Verdict]:
    for name, label in OURS.items():
        yield open_streams(run, name, f"{label}: {MEMORY_AT:,} streams, no error, under 100 MB")


def at_most(what: str, found: list[float], bound: float) -> Verdict:
    """Ratios to nginx; met where their median is at most ``bound``."""
    middle = r.spread(found)
    met = None if middle is None else middle.median <= bound
    return Verdict(f"{what} at most {bound:g} x nginx", _times(middle), met)


def at_least(what: str, found: list[float], bound: float) -> Verdict:
    """Ratios to forward(); met where their median is at least ``bound``."""
    middle = r.spread(found)
    met = None if middle is None else middle.median >= bound
    return Verdict(f"{what} at least {bound:g} x forward()", _times(middle), met)


def open_streams(run: Run, name: str, target: str) -> Verdict:
    """Met where every round had all streams done, none failed, and memory under the limit."""
    done = r.values(run, name, r.done(MEMORY_AT))
    memory = r.values(run, name, r.memory_mb(MEMORY_AT))
    if not done or not memory:
        return Verdict(target, "-", None)
    failed = sum(r.values(run, name, r.failed(MEMORY_AT)))
    measured = f"at least {min(done):,.0f} done, {failed:,.0f} failed, at most {max(memory):.1f} MB"
    met = min(done) == MEMORY_AT and not failed and max(memory) < MEMORY_LIMIT_MB
    return Verdict(target, measured, met)


def _times(found: r.Spread | None) -> str:
    return f"{found.median:.2f} ({found.low:.2f}-{found.high:.2f})" if found else "-"
