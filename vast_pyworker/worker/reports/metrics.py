"""``/metrics``: what the worker knows, as Prometheus text.

What is here: names, labels and one pass over values that others keep; nothing is counted here and
no registry is shared. What is not: per-request work (``accounting`` does it), HTTP.

A value that is not known has no sample: unknown is never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from vast_pyworker.model import State

from .accounting import Accounting, RouteTotals
from .statement import Situation

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
SHARED_GATE = "shared"

GPU_GAUGES = {
    "utilization_ratio": "Share of time the GPU was busy, 0 to 1.",
    "memory_used_bytes": "Memory in use on the GPU.",
    "memory_total_bytes": "Memory of the GPU.",
    "temperature_celsius": "Temperature of the GPU.",
    "power_watts": "Power the GPU draws.",
}

MODEL_REQUESTS = {
    "running": "Requests that the model server says it works on.",
    "waiting": "Requests that the model server says wait in it.",
    "surplus": "Requests in the model server beyond those we sent, at the same reading.",
}


class GateGauges(Protocol):
    """What is read of a gate."""

    @property
    def queued(self) -> int: ...

    @property
    def max_queue(self) -> int: ...


class Reports(Protocol):
    """What is read of the reporter."""

    @property
    def results(self) -> Mapping[str, int]: ...

    def age_s(self) -> float | None: ...


def _nothing() -> None:
    return None


def _none_by_name() -> dict[str, int]:
    return {}


@dataclass(frozen=True)
class Sources:
    """Where the values are. Each callable is asked once per scrape and may answer None: unknown.

    ``model_requests`` are the model server's own ``running`` and ``waiting``, and the ``surplus``
    of their sum over ours. ``gpus`` answers mappings with ``index`` and any of ``GPU_GAUGES``;
    ``restarts`` counts by reason, ``log_matches`` by action. ``build`` are the labels of
    ``pyworker_build_info``.
    """

    accounting: Accounting
    readiness: Situation
    build: Mapping[str, str]
    gates: Mapping[str, GateGauges] = field(default_factory=dict)
    reports: Reports | None = None
    gpus: Callable[[], Sequence[Mapping[str, Any]] | None] = _nothing
    disk_used_bytes: Callable[[], float | None] = _nothing
    restarts: Callable[[], Mapping[str, int]] = _none_by_name
    log_matches: Callable[[], Mapping[str, int]] = _none_by_name
    probe_failures: Callable[[], int | None] = _nothing
    model_requests: Callable[[], Mapping[str, float]] = _none_by_name


def render(sources: Sources) -> bytes:
    """One scrape, in the text format that ``CONTENT_TYPE`` names."""
    return generate_latest(_Scrape(sources))


class _Scrape(Collector):
    """The families of one moment, in reading order."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        sources = self._sources
        totals = sources.accounting.totals()
        yield InfoMetricFamily("pyworker_build", "Version of the worker.", dict(sources.build))
        yield from _requests(totals)
        yield from _durations(totals)
        yield from _gates(sources.gates)
        yield from _work(sources, totals)
        yield from _model(sources)
        yield from _reports(sources.reports)
        yield from _machine(sources)


def _requests(totals: Mapping[str, RouteTotals]) -> Iterator[Metric]:
    ended = CounterMetricFamily(
        "pyworker_requests", "Requests that have ended.", labels=("route", "outcome")
    )
    held = GaugeMetricFamily(
        "pyworker_requests_in_progress", "Requests queued or running.", labels=("route",)
    )
    for route, of_route in totals.items():
        held.add_metric((route,), of_route.in_progress)
        for outcome, count in of_route.requests.items():
            ended.add_metric((route, outcome), count)
    yield ended
    yield held


def _durations(totals: Mapping[str, RouteTotals]) -> Iterator[Metric]:
    measured = (
        ("pyworker_request_duration_seconds", "From arrival to the last byte.", "duration_s"),
        ("pyworker_queue_wait_seconds", "From arrival to leaving the queue.", "queue_wait_s"),
        ("pyworker_time_to_first_byte_seconds", "From arrival to the first byte.", "first_byte_s"),
    )
    for name, sentence, attribute in measured:
        family = HistogramMetricFamily(name, sentence, labels=("route",))
        for route, of_route in totals.items():
            distribution = getattr(of_route, attribute)
            family.add_metric((route,), distribution.cumulative(), distribution.total_s)
        yield family


