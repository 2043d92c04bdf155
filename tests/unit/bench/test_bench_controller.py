from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from controller_bench import cli, cost, looping, measures, messages, scenes, shapes  # noqa: E402
from relay_bench import documentation  # noqa: E402

from vast_pyworker import wire  # noqa: E402
from vast_pyworker.controller.traffic.bodies import read_object  # noqa: E402
from vast_pyworker.model import State  # noqa: E402


@pytest.fixture(autouse=True)
def _unfrozen() -> Iterator[None]:
    """A world is kept out of the collector's sight; its process is to end, and ours is not."""
    yield
    gc.unfreeze()


def test_everything_is_measured_unless_told_otherwise() -> None:
    assert cli.parser().parse_args([]).only == tuple(measures.MEASURES)
    assert cli.parser().parse_args(["--only", "routes, memory"]).only == ("routes", "memory")


def test_an_unknown_measure_is_refused_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        cli.parser().parse_args(["--only", "weather"])
    assert (
        "limits, reports, ingest, routes, memory, tick, adopt, deathwave" in capsys.readouterr().err
    )


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
    missed = shapes.Table("t", ("a",), (("1",),), (shapes.Target("x", "0", False),))
    monkeypatch.setattr(cli, "_measured", lambda names, profile: ("t", [missed]))
    assert cli.main([]) == 1


@pytest.mark.parametrize("real", [False, True])
def test_a_steady_state_is_ready_and_changes_nothing(tmp_path: Path, real: bool) -> None:
    told = scenes.steady(tmp_path, 20, 2, real=real, ticks=2)
    assert len(told["ticks"]) == 2
    assert (told["stages"], told["changes"]) == ({"ready": 20}, 0)


def test_every_restart_finds_all_and_changes_nothing(tmp_path: Path) -> None:
    told = scenes.restarts(tmp_path, 20, 2, 1)
    (kept,), (lost,) = told["with"], told["without"]
    assert [(each["members"], each["changes"]) for each in (kept, lost)] == [(20, 0), (20, 0)]


def test_what_vanishes_at_once_is_replaced_after_the_brake(tmp_path: Path) -> None:
    told = scenes.deaths(tmp_path, 40, 2, "vanish")
    row, changed_while_braked = looping._death(told)
    assert told["ticks"][0]["braked"] == 2
    assert changed_while_braked == 0
    assert (told["ticks"][-1]["members"], told["calls"]["create"]) == (40, 20)
    assert len(row) == 10


def test_what_vanishes_little_by_little_is_replaced_once_the_brake_is_off(tmp_path: Path) -> None:
    told = scenes.deaths(tmp_path, 40, 2, "spread")
    assert any(each["braked"] for each in told["ticks"])
    assert (told["ticks"][-1]["members"], told["calls"]["create"]) == (40, 20)


def test_the_silent_are_left_alone_while_the_brake_holds(tmp_path: Path) -> None:
    told = scenes.deaths(tmp_path, 40, 2, "hush")
    _, changed_while_braked = looping._death(told)
    assert any(each["braked"] for each in told["ticks"])
    assert changed_while_braked == 0


def test_what_was_measured_is_written_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = shapes.Table("t", ("a",), (("1",),), (shapes.Target("x", "1", True),))
    monkeypatch.setattr(cli, "_measured", lambda names, profile: ("text", [table]))
    assert cli.main(["--json", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out").read_text())[0]["rows"] == [["1"]]


def test_what_was_printed_is_written_between_the_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, end = documentation.marks(cli.PROGRAM)
    page = tmp_path / "page.md"
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    monkeypatch.setattr(cli, "_measured", lambda names, profile: ("tables", []))
    assert cli.main(["--write", str(page)]) == 0
    assert page.read_text() == f"before\n{begin}\n\ntables\n{end}\nafter\n"
