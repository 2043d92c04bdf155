"""A start that ends badly: one sentence, one exit code, one report."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vast_pyworker.errors import (
    BackendError,
    NotStarted,
    PyworkerError,
    SettingError,
    UnknownBackend,
)
from vast_pyworker.failure import Exit, guarded, report_addresses, report_body

PROGRAM = """
import os, signal, sys, time
from vast_pyworker.failure import guarded
def step():
    print("ready", flush=True)
    time.sleep(60)
    return 0
sys.exit(guarded(step, {}, reports=False))
"""


def ends_with(exc: BaseException) -> int:
    def step() -> int:
        raise exc

    return guarded(step, {})


@pytest.fixture(autouse=True)
def signals_as_before() -> object:
    """``guarded`` takes the signals of its process, which here is the tests'."""
    kept = {number: signal.getsignal(number) for number in (1, 2, 15)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("exc", "code"),
    [
        (NotStarted(Exit.PORT_TAKEN, "Taken."), 66),
        (UnknownBackend("None."), 65),
        (BackendError("Broken."), 74),
        (SettingError("Wrong."), 73),
        (OSError(errno.ENOSPC, "No space left on device", "/disk"), 67),
        (PermissionError(errno.EACCES, "Permission denied", "/root"), 67),
        (OSError(errno.EIO, "Input/output error"), 75),
        (ValueError("whatever"), 75),
    ],
)
def test_every_failure_has_its_code_and_one_sentence(
    exc: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends_with(exc) == code
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.endswith(".\n")


def test_what_succeeds_keeps_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: 0, {}) == 0
    assert capsys.readouterr().err == ""


def test_codes_are_distinct_and_explained() -> None:
    assert len({int(each) for each in Exit}) == len(Exit)
    assert all(each.sentence for each in Exit)
    assert issubclass(NotStarted, PyworkerError)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_a_failure_like_others(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert said == f"The start was stopped by {number.name}; start it again.\n"


def test_under_nohup_a_hangup_stays_ignored() -> None:
    with subprocess.Popen(
        ["nohup", sys.executable, "-c", PROGRAM],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM


def test_who_hears_of_it() -> None:
    assert report_addresses({}) == ()
    assert report_addresses({"CONTAINER_ID": "5"}) == ("https://run.vast.ai",)
    assert report_addresses({"REPORT_ADDR": "http://a, http://b/"}) == ("http://a", "http://b/")


def test_what_they_hear() -> None:
    environ = {"CONTAINER_ID": "5", "MASTER_TOKEN": 't"k'}
    assert report_body("Why.", environ) == {
        "id": 5,
        "mtoken": 't"k',
        "version": "0",
        "error_msg": "Why.",
        "url": "",
    }
    assert report_body("Why.", {"CONTAINER_ID": "C.5"})["id"] is None, "unknown is never 0"


def test_boot_says_when_the_packages_are_broken(tmp_path: Path) -> None:
    boot = Path(__file__).resolve().parents[2] / "vast_pyworker" / "boot.py"
    done = subprocess.run(
        [sys.executable, boot, "no_such_module_of_anyone:main"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == Exit.INSTALL_FAILED
    assert "delete it and start again" in done.stderr and done.stderr.count("\n") == 1


def test_boot_ends_without_a_traceback_on_sigint(tmp_path: Path) -> None:
    boot = Path(__file__).resolve().parents[2] / "vast_pyworker" / "boot.py"
    (tmp_path / "slow_start.py").write_text(
        "import time\ndef main():\n    print('ready', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, boot, "slow_start:main"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "Stopped by SIGINT.\n")