def _gates(gates: Mapping[str, GateGauges]) -> Iterator[Metric]:
    depth = GaugeMetricFamily("pyworker_queue_depth", "Requests waiting.", labels=("route",))
    limit = GaugeMetricFamily("pyworker_queue_limit", "Requests that may wait.", labels=("route",))
    for name, gate in _distinct(gates).items():
        depth.add_metric((name,), gate.queued)
        limit.add_metric((name,), gate.max_queue)
    yield depth
    yield limit


def _distinct(gates: Mapping[str, GateGauges]) -> dict[str, GateGauges]:
    """Each gate once, so that sums are true; one that several routes share is ``SHARED_GATE``."""
    sharers: dict[int, list[str]] = {}
    for route, gate in gates.items():
        sharers.setdefault(id(gate), []).append(route)
    return {
        routes[0] if len(routes) == 1 else SHARED_GATE: gates[routes[0]]
        for routes in sharers.values()
    }


def _work(sources: Sources, totals: Mapping[str, RouteTotals]) -> Iterator[Metric]:
    done = CounterMetricFamily(
        "pyworker_workload", "Units of work that have ended.", labels=("route", "outcome")
    )
    for route, of_route in totals.items():
        for outcome, work in of_route.work.items():
            done.add_metric((route, outcome), work)
    yield done
    yield GaugeMetricFamily(
        "pyworker_workload_in_progress",
        "Units of work held by requests and sessions.",
        sources.accounting.take().cur_load,
    )
    yield GaugeMetricFamily(
        "pyworker_workload_capacity_per_second",
        "Units of work per second by the benchmark; 0 before it.",
        sources.readiness.max_perf,
    )


def _model(sources: Sources) -> Iterator[Metric]:
    state = GaugeMetricFamily("pyworker_model_state", "1 for the present state.", labels=("state",))
    for each in State:
        state.add_metric((each.value,), float(sources.readiness.state is each))
    yield state
    load_time_s = sources.readiness.load_time_s or None
    yield from _known("pyworker_model_load_seconds", "Seconds the model took to load.", load_time_s)
    yield _counted(
        "pyworker_model_restarts", "Restarts of the model server.", "reason", sources.restarts()
    )
    yield _counted(
        "pyworker_log_matches", "Lines that matched a log pattern.", "action", sources.log_matches()
    )
    for name, value in sources.model_requests().items():
        yield GaugeMetricFamily(f"pyworker_model_requests_{name}", MODEL_REQUESTS[name], value)
    failures = sources.probe_failures()
    if failures is not None:
        yield CounterMetricFamily(
            "pyworker_upstream_probe_failures", "Failed health checks.", failures
        )


def _reports(reports: Reports | None) -> Iterator[Metric]:
    if reports is None:
        return
    yield _counted("pyworker_reports", "Reports to the autoscaler.", "result", reports.results)
    yield from _known(
        "pyworker_report_age_seconds", "Since a report was last taken.", reports.age_s()
    )


def _machine(sources: Sources) -> Iterator[Metric]:
    gpus = sources.gpus() or ()
    for name, sentence in GPU_GAUGES.items():
        family = GaugeMetricFamily(f"pyworker_gpu_{name}", sentence, labels=("gpu",))
        for number, gpu in enumerate(gpus):
            if (value := gpu.get(name)) is not None:
                family.add_metric((str(gpu.get("index", number)),), value)
        if family.samples:
            yield family
    yield from _known("pyworker_disk_used_bytes", "Bytes used on /.", sources.disk_used_bytes())


def _known(name: str, sentence: str, value: float | None) -> Iterator[Metric]:
    if value is not None:
        yield GaugeMetricFamily(name, sentence, value)


def _counted(name: str, sentence: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, sentence, labels=(label,))
    for key, count in counts.items():
        family.add_metric((key,), count)
    return family
