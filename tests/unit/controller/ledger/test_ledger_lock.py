"""One controller for one ledger, also when it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ledger_support import an_intent, open_ledger

from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.errors import LedgerError, LedgerLocked

HOLD = """
import sys, time
from vast_pyworker.controller.ledger.ledger import Ledger
ledger = Ledger.open(sys.argv[1], holder="controller of fleet red", now=lambda: 1760011200.0)
print("open", flush=True)
time.sleep(600)
"""


def test_a_second_one_is_told_who_has_it_until_that_one_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "open\n"
        with pytest.raises(LedgerLocked) as caught:
            open_ledger(tmp_path)
        other.send_signal(signal.SIGKILL)
    said = str(caught.value)
    assert f"controller of fleet red (process {other.pid} on " in said
    assert "since 2025-10-09 12:00:00 UTC" in said and str(path) in said
    open_ledger(tmp_path).close()


def test_the_same_process_cannot_open_it_twice(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(LedgerLocked, match=f"tests \\(process {os.getpid()} on"):
        open_ledger(tmp_path)


def test_the_lock_is_let_go_when_opening_fails(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_text("this is no database, and long enough to be looked at as one" * 20)
    with pytest.raises(LedgerError, match="name another one"):
        open_ledger(tmp_path)
    path.unlink()
    open_ledger(tmp_path).close()


def test_an_unreadable_word_of_the_holder_is_no_hindrance(tmp_path: Path) -> None:
    first = open_ledger(tmp_path)
    (tmp_path / "ledger.db.lock").write_text("{half")
    with pytest.raises(LedgerLocked, match="in use by another process"):
        open_ledger(tmp_path)
    first.close()


def test_nothing_is_written_once_the_lock_was_taken_away(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "ledger.db.lock").unlink()
    with pytest.raises(LedgerError, match=r"lock file .* was removed or replaced"):
        ledger.intents.write(an_intent())
    assert dict(ledger.intents.open()) == {}
