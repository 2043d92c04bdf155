"""/metrics: the promised names, valid text, true numbers, nothing where nothing is known."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from vast_pyworker.model import Outcome, State
from vast_pyworker.worker.reports.accounting import CLIENT_ERROR, Accounting
from vast_pyworker.worker.reports.metrics import CONTENT_TYPE, GPU_GAUGES, Sources, render


class Situation:
    state = State.READY
    max_perf = 192.5
    load_time_s = 15.0
    error_msg = ""


class Gate:
    def __init__(self, queued: int, max_queue: int) -> None:
        self.queued = queued
        self.max_queue = max_queue


class Reports:
    results = {"delivered": 4, "failed": 1}  # noqa: RUF012 - a stand-in, never changed

    def age_s(self) -> float:
        return 2.5


@pytest.fixture
def books() -> Accounting:
    return Accounting()


def _samples(sources: Sources) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample by name and label values (by name of label), as scraped."""
    text = render(sources).decode()
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _full(books: Accounting) -> Sources:
    shared = Gate(3, 256)
    gpu = {
        "index": 0,
        "utilization_ratio": 0.5,
        "memory_used_bytes": 1e9,
        "memory_total_bytes": 2e9,
        "temperature_celsius": 60,
        "power_watts": None,
    }
    return Sources(
        books,
        Situation(),
        {"version": "0.1.0", "backend": "helloworld"},
        gates={"/a": shared, "/b": shared, "/c": Gate(1, 8)},
        reports=Reports(),
        gpus=lambda: [gpu],
        disk_used_bytes=lambda: 5e9,
        restarts=lambda: {"hung": 2},
        log_matches=lambda: {"loaded": 1},
        probe_failures=lambda: 3,
        model_requests=lambda: {"running": 2.0, "waiting": 1.0, "surplus": -1.0},
    )


def test_every_promised_name_is_there(books: Accounting) -> None:
    ticket = books.begin("/v1", 10.0)
    ticket.start()
    ticket.first_byte()
    ticket.end(Outcome.FINISHED)
    names = {name for name, _ in _samples(_full(books))}
    promised = """requests_total request_duration_seconds_bucket queue_wait_seconds_bucket
        time_to_first_byte_seconds_bucket requests_in_progress queue_depth queue_limit
        workload_total workload_in_progress workload_capacity_per_second model_state
        model_load_seconds model_restarts_total upstream_probe_failures_total reports_total
        model_requests_running model_requests_waiting model_requests_surplus
        report_age_seconds log_matches_total gpu_utilization_ratio gpu_memory_used_bytes
        gpu_memory_total_bytes gpu_temperature_celsius disk_used_bytes build_info"""
    assert {f"pyworker_{name}" for name in promised.split()} <= names
    assert "pyworker_gpu_power_watts" not in names, "what is not known has no sample"


def test_outcomes_have_the_promised_labels(books: Accounting) -> None:
    books.begin("/v1", 10.0).end(Outcome.FINISHED, work=8.0)
    books.begin("/v1", 10.0).end(Outcome.FINISHED, reason=CLIENT_ERROR)
    books.begin("/v1", 10.0).end(Outcome.FAILED)
    books.begin("/v1", 10.0).end(Outcome.CANCELLED)
    books.begin("/v1", 10.0).end(Outcome.REJECTED)
    books.begin("/v1", 3.0)
    samples = _samples(_full(books))
    counts = {
        outcome: samples["pyworker_requests_total", (outcome, "/v1")]
        for outcome in (
            "success",
            "client_error",
            "upstream_error",
            "worker_error",
            "rejected",
            "cancelled",
        )
    }
    assert counts == {
        "success": 1,
        "client_error": 1,
        "upstream_error": 1,
        "worker_error": 0,
        "rejected": 1,
        "cancelled": 1,
    }
    assert samples["pyworker_requests_in_progress", ("/v1",)] == 1
    assert samples["pyworker_workload_in_progress", ()] == 3.0
    assert samples["pyworker_workload_total", ("success", "/v1")] == 8.0


def test_the_state_is_one_hot(books: Accounting) -> None:
    samples = _samples(_full(books))
    hot = {labels[0] for (name, labels), v in samples.items() if name.endswith("model_state") and v}
    assert hot == {"ready"}


def test_a_gate_that_routes_share_is_counted_once(books: Accounting) -> None:
    samples = _samples(_full(books))
    depths = {
        labels[0]: v for (name, labels), v in samples.items() if name == "pyworker_queue_depth"
    }
    assert depths == {"shared": 3, "/c": 1}


def test_histograms_are_cumulative_and_end_in_infinity(books: Accounting) -> None:
    for _ in range(3):
        books.begin("/v1", 1.0).end(Outcome.FINISHED)
    samples = _samples(_full(books))
    buckets = [
        value
        for (name, _), value in samples.items()
        if name == "pyworker_request_duration_seconds_bucket"
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 3
    assert samples["pyworker_request_duration_seconds_count", ("/v1",)] == 3


def test_a_worker_that_knows_nothing_yet_says_nothing_of_it(books: Accounting) -> None:
    situation: Any = Situation()
    situation.load_time_s = 0.0
    names = {name for name, _ in _samples(Sources(books, situation, {"version": "0"}))}
    unknown = {"pyworker_model_load_seconds", "pyworker_disk_used_bytes"}
    assert names.isdisjoint(unknown | {"pyworker_report_age_seconds"})


def test_odd_route_names_are_escaped(books: Accounting) -> None:
    odd = 'a"b\\c\nd'
    books.begin(odd, 1.0).end(Outcome.FINISHED)
    assert _samples(_full(books))["pyworker_requests_total", ("success", odd)] == 1


def test_the_content_type_names_the_text_format() -> None:
    assert CONTENT_TYPE == "text/plain; version=0.0.4; charset=utf-8"


def test_the_document_lists_every_metric_and_no_other(books: Accounting) -> None:
    books.begin("/v1", 1.0).end(Outcome.FINISHED)
    sources = _full(books)
    powered = {"index": 0, **dict.fromkeys(GPU_GAUGES, 1.0)}
    text = render(dataclasses.replace(sources, gpus=lambda: [powered])).decode()
    page = (Path(__file__).parents[4] / "docs" / "metrics.md").read_text()
    listed = set(re.findall(r"^\| `(pyworker_\w+)`", page, re.MULTILINE))
    assert listed == set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
