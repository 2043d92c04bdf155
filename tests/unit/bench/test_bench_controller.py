from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from controller_bench import cli, cost, measures, messages  # noqa: E402

from vast_pyworker import wire  # noqa: E402
from vast_pyworker.controller.traffic.bodies import read_object  # noqa: E402
from vast_pyworker.model import State  # noqa: E402


def test_everything_is_measured_unless_told_otherwise() -> None:
    assert cli.parser().parse_args([]).only == tuple(measures.MEASURES)
    assert cli.parser().parse_args(["--only", "routes, memory"]).only == ("routes", "memory")


def test_an_unknown_measure_is_refused_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        cli.parser().parse_args(["--only", "weather"])
    assert "limits, reports, ingest, routes, memory" in capsys.readouterr().err


def test_a_report_of_the_benchmark_is_one_of_ours_and_of_a_published_worker() -> None:
    (text,) = list(messages.reports(7))[6:]
    data = read_object(text.replace(messages.NUMBER, "1000000000").encode())
    report = wire.decode_report(data)
    place = messages.places(7, 5)[7]
    assert (report.worker_id, report.mtoken, report.seq) == (7, place.mtoken, 1_000_000_000)
    assert wire.infer_state(report) is State.READY
    assert place.endpoint == "endpoint-2"


def test_each_endpoint_is_asked_for() -> None:
    asked = {read_object(body.encode())["endpoint"] for body in messages.asks(3)}
    assert asked == {place.endpoint for place in messages.places(9, 3).values()}


def test_the_cost_of_each_report_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "CALLS", 20)
    assert len(cost.of_reports(10, 2)) == 30


def test_a_run_with_a_missed_target_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    missed = measures.Table("t", ("a",), (("1",),), (measures.Target("x", "0", False),))
    monkeypatch.setattr(cli, "_measured", lambda names, profile: [missed])
    assert cli.main([]) == 1
