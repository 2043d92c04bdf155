"""Disks that are full, files that are gone: one sentence, and nothing is half written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ledger_support import NOON, an_intent, open_ledger

from vast_pyworker.controller.ledger.charges import Charge, hour_of
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.errors import LedgerError

FULL = """
import json, resource, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from ledger_support import NOON, an_intent, open_ledger
from vast_pyworker.errors import LedgerError
folder = Path(sys.argv[1])
ledger = open_ledger(folder)
ledger.spend.accrue((), NOON)
used = sum(each.stat().st_size for each in folder.iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (used + 60_000, resource.RLIM_INFINITY))
written, said = [], ""
for number in range(10_000):
    try:
        ledger.intents.write(an_intent(f"i{number}", reason="x" * 2000, instance_id=number))
        written.append(f"i{number}")
    except LedgerError as exc:
        said = str(exc)
        break
known = sorted(ledger.intents.open())
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
ledger.intents.write(an_intent("after"))
ledger.abandon()
print(json.dumps({"written": sorted(written), "known": known, "said": said}))
"""


def test_a_full_disk_is_one_sentence_and_what_was_written_before_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path), str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["said"].startswith(f"The ledger {tmp_path}/ledger.db cannot be written")
    assert "\n" not in told["said"]
    assert told["known"] == told["written"] and told["written"]
    again = open_ledger(tmp_path)
    assert sorted(again.intents.open()) == sorted([*told["written"], "after"])
    again.close()


def test_a_deleted_ledger_takes_nothing_more(ledger: Ledger, tmp_path: Path) -> None:
    ledger.intents.write(an_intent())
    (tmp_path / "ledger.db").unlink()
    with pytest.raises(LedgerError, match="was removed or replaced"):
        ledger.intents.write(an_intent("b2"))
    with pytest.raises(LedgerError, match="was removed or replaced"):
        ledger.journal.say(NOON, "chat", "a sentence", {})
    assert list(ledger.intents.open()) == ["a1"]
    assert ledger.journal.last("chat") is None


def test_a_ledger_that_can_only_be_read_is_one_sentence(ledger: Ledger) -> None:
    with ledger._database._place.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only=ON")
    with pytest.raises(LedgerError) as caught:
        ledger.intents.write(an_intent())
    assert "readonly database): make the file and its directory writable." in str(caught.value)
    assert dict(ledger.intents.open()) == {}
    with ledger._database._place.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only=OFF")


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"cannot be locked .*make its directory writable"):
        open_ledger(tmp_path / "missing")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://somewhere/ledger", "cannot be kept in postgresql"),
        ("sqlite://", "needs a file"),
        (":memory:", "needs a file"),
        ("sqlite:///file:ledger.db?mode=ro&uri=true", "needs a file"),
        ("what is this://", "cannot be read"),
    ],
)
def test_a_url_that_cannot_serve_is_one_sentence(url: str, said: str) -> None:
    with pytest.raises(LedgerError, match=said):
        Ledger.open(url, holder="tests")


def test_money_that_could_not_be_written_is_still_counted(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.intents.write(an_intent(instance_id=7))
    ledger.spend.accrue((), NOON)
    lock = tmp_path / "ledger.db.lock"
    aside = lock.rename(tmp_path / "aside")
    charge = Charge(7, "a1", "chat", "gpu", 6000, hour_of(NOON))
    with pytest.raises(LedgerError):
        ledger.spend.accrue([charge], NOON + 60)
    assert ledger.spend.spent_micro(NOON) == 6000
    aside.rename(lock)
    ledger.spend.accrue([charge], NOON + 120)
    ledger.abandon()
    again = open_ledger(tmp_path)
    assert again.spend.spent_micro(NOON) == 12000
    again.close()
