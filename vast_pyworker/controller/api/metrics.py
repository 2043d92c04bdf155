"""``/metrics``: the fleet as Prometheus reads it. Unknown is left out, never 0."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from vast_pyworker.controller import showing

from .asking import Asked
from .door import Route
from .money import money, spent_today
from .parts import Parts

PREFIX = "pyworker_controller"
_COUNTS = ("ready", "booting", "suspect", "leaving", "cold")


def routes(parts: Parts) -> list[Route]:
    registry = CollectorRegistry()
    registry.register(FleetCollector(parts))

    def metrics(asked: Asked) -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)

    return [Route("GET", "/metrics", metrics, "For Prometheus.", answers="text/plain")]


class FleetCollector(Collector):
    """Reads the parts when it is asked."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        parts = self._parts
        rows = showing.group_rows(
            parts.loop.fleet, parts.loop.wishes, parts.desk.overlay.pins, spent_today(parts)
        )
        stages = _gauge("instances", "Instances by group and stage.", "group", "stage")
        for row in rows:
            for stage in _COUNTS:
                stages.add_metric([row["name"], stage], row[stage])
        yield stages
        for name, field, told in (
            ("wanted", "wanted", "Instances wanted running."),
            ("wanted_cold", "wanted_cold", "Instances wanted standing by."),
            ("load", "load", "Work coming in, units a second, mean of a minute."),
            ("capacity", "capacity", "Work that ready instances can do, units a second."),
            ("queued", "queued", "Work that waits for an instance, units."),
            ("group_usd_per_hour", "usd_per_hour", "Dollars an hour of a group."),
            ("group_usd_spent_today", "usd_spent_today", "Dollars of a group since midnight UTC."),
        ):
            family = _gauge(name, told, "group")
            for row in rows:
                if row[field] is not None:
                    family.add_metric([row["name"]], row[field])
            yield family
        yield from self._money()
        yield from self._ticks()

    def _money(self) -> Iterator[Metric]:
        for name, value in money(self._parts).items():
            if value is not None:
                family = _gauge(name, f"As {name} of /spend.")
                family.add_metric([], value)
                yield family

    def _ticks(self) -> Iterator[Metric]:
        ticks, fleet = self._parts.ticks, self._parts.loop.fleet
        count = CounterMetricFamily(f"{PREFIX}_ticks", "Ticks since the start.")
        count.add_metric([], ticks.count)
        failed = CounterMetricFamily(f"{PREFIX}_failed_ticks", "Ticks that failed.")
        failed.add_metric([], ticks.failed)
        took = _gauge("tick_seconds", "How long the last tick took.")
        took.add_metric([], ticks.took_s)
        blind = _gauge("blind", "1 where the provider could not be read.")
        blind.add_metric([], 1 if fleet.blind else 0)
        readers = _gauge("event_readers", "Who reads /events now.")
        readers.add_metric([], self._parts.events.readers)
        strangers = _gauge("strangers", "Workers that report and are not believed.")
        strangers.add_metric([], len(self._parts.board.strangers()))
        yield from (count, failed, took, blind, readers, strangers)


def _gauge(name: str, told: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", told, labels=labels)
