"""Launching a process apart from us, and what its log says when it ends too soon."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from vast_pyworker.errors import NotStarted
from vast_pyworker.failure import Exit
from vast_pyworker.worker.starting import launching
from vast_pyworker.worker.starting.launching import (
    Launch,
    last_words,
    launch,
    wait_until_it_answers,
)
from vast_pyworker.worker.starting.listening import Place

NOWHERE = Place("127.0.0.1", 9, "", False)
BROKEN = "b/backend.py has no class Backend; define it"
PARENT = """
import subprocess, time
while True:
    subprocess.run(["sh", "-c", "sleep 0.2; echo ValueError: again"])
"""


def gunicorn(level: str, said: str) -> str:
    return f"[2026-11-22 00:58:38 +0000] [22995] [{level}] {said}"


def test_what_ends_too_soon_gives_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "state" / "worker.log"
    log.parent.mkdir()
    log.write_text("ValueError: of an earlier start\n")
    program = "raise LookupError('no weights')"
    launched = launch(Launch((sys.executable, "-c", program), log), {})
    with pytest.raises(NotStarted, match=r"exited with code 1: LookupError: no weights;") as caught:
        wait_until_it_answers(launched, NOWHERE, 30.0)
    assert caught.value.code == Exit.NO_ANSWER
    assert launched.process.wait() == 1


def test_a_worker_that_is_replaced_before_it_answered_has_failed(tmp_path: Path) -> None:
    order = Launch((sys.executable, "-c", PARENT), tmp_path / "worker.log")
    launched = launch(order, {"PATH": "/usr/bin:/bin"})
    try:
        with pytest.raises(NotStarted, match="ended before it answered: ValueError: again"):
            wait_until_it_answers(launched, NOWHERE, 30.0)
    finally:
        launched.process.kill()
        launched.process.wait()


def test_what_never_answers_is_given_up(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    launched = launch(Launch(("sleep", "60"), log), {"PATH": "/usr/bin:/bin"})
    try:
        with pytest.raises(NotStarted, match="within 0 seconds"):
            wait_until_it_answers(launched, NOWHERE, 0.1)
    finally:
        launched.process.kill()
        launched.process.wait()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_long_log_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with log.open("wb") as file:
        file.truncate(launching.KEPT_LOG_BYTES + 1)
    launched = launch(Launch(("true",), log), {"PATH": "/usr/bin:/bin"})
    assert launched.process.wait() == 0
    assert log.stat().st_size == 0 and launched.log_offset == 0
    assert (tmp_path / "worker.log.1").stat().st_size > launching.KEPT_LOG_BYTES


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], ""),
        (["one", "two."], "two"),
        (
            ["Traceback:", "KeyError: 'a'", gunicorn("INFO", "Shutting down: Master")],
            "KeyError: 'a'",
        ),
        ([gunicorn("INFO", "Booting"), "b/backend.py has no class Backend; define it."], BROKEN),
        ([gunicorn("INFO", "Booting"), "a.BackendError: no."], "a.BackendError: no"),
        ([gunicorn("ERROR", "it broke"), gunicorn("ERROR", "Worker failed to boot.")], "it broke"),
        ([gunicorn("INFO", "Booting")], "Booting"),
        ([json.dumps({"level": "error", "message": "no such thing"}), "{cut"], "no such thing"),
        ([json.dumps({"level": "info", "message": "m"}), "plain"], "plain"),
        (
            [
                json.dumps({"level": "error", "message": BROKEN}),
                json.dumps({"level": "error", "message": "Worker (pid:7) exited with code 3."}),
                json.dumps({"level": "error", "message": "Shutting down: Master"}),
                json.dumps({"level": "error", "message": "Reason: Worker failed to boot."}),
            ],
            BROKEN,
        ),
        (
            [f"09:00:00 error main: {BROKEN}.", "09:00:00 info error: Worker exiting (pid: 7)"],
            f"09:00:00 error main: {BROKEN}",
        ),
        (
            [json.dumps({"message": "It broke.", "exception": "T\nOSError: x"})],
            "It broke: OSError: x",
        ),
    ],
)
def test_the_line_that_says_why(lines: list[str], words: str) -> None:
    assert last_words(lines) == words
