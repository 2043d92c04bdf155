from __future__ import annotations

from typing import Any

import pytest

from vast_pyworker.vastai.records import Instance
from vast_pyworker.vastai.states import Phase, Wish, derive

NOW = 1000.0
RUN, STOP = "running", "stopped"


def state(
    actual: str | None,
    intended: str | None = RUN,
    cur: str | None = RUN,
    moving: str | None = RUN,
    *,
    wish: Wish | None = None,
    **more: Any,
) -> Phase:
    row = Instance(
        1, actual_status=actual, intended_status=intended, cur_state=cur, next_state=moving, **more
    )
    found = derive(row, intended=wish, now=NOW)
    assert found.reason and "\n" not in found.reason
    return found.phase


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (None, Phase.CREATING),
        ("", Phase.CREATING),
        ("created", Phase.CREATING),
        ("loading", Phase.LOADING),
        ("running", Phase.RUNNING),
        ("rebooting", Phase.REBOOTING),
        ("frozen", Phase.FROZEN),
        ("exited", Phase.EXITED),
        ("unknown", Phase.UNKNOWN),
        ("offline", Phase.OFFLINE),
        ("brand new word", Phase.UNKNOWN),
    ],
)
def test_while_the_contract_runs_the_container_decides(actual: str | None, expected: Phase) -> None:
    assert state(actual) == expected
    assert state(actual, wish=RUN) == expected


def test_a_long_pull_with_a_contract_that_says_stopped_is_still_loading() -> None:
    assert state("loading", cur=STOP, moving=RUN) == Phase.LOADING


@pytest.mark.parametrize("actual", [None, "stopped", "exited", "created", "loading"])
def test_all_three_stopped_is_stopped(actual: str | None) -> None:
    assert state(actual, STOP, STOP, STOP) == Phase.STOPPED
    assert state(actual, STOP, STOP, STOP, wish=STOP, is_bid=True) == Phase.STOPPED
    assert state(actual, STOP, STOP, STOP, wish=RUN) == Phase.STOPPED


@pytest.mark.parametrize(
    "shape",
    [("stopped", STOP, STOP, STOP), ("exited", STOP, STOP, RUN), ("stopped", RUN, STOP, STOP)],
)
def test_every_shape_of_an_outbid_is_seen_by_who_wants_it_running(shape: Any) -> None:
    assert state(*shape, wish=RUN, is_bid=True) == Phase.OUTBID
    assert state(*shape, wish=RUN, is_bid=False) != Phase.OUTBID


def test_a_bid_that_is_too_low_is_evidence_without_a_wish() -> None:
    prices = {"min_bid_usd_per_hour": 0.3, "gpu_usd_per_hour": 0.2}
    assert state("stopped", STOP, STOP, STOP, is_bid=True, **prices) == Phase.OUTBID
    assert state("stopped", STOP, STOP, STOP, is_bid=True) == Phase.STOPPED
    assert state("stopped", STOP, STOP, STOP, is_bid=False, **prices) == Phase.STOPPED


def test_what_was_stopped_by_wish_is_never_outbid() -> None:
    prices = {"min_bid_usd_per_hour": 0.3, "gpu_usd_per_hour": 0.2}
    assert state("exited", STOP, STOP, STOP, wish=STOP, is_bid=True, **prices) == Phase.STOPPED


def test_a_queued_start_is_scheduling() -> None:
    assert state("exited", RUN, STOP, RUN) == Phase.SCHEDULING
    assert state("stopped", RUN, STOP, RUN, is_bid=True) == Phase.SCHEDULING


def test_a_container_that_ended_while_its_contract_runs_has_exited() -> None:
    assert state("exited", RUN, RUN, RUN, is_bid=True, wish=RUN) == Phase.EXITED


@pytest.mark.parametrize("actual", [None, "created", "loading", "exited"])
def test_a_container_that_cannot_be_made_has_failed(actual: str | None) -> None:
    message = "Error: OCI runtime create failed: runc create failed\n"
    assert state(actual, status_msg=message) == Phase.FAILED


def test_an_old_message_says_nothing_about_a_container_that_runs() -> None:
    assert state("running", status_msg="OCI runtime create failed: x") == Phase.RUNNING


def test_a_program_that_ended_on_a_full_disk_has_exited() -> None:
    assert state("exited", status_msg="no space left on device") == Phase.EXITED


@pytest.mark.parametrize("actual", ["stopped", "exited", "offline", None])
def test_a_contract_past_its_end_has_expired(actual: str | None) -> None:
    assert state(actual, STOP, STOP, STOP, ends_at=NOW - 1) == Phase.EXPIRED
    assert state(actual, STOP, STOP, STOP, ends_at=NOW + 1) != Phase.EXPIRED


def test_a_clock_that_is_ahead_does_not_expire_what_runs() -> None:
    assert state("running", ends_at=NOW - 1) == Phase.RUNNING


def test_a_stop_on_its_way_is_stopping() -> None:
    assert state("running", STOP, RUN, STOP) == Phase.STOPPING
    assert state("running", STOP, STOP, STOP) == Phase.STOPPING
    assert state("running", RUN, STOP, STOP) == Phase.STOPPING


def test_one_field_alone_tells_nothing() -> None:
    assert state("running", None, None, None) == Phase.UNKNOWN
    assert state("stopped", None, None, None) == Phase.UNKNOWN
    assert state(None, None, None, None) == Phase.UNKNOWN
    assert state("running", None, RUN, None) == Phase.RUNNING
    assert state("running", None, None, None, wish=RUN) == Phase.RUNNING


def test_every_combination_has_a_state() -> None:
    actuals = [None, "created", "loading", RUN, STOP, "frozen", "exited", "rebooting", "unknown"]
    contract = [None, RUN, STOP, "frozen", "unloaded", "x"]
    wishes: list[Wish | None] = [None, "running", "stopped"]
    for actual in actuals:
        for intended in contract:
            for cur in contract:
                for moving in contract:
                    for wish in wishes:
                        state(actual, intended, cur, moving, wish=wish, is_bid=True)
