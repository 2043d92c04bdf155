"""A short piece of the hostile hour: the bill is right, no request is lost, nothing is left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from soak_parts.load import Outcome
from soak_parts.services import ROOT
from soak_parts.verdicts import Bill, lost, verdicts

LIMIT_S = 400.0


def test_half_a_hostile_minute(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "soak"), "--minutes", "0.5", "--seed", "7"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert "Controller killed 2 times" in done.stdout
    assert "DOES NOT HOLD" not in done.stdout


def test_a_request_is_lost_only_where_there_was_a_worker() -> None:
    answered, unanswered = Outcome(0.0, 9.0, 200, 1), Outcome(10.0, 160.0, 0, 99)
    refused = Outcome(0.0, 1.0, 401, 1)
    nobody = [(0.0, 0), (100.0, 0), (160.0, 0)]
    somebody = [(0.0, 0), (100.0, 1), (160.0, 0)]
    assert lost([answered, unanswered], nobody) == []
    assert lost([answered, unanswered], somebody) == [unanswered]
    assert lost([answered, refused], nobody) == [refused]


def test_a_bill_that_is_a_cent_off_does_not_hold() -> None:
    seen = [(0.0, 1), (60.0, 1)]
    rows = verdicts([Outcome(0.0, 1.0, 200, 1)], seen, Bill(1.0, 1.2, 1.01), {"instances": 0})
    assert [each.what for each in rows if not each.holds] == ["bill: the page's"]


def test_a_fleet_that_mostly_does_not_serve_proves_nothing() -> None:
    seen = [(0.0, 1), (10.0, 0), (60.0, 0)]
    rows = verdicts([Outcome(0.0, 1.0, 200, 1)], seen, Bill(1.0, 1.0, 1.0), {"instances": 0})
    assert [each.what for each in rows if not each.holds] == ["time with a ready worker"]
