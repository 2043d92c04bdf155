from __future__ import annotations

from pathlib import Path

import pytest

from vast_pyworker.worker.modelserver.exits import how_it_ended, last_lines, oom_kills


@pytest.mark.parametrize(
    ("returncode", "said"),
    [
        (0, "exited with code 0"),
        (1, "exited with code 1"),
        (126, "exited with code 126 (cannot be executed)"),
        (137, "exited with code 137 (SIGKILL)"),
        (255, "exited with code 255 (signal 127)"),
        (-15, "was killed by SIGTERM"),
        (-9, "was killed (out of memory?)"),
        (-99, "was killed by signal 99"),
        (None, "ended with an unknown exit code"),
    ],
)
def test_every_kind_of_end_has_a_phrase(returncode: int | None, said: str) -> None:
    assert how_it_ended(returncode, out_of_memory=False) == said


def test_a_counted_lack_of_memory_is_said_for_any_code() -> None:
    said = how_it_ended(1, out_of_memory=True)
    assert said == "exited with code 1 after the kernel killed a process for lack of memory"


def test_kills_are_read_from_the_first_counter_there_is(tmp_path: Path) -> None:
    v2, v1 = tmp_path / "memory.events", tmp_path / "memory.oom_control"
    assert oom_kills((v2, v1)) is None
    v1.write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    assert oom_kills((v2, v1)) == 2
    v2.write_text("low 0\nhigh 0\nmax 9\noom 4\noom_kill 3\noom_group_kill 1\n")
    assert oom_kills((v2, v1)) == 3


def test_a_counter_that_says_nothing_is_unknown_and_not_zero(tmp_path: Path) -> None:
    old = tmp_path / "memory.oom_control"
    old.write_text("oom_kill_disable 0\nunder_oom 0\n")
    assert oom_kills((old, tmp_path)) is None


def test_last_lines_skip_blanks_colours_and_earlier_lives(tmp_path: Path) -> None:
    log = tmp_path / "model.log"
    log.write_bytes(b"earlier\n")
    since = log.stat().st_size
    log.write_bytes(b"earlier\none\n\n\x1b[31mtwo\x1b[0m\r\n  \nthr\xffee")
    assert last_lines(log, since, 5) == ["one", "two", "thr\ufffdee"]
    assert last_lines(log, since, 1) == ["thr\ufffdee"]


def test_a_log_that_was_truncated_is_read_whole(tmp_path: Path) -> None:
    log = tmp_path / "model.log"
    log.write_text("anew\n")
    assert last_lines(log, 10_000, 1) == ["anew"]


def test_a_huge_line_is_cut_and_a_missing_log_has_none(tmp_path: Path) -> None:
    log = tmp_path / "model.log"
    assert last_lines(log, 0, 1) == []
    log.write_text("x" * 1_000_000)
    assert last_lines(log, 0, 1) == ["x" * 200]
