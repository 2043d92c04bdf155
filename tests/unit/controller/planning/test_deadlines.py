from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs
from planning_support import GROUP, NOW, a_member

from vast_pyworker.controller.planning.deadlines import (
    due,
    due_cold,
    is_strike,
    never_ready,
    remembered_s,
)
from vast_pyworker.model import ActionKind, Desired, Phase, Stage, Trouble


def since(seconds: float) -> dict[str, float]:
    return {"since": NOW - seconds}


def told(kind: ActionKind | None, stage: Stage, **fields: Any) -> None:
    action = due(a_member(1, stage, **fields), GROUP, NOW)
    assert (action.kind if action else None) is kind


@pytest.mark.parametrize(
    ("stage", "allowed_s"),
    [
        (Stage.LOADING, 1800.0),
        (Stage.JOINING, 300.0),
        (Stage.WARMING, 1800.0),
        (Stage.STARTING, 180.0),
    ],
)
def test_each_part_of_a_start_has_its_own_deadline(stage: Stage, allowed_s: float) -> None:
    told(None, stage, **since(allowed_s - 1))
    action = due(a_member(1, stage, **since(allowed_s)), GROUP, NOW)
    assert action is not None and action.kind is ActionKind.DESTROY
    assert is_strike(action)


@pytest.mark.parametrize("stage", [Stage.READY, Stage.ORDERED, Stage.MISSING])
def test_the_rest_are_never_late(stage: Stage) -> None:
    told(None, stage, **since(1e7))


@pytest.mark.parametrize("trouble", [Trouble.EXITED, Trouble.FAILED, Trouble.EXPIRED])
def test_what_the_provider_says_has_ended_and_speaks_on_is_not_believed(trouble: Trouble) -> None:
    then = ActionKind.REBOOT if trouble is Trouble.EXITED else ActionKind.DESTROY
    told(None, Stage.SUSPECT, trouble=trouble, silent_s=8.0, **since(2))  # its next word is awaited
    told(then, Stage.SUSPECT, trouble=trouble, silent_s=28.0, **since(20))
    told(None, Stage.SUSPECT, trouble=trouble, silent_s=8.0, **since(899))
    told(then, Stage.SUSPECT, trouble=trouble, silent_s=8.0, **since(900))


def test_a_launch_is_at_fault_only_for_what_never_served() -> None:
    new = a_member(1, Stage.JOINING, **since(400), created_at=NOW - 2000)
    assert never_ready(new, GROUP.deadlines)
    served = a_member(1, Stage.JOINING, **since(400), created_at=NOW - 1e5)
    assert not never_ready(served, GROUP.deadlines)
    assert not never_ready(structs.replace(new, perf=50.0), GROUP.deadlines)
    assert not never_ready(structs.replace(new, stage=Stage.READY), GROUP.deadlines)


def test_failures_count_together_for_as_long_as_three_starts_may_take() -> None:
    slow = replace(GROUP.deadlines, loading_s=7200.0, ready_s=7200.0)
    assert remembered_s(slow) >= 3 * (7200 + 300 + 7200)


@pytest.mark.parametrize(
    ("trouble", "fields", "wait_s", "then"),
    [
        (Trouble.SILENT, {"probe_ok": False}, 30.0, ActionKind.REBOOT),
        (Trouble.SILENT, {}, 120.0, ActionKind.REBOOT),
        (Trouble.SILENT, {"probe_ok": True}, 300.0, ActionKind.REBOOT),
        (Trouble.ERROR, {"silent_s": 3.0}, 120.0, ActionKind.REBOOT),
        (Trouble.EXITED, {}, 0.0, ActionKind.REBOOT),
        (Trouble.OFFLINE, {}, 90.0, ActionKind.DESTROY),
        (Trouble.OFFLINE, {"silent_s": 3.0}, 900.0, ActionKind.DESTROY),
        (Trouble.OFFLINE, {"probe_ok": True}, 900.0, ActionKind.DESTROY),
        (Trouble.UNKNOWN, {}, 900.0, ActionKind.DESTROY),
        (Trouble.OUTBID, {}, 180.0, ActionKind.DESTROY),
        (Trouble.FAILED, {}, 0.0, ActionKind.DESTROY),
        (Trouble.EXPIRED, {}, 0.0, ActionKind.DESTROY),
        (Trouble.STOPPED, {}, 0.0, ActionKind.START),
    ],
)
def test_what_follows_a_trouble_and_after_what_time(
    trouble: Trouble, fields: dict[str, Any], wait_s: float, then: ActionKind
) -> None:
    if wait_s:
        told(None, Stage.SUSPECT, trouble=trouble, **since(wait_s - 1), **fields)
    told(then, Stage.SUSPECT, trouble=trouble, **since(wait_s), **fields)


