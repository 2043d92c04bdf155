"""The judgement of a model that serves: three troubles, each with its own end."""

from __future__ import annotations

import pytest

from vast_pyworker.worker.contract.spec import Limits
from vast_pyworker.worker.fakes import OK, REFUSED, TIMED_OUT, UNWELL
from vast_pyworker.worker.phases.vigil import Action, Vigil


@pytest.fixture
def vigil():
    return Vigil(Limits(probe_failures=3, progress_timeout_s=120.0))


def probes(vigil, *answers, at=0.0, marks=None):
    for answer in answers:
        vigil.note_probe(answer, at, marks or {"answers": 1})


def action(vigil, now, running=0, answers=1):
    return vigil.judge(now, running, {"answers": answers}).action


def test_a_model_that_is_well_is_left_alone(vigil):
    probes(vigil, OK, OK)
    assert action(vigil, 0.0) is Action.LEAVE
    assert action(vigil, 1000.0, running=5, answers=2) is Action.LEAVE


def test_two_failures_are_nothing_and_three_degrade(vigil):
    probes(vigil, REFUSED, REFUSED)
    assert action(vigil, 0.0) is Action.LEAVE
    probes(vigil, REFUSED)
    judgement = vigil.judge(0.0, 0, {})
    assert judgement.action is Action.DEGRADE
    assert judgement.cause == "unwell"
    assert judgement.reason == ("3 health checks in a row failed: nobody listens on its port")


def test_a_good_probe_ends_being_unwell(vigil):
    probes(vigil, UNWELL, UNWELL, UNWELL)
    assert action(vigil, 0.0) is Action.DEGRADE
    assert action(vigil, 1.0) is Action.LEAVE
    probes(vigil, OK)
    assert action(vigil, 2.0) is Action.RECOVER
    assert vigil.cause == ""


def test_being_unwell_for_too_long_needs_a_new_process(vigil):
    probes(vigil, UNWELL, UNWELL, UNWELL)
    assert action(vigil, 0.0) is Action.DEGRADE
    assert action(vigil, 119.0) is Action.LEAVE
    assert action(vigil, 121.0) is Action.RESTART


def test_a_busy_engine_that_misses_its_probes_is_never_touched(vigil):
    for second in range(0, 3600, 10):
        vigil.note_probe(TIMED_OUT, second, {"answers": second})
        assert action(vigil, second, running=64, answers=second) is Action.LEAVE


def test_a_hang_degrades_and_restarts_although_the_health_check_is_well(vigil):
    assert action(vigil, 0.0, running=4) is Action.LEAVE
    probes(vigil, OK, OK, OK)
    judgement = vigil.judge(121.0, 4, {"answers": 1})
    assert judgement.action is Action.DEGRADE
    assert judgement.reason == "no progress for 120 s with 4 requests running"
    assert action(vigil, 121.1, running=4) is Action.RESTART


def test_a_hang_that_moves_again_is_over(vigil):
    action(vigil, 0.0, running=4)
    assert action(vigil, 121.0, running=4) is Action.DEGRADE
    assert action(vigil, 122.0, running=4, answers=2) is Action.RECOVER


def test_a_hang_is_not_over_because_its_requests_have_left(vigil):
    action(vigil, 0.0, running=4)
    assert action(vigil, 121.0, running=4) is Action.DEGRADE
    probes(vigil, OK, OK, OK)
    assert action(vigil, 122.0, running=0) is not Action.RECOVER
    assert action(vigil, 242.0, running=0) is Action.RECOVER


def test_a_fatal_line_is_over_after_three_good_probes(vigil):
    probes(vigil, OK, OK, OK)
    vigil.note_fatal("Traceback (most recent call last):", 0.0)
    assert action(vigil, 1.0) is Action.LEAVE
    probes(vigil, OK, OK)
    assert action(vigil, 2.0) is Action.LEAVE
    probes(vigil, OK)
    assert action(vigil, 3.0) is Action.RECOVER


def test_a_fatal_line_that_stays_true_needs_a_new_process(vigil):
    vigil.note_fatal("EngineDeadError", 0.0)
    probes(vigil, UNWELL, UNWELL)
    assert action(vigil, 59.0) is Action.LEAVE
    judgement = vigil.judge(61.0, 0, {})
    assert (judgement.action, judgement.reason, judgement.cause) == (
        Action.RESTART,
        "EngineDeadError",
        "fatal",
    )


def test_with_a_progress_timeout_of_0_nobody_is_restarted_for_being_slow():
    vigil = Vigil(Limits(progress_timeout_s=0.0))
    probes(vigil, REFUSED, REFUSED, REFUSED)
    assert action(vigil, 0.0, running=1) is Action.DEGRADE
    assert action(vigil, 1e9, running=1) is Action.LEAVE


def test_another_process_begins_without_a_past(vigil):
    vigil.note_fatal("EngineDeadError", 0.0)
    vigil.forget()
    assert vigil.cause == ""
    assert action(vigil, 1000.0) is Action.LEAVE
