from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from relay_bench import processes
from relay_bench.errors import BenchError

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "60"])
print(child.pid, flush=True)
time.sleep(60)
"""


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.01)
    return False


def test_a_tree_that_ignores_sigterm_is_ended_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GRACE_S", 0.2)
    log = tmp_path / "log"
    with processes.started([sys.executable, "-c", STUBBORN], cwd=tmp_path, log=log) as parent:
        child = int(processes.first_line(parent, log))
    assert parent.returncode is not None
    assert is_gone(child)


def test_what_was_started_ends_when_an_error_passes(tmp_path: Path) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def fail() -> None:
        with processes.started(["sleep", "60"], cwd=tmp_path, log=tmp_path / "log") as process:
            started.append(process)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert started[0].returncode is not None


def test_settings_of_the_caller_do_not_reach_a_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--workers 9")
    assert "GUNICORN_CMD_ARGS" not in processes.clean_environ({"A": "1"})
    assert processes.clean_environ({"A": "1"})["A"] == "1"


def test_silent_program_is_an_error(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        processes.started(["true"], cwd=tmp_path, log=log) as process,
        pytest.raises(BenchError, match="printed nothing"),
    ):
        processes.first_line(process, log)


def test_failed_program_is_an_error_with_what_it_said() -> None:
    with pytest.raises(BenchError, match="sh ended with code 3: oh no"):
        processes.run_bounded(["sh", "-c", "echo oh no >&2; exit 3"], timeout_s=10)


def test_slow_program_is_an_error() -> None:
    with pytest.raises(BenchError, match="did not end in 0 s"):
        processes.run_bounded(["sleep", "60"], timeout_s=0.1)


def test_tail_of_a_log_is_one_line_for_a_sentence(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert processes.tail(log) == "it has no log"
    log.write_text("one\ntwo\n")
    assert processes.tail(log) == "one | two"


def test_free_port_is_a_port() -> None:
    assert 1024 <= processes.free_port() <= 65535
