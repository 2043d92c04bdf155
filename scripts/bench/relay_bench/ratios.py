"""Figures out of a run: a value for each round, median and range, ratios inside rounds. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import median

from .distance import is_same, usual_ns
from .results import Round, Run, Streams, Unary, Visit

Metric = Callable[[Visit], "float | None"]


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest of one figure over the rounds."""

    median: float
    low: float
    high: float


def spread(values: list[float]) -> Spread | None:
    """None where nothing was measured."""
    return Spread(median(values), min(values), max(values)) if values else None


def usual_distance_ns(run: Run) -> float | None:
    """The distance of the CPUs that the run's figures are for; None where they had none."""
    return usual_ns(_distances(run))


def comparable(run: Run) -> Run:
    """The run without what was measured while the CPUs lay at an unusual distance."""
    usual = usual_distance_ns(run)
    if usual is None:
        return run
    rounds = tuple({name: _kept(visit, usual) for name, visit in r.items()} for r in run.rounds)
    return replace(run, rounds=rounds)


def comparable_share(run: Run) -> tuple[int, int]:
    """How many measurements were made at the usual distance, and how many there were."""
    distances = list(_distances(run))
    usual = usual_ns(distances) or 0.0
    return sum(is_same(ns, usual) for ns in distances), len(distances)


def _distances(run: Run) -> Iterator[float]:
    for each in run.rounds:
        for visit in each.values():
            for sample in (visit.unary, visit.varied, *visit.streams.values()):
                if sample and sample.distance_ns is not None:
                    yield sample.distance_ns


def _kept(visit: Visit, usual: float) -> Visit:
    def good(sample: Unary | Streams | None) -> bool:
        return bool(sample and (sample.distance_ns is None or is_same(sample.distance_ns, usual)))

    streams = {count: sample for count, sample in visit.streams.items() if good(sample)}
    return Visit(
        visit.unary if good(visit.unary) else None,
        visit.varied if good(visit.varied) else None,
        streams,
    )


def _of_unary(value: Callable[[Unary], float | None], *, varied: bool = False) -> Metric:
    def metric(visit: Visit) -> float | None:
        unary = visit.varied if varied else visit.unary
        return value(unary) if unary else None

    return metric


def _requests_per_s(unary: Unary) -> float | None:
    return unary.requests / unary.seconds


def _cpu_per_10k(unary: Unary) -> float | None:
    return None if unary.cpu_s is None else unary.cpu_s / unary.requests * 1e4


requests_per_s = _of_unary(_requests_per_s)
varied_requests_per_s = _of_unary(_requests_per_s, varied=True)
cpu_per_10k = _of_unary(_cpu_per_10k)
varied_cpu_per_10k = _of_unary(_cpu_per_10k, varied=True)
unary_p50_us = _of_unary(lambda unary: unary.p50_us)
unary_p99_us = _of_unary(lambda unary: unary.p99_us)


def _of_streams(count: int, value: Callable[[Streams], float | None]) -> Metric:
    def metric(visit: Visit) -> float | None:
        streams = visit.streams.get(str(count))
        return value(streams) if streams else None

    return metric


def _cpu_per_million(streams: Streams) -> float | None:
    if streams.window_cpu_s is None or not streams.window_events:
        return None
    return streams.window_cpu_s / streams.window_events * 1e6


def cpu_per_million(count: int) -> Metric:
    """CPU seconds per million events while ``count`` streams are open."""
    return _of_streams(count, _cpu_per_million)


def ttfb_p50_us(count: int) -> Metric:
    return _of_streams(count, lambda streams: streams.ttfb_p50_us)


def ttfb_p99_us(count: int) -> Metric:
    return _of_streams(count, lambda streams: streams.ttfb_p99_us)


def event_p99_us(count: int) -> Metric:
    return _of_streams(count, lambda streams: streams.event_p99_us)


def memory_mb(count: int) -> Metric:
    return _of_streams(count, lambda streams: streams.memory_mb)


def done(count: int) -> Metric:
    return _of_streams(count, lambda streams: streams.done)


def failed(count: int) -> Metric:
    return _of_streams(count, lambda streams: streams.failed)


def unfinished(count: int) -> Metric:
    return _of_streams(count, lambda streams: streams.unfinished)


def _value(each: Round, name: str, metric: Metric) -> float | None:
    visit = each.get(name)
    return metric(visit) if visit else None


def values(run: Run, name: str, metric: Metric) -> list[float]:
    """The figure of one candidate in each round where it is known."""
    found = (_value(each, name, metric) for each in run.rounds)
    return [value for value in found if value is not None]


def _pairs(run: Run, name: str, other: str, metric: Metric) -> list[tuple[float, float]]:
    pairs = ((_value(r, name, metric), _value(r, other, metric)) for r in run.rounds)
    return [(a, b) for a, b in pairs if a is not None and b is not None]


def ratios(run: Run, name: str, other: str, metric: Metric) -> list[float]:
    """``name`` divided by ``other``, inside each round where both are known."""
    return [a / b for a, b in _pairs(run, name, other, metric) if b > 0]


def differences(run: Run, name: str, other: str, metric: Metric) -> list[float]:
    """``name`` less ``other``, inside each round where both are known."""
    return [a - b for a, b in _pairs(run, name, other, metric)]