@pytest.mark.parametrize("trouble", [Trouble.SILENT, Trouble.ERROR, Trouble.EXITED])
def test_a_second_trouble_is_no_second_reboot(trouble: Trouble) -> None:
    # Told to reboot, and never out of trouble: a start and a first report are waited for.
    never_out = {"trouble": trouble, "reboots": 1, "since": NOW - 1000, "probe_ok": False}
    told(None, Stage.SUSPECT, **never_out, told_at=NOW - 479)
    told(ActionKind.DESTROY, Stage.SUSPECT, **never_out, told_at=NOW - 480)
    # Back in trouble after it had left it.
    back = {"trouble": trouble, "reboots": 1, "told_at": NOW - 1000, "probe_ok": False}
    told(ActionKind.DESTROY, Stage.SUSPECT, **back, **since(120))
    told(None, Stage.SUSPECT, **{**back, "told_at": NOW - 179}, **since(178))


def test_the_strikes_are_for_what_a_machine_is_to_blame_for() -> None:
    struck = {
        trouble
        for trouble in Trouble
        for member in [a_member(1, Stage.SUSPECT, trouble=trouble, reboots=1, since=NOW - 1e5)]
        for action in [due(member, GROUP, NOW)]
        if action is not None and is_strike(action)
    }
    assert struck == {
        Trouble.SILENT, Trouble.ERROR, Trouble.EXITED, Trouble.FAILED, Trouble.OFFLINE,
    }  # fmt: skip


def test_one_that_did_not_start_when_told_is_replaced() -> None:
    stopped = {"trouble": Trouble.STOPPED, "reason": "started: 2 wanted"}
    told(None, Stage.SUSPECT, **stopped, desired_at=NOW - 60)
    told(ActionKind.DESTROY, Stage.SUSPECT, **stopped, desired_at=NOW - 180)
    told(ActionKind.START, Stage.SUSPECT, **stopped, desired_at=NOW - 3600)


def test_a_clock_that_went_back_makes_nothing_late() -> None:
    for stage in (Stage.LOADING, Stage.JOINING, Stage.WARMING, Stage.STARTING):
        told(None, stage, since=NOW + 1e6)
    told(None, Stage.SUSPECT, trouble=Trouble.SILENT, since=NOW + 1e6)


def test_a_stopped_one_goes_when_it_can_never_run_or_was_stopped_too_long() -> None:
    assert due_cold(a_member(1, Stage.COLD), GROUP, NOW) is None
    for phase in (Phase.FAILED, Phase.EXPIRED):
        action = due_cold(a_member(1, Stage.COLD, phase=phase), GROUP, NOW)
        assert action is not None and action.kind is ActionKind.DESTROY
    group = replace(GROUP, stopped_ttl_s=3600.0)
    assert due_cold(a_member(1, Stage.COLD, desired_at=NOW - 3599), group, NOW) is None
    assert due_cold(a_member(1, Stage.COLD, desired_at=NOW - 3600), group, NOW) is not None
    draining = a_member(1, Stage.DRAINING, desired=Desired.STOP, desired_at=NOW - 3600)
    assert due_cold(draining, group, NOW) is None
