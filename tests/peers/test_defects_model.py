"""Defects D5 to D8 of Vast's own workers: measuring a model and reading its log.

Each docstring says what others do and what ours does; ``table.py`` makes docs/peers.md of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scenes import Life
from support import scene

from vast_pyworker.errors import BenchmarkFailed
from vast_pyworker.worker.capacity.benchmark import Benchmark, BenchmarkSpec
from vast_pyworker.worker.capacity.benchmark_cache import BenchmarkCache, Subject
from vast_pyworker.worker.contract.loading import available, construct, load_backend
from vast_pyworker.worker.fake_model import FakeModel
from vast_pyworker.worker.modellog.patterns import Pattern, PatternTable


def spec_for(model: FakeModel, concurrency: int = 1, **script: Any) -> BenchmarkSpec:
    """Each answer is worth 10 units."""
    return BenchmarkSpec(
        f"{model.url}/benchmark",
        tuple(scene(**script) for _ in range(4)),
        lambda payload: 10.0,
        concurrency=concurrency,
        runs=1,
        boot_grace_s=0.3,
    )


def test_d05_a_benchmark_is_timed_to_the_last_byte(model: FakeModel) -> None:
    """Peers: timed to the headers of the answer; one refused connection ends it all; a total
    failure is a capacity of 0, called loaded.

    Ours: every answer is read to its end, some failures are tolerated and counted, and a failed
    benchmark is an error that is tried again: there is no capacity of 0.
    """
    slow = spec_for(model, concurrency=2, kind="sse", pieces=5, pause_s=0.05)
    measured = Benchmark().measure(slow, now=0.0)
    assert measured.max_perf <= 2 * 10.0 / (4 * 0.05), "more than the last byte allows"


def test_d05_a_failed_benchmark_is_no_capacity(model: FakeModel) -> None:
    for script in ({"status": 500}, {"kind": "sse", "then": "die"}):
        with pytest.raises(BenchmarkFailed):
            Benchmark().measure(spec_for(model, **script), now=0.0)
    model.stop()
    with pytest.raises(BenchmarkFailed, match="cannot be reached"):
        Benchmark().measure(spec_for(model), now=0.0)


def test_d05_one_failure_among_many_does_not_end_it(model: FakeModel) -> None:
    fine = spec_for(model, concurrency=4)
    payloads = (*fine.payloads[:3], scene(status=500))
    mixed = BenchmarkSpec(fine.url, payloads, fine.workload, concurrency=4, runs=1)
    assert Benchmark().measure(mixed, now=0.0).max_perf > 0


def test_d06_a_capacity_is_kept_only_for_what_it_was_measured_on(
    model: FakeModel, tmp_path: Path
) -> None:
    """Peers: one number in a file called `.has_benchmark`, whatever is measured next.

    Ours: kept under model, its files, GPU, driver, version, payloads and concurrency.
    """
    subject = Subject("backend", "model", "1", gpus=("H200",), driver="550")
    spec = spec_for(model)

    def asked(about: Subject, how: BenchmarkSpec = spec) -> int:
        before = len(model.seen)
        Benchmark(BenchmarkCache(tmp_path / "capacity.json"), lambda: about).measure(how, 1.0)
        return len(model.seen) - before

    assert asked(subject) > 0
    assert asked(subject) == 0, "known by now"
    for changed in ({"model": "other"}, {"gpus": ("A100",)}, {"driver": "560"}, {"version": "2"}):
        assert asked(Subject(**{**vars(subject), **changed})) > 0, changed
    assert asked(subject, spec_for(model, concurrency=2)) > 0
    (tmp_path / "capacity.json").write_text("12.5")
    assert asked(subject) > 0, "a number that nobody knows the origin of"


def test_d07_an_error_is_over_when_it_is_over(life: Life) -> None:
    """Peers: the first error line retires the worker for good, also a `Traceback` that was handled.

    Ours: patterns tell fatal lines from those about one request, an error ends with what caused
    it, and the next report says so.
    """
    assert life.statuses["failed"]["state"] == "error"
    assert life.statuses["failed"]["error_msg"].endswith(", saying engine died of a Traceback")
    assert life.refusals["failed"].status == 503
    assert "Traceback" not in life.refusals["failed"].text, "a line of the log may hold a prompt"
    assert life.reports["failed"]["error_msg"].endswith("engine died of a Traceback")
    assert life.statuses["recovered"]["error_msg"] == ""
    recovered = life.reports["recovered"]
    assert (recovered["error_msg"], recovered["loadtime"] > 0) == ("", True)


@pytest.mark.parametrize("name", [name for name in available(()) if not name.startswith("hello")])
def test_d07_a_traceback_that_was_handled_retires_nobody(name: str) -> None:
    loaded = load_backend(name, ())
    backend = construct(
        loaded, container_id=7, control_server_url="", master_token=None, send_data=False
    )
    line = "Traceback (most recent call last):"
    match = PatternTable(backend.log_patterns).match(line, 0.0)
    assert match is None or match.action != "error"


def test_d08_a_second_loaded_line_changes_nothing(life: Life) -> None:
    """Peers: a line means what is a substring of it; a second loaded line loads the model again.

    Ours: regular expressions with capture groups, counts and windows; a loaded line of a model
    that serves is no news.
    """
    assert life.statuses["ready"]["load_time_s"] == 12.5, "read from the line"
    assert life.statuses["said again"]["load_time_s"] == 12.5
    assert life.statuses["said again"]["counts"] == life.statuses["ready"]["counts"]
    assert life.benchmark_requests["said again"] == life.benchmark_requests["ready"] > 0


def test_d08_a_line_may_have_to_come_several_times_within_a_while() -> None:
    table = PatternTable([Pattern("error", r"NCCL timeout on rank \d+", count=3, window_s=10)])
    line = "NCCL timeout on rank 4"
    assert [table.match(line, at) for at in (0.0, 8.0, 16.0)] == [None, None, None]
    assert table.match(line, 17.0) is not None
