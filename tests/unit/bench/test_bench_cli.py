from __future__ import annotations

from pathlib import Path

import pytest
from bench_samples import run, visit
from relay_bench import cli
from relay_bench.candidates import NAMES


def test_everything_is_measured_unless_told_otherwise() -> None:
    assert cli.parser().parse_args([]).only == NAMES


def test_candidates_are_chosen_by_name() -> None:
    assert cli.parser().parse_args(["--only", "nginx, forward"]).only == ("nginx", "forward")


def test_unknown_candidate_is_refused_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        cli.parser().parse_args(["--only", "apache"])
    assert "direct, nginx, forward, flask, official, gthread" in capsys.readouterr().err


def test_no_rounds_are_refused() -> None:
    with pytest.raises(SystemExit):
        cli.parser().parse_args(["--rounds", "0"])


def test_earlier_run_is_shown_without_measuring(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.json"
    file.write_text(run({"nginx": visit()}).to_json())
    assert cli.main(["--read", str(file)]) == 0
    assert "| nginx " in capsys.readouterr().out


def test_file_of_another_kind_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.json"
    file.write_text("{}")
    assert cli.main(["--read", str(file)]) == 1
    assert "is not a file that --json wrote" in capsys.readouterr().err
