"""Which worker runs: with real processes."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from vast_pyworker.worker.starting import pidfile
from vast_pyworker.worker.starting.pidfile import Running

STUBBORN = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "60"])
print(child.pid, flush=True)
signal.pause()
"""


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def running_of(pid: int) -> Running:
    identity = pidfile.identity_of(pid)
    assert identity is not None
    return Running(pid, identity, "helloworld", 3000, "http://127.0.0.1:3000", "/log", 1.0)


def test_what_is_written_is_read_by_nobody_else(
    tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    path = tmp_path / "state" / "worker.json"
    running = running_of(process.pid)
    pidfile.write(path, running)
    assert pidfile.read(path) == running
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_process_that_has_ended_does_not_run(
    tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    path = tmp_path / "worker.json"
    pidfile.write(path, running_of(process.pid))
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert pidfile.read(path) is None, "a zombie runs no more"
    process.wait()
    assert pidfile.read(path) is None


def test_another_process_with_the_number_is_not_ours(
    tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    path = tmp_path / "worker.json"
    other = replace(running_of(process.pid), identity="another boot:1")
    pidfile.write(path, other)
    assert pidfile.read(path) is None
    assert pidfile.end(other, 1.0, print) is True
    assert process.poll() is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": 1}', "null"])
def test_a_broken_file_names_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "worker.json").write_text(text)
    assert pidfile.read(tmp_path / "worker.json") is None
    assert pidfile.read(tmp_path / "none.json") is None


def test_end_waits_for_the_end(process: subprocess.Popen[bytes]) -> None:
    assert pidfile.end(running_of(process.pid), 10.0, print) is True
    assert process.wait(5) in (-signal.SIGTERM, 0)


def test_what_does_not_drain_is_killed_with_its_children() -> None:
    said: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        child = running_of(int(process.stdout.readline()))
        assert pidfile.end(running_of(process.pid), 0.2, said.append) is False
        process.wait(10)
    assert pidfile.identity_of(child.pid) != child.identity
    assert len(said) == 1 and "killing it" in said[0]
