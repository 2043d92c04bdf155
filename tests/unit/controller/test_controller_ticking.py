"""The thread that ticks: how often it may, and what a tick that fails leaves behind."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from vast_pyworker.controller.loop import SPENT_MARGIN_S
from vast_pyworker.controller.main import USAGE, ControllerOptions, run
from vast_pyworker.controller.ticking import LONGEST_EVERY_S, Ticking, Ticks, check_interval
from vast_pyworker.errors import LedgerError, SettingError

GROUPS = """
fleet = "fleet"
[limits]
instances = 2
usd_per_hour = 1.0

[group.llm]
endpoint = "llm"



query = "num_gpus=1"
max_usd_per_hour = 0.5
min_instances = 1
max_instances = 1

[group.llm.launch]
backend = "helloworld"
image = "none:1"
disk_gb = 10
"""
WAIT_S = 10.0


def test_a_group_is_emptied_before_a_later_tick_could_be_too_late() -> None:
    assert LONGEST_EVERY_S <= SPENT_MARGIN_S / 2
    check_interval(LONGEST_EVERY_S)
    for every_s in (LONGEST_EVERY_S + 1, 0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(SettingError, match=r"--every is .* s: give more than 0 and at most 60"):
            check_interval(every_s)


def test_ticks_too_far_apart_are_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = tmp_path / "groups.toml"
    groups.write_text(GROUPS)
    options = ControllerOptions(
        groups, tmp_path / "state", market="http://127.0.0.1:9", port=0, every_s=300.0
    )
    assert run(options, environ={}, say=lambda line: None) == USAGE
    said = capsys.readouterr().err
    assert said.startswith("--every is 300 s: give more than 0 and at most 60")
    assert said.count("\n") == 1
    assert not (tmp_path / "state").exists()


def test_a_tick_that_fails_is_said_and_the_next_one_comes() -> None:
    ticks, again = Ticks(), threading.Event()
    told: list[str] = []

    def tick() -> None:
        if ticks.count == 1:
            raise LedgerError("The ledger cannot be written (disk full): free space on its disk.")
        told.append(ticks.failure)
        again.set()

    ticking = Ticking(tick, ticks, 0.001, lambda: 0.0)
    ticking.start()
    assert again.wait(WAIT_S)
    ticking.stop()
    assert told[0].startswith("The ledger cannot be written")
    assert (ticks.failed, ticks.failure) == (1, "")
