"""From loaded to ready: what comes next, and when it is tried again."""

from __future__ import annotations

from vast_pyworker.worker.phases.preparation import OUTSIDE_MEASURE_S, Preparation


def nothing():
    return None


def test_without_anything_to_do_it_is_ready_with_the_capacity_that_is_claimed():
    preparation = Preparation(setup=None, measure=None, claimed_perf=40.0)
    assert preparation.next_step(0.0) == "ready"
    assert preparation.max_perf == 40.0


def test_setup_comes_before_the_measurement():
    preparation = Preparation(setup=nothing, measure=nothing)
    assert preparation.next_step(0.0) == "setup"
    preparation.was_set_up()
    assert preparation.next_step(0.0) == "measure"
    preparation.was_measured(12.0)
    assert preparation.next_step(0.0) == "ready"
    assert preparation.max_perf == 12.0


def test_the_waits_between_attempts_double_up_to_five_minutes():
    preparation = Preparation(setup=None, measure=nothing)
    now, waits = 0.0, []
    for _ in range(9):
        preparation.failed(now)
        began = now
        while preparation.next_step(now) == "wait":
            now += 1.0
        waits.append(now - began)
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_a_setup_that_worked_leaves_no_wait_for_the_measurement():
    preparation = Preparation(setup=nothing, measure=nothing)
    preparation.failed(0.0)
    preparation.was_set_up()
    assert preparation.next_step(1.0) == "measure"


def test_a_capacity_that_the_log_watch_told_is_taken():
    preparation = Preparation(setup=None, measure=nothing, claimed_perf=1.0)
    preparation.told_perf = 77.0
    assert preparation.next_step(0.0) == "ready"
    assert preparation.max_perf == 77.0


def test_while_the_log_watch_measures_we_wait_but_not_for_ever():
    preparation = Preparation(setup=None, measure=None)
    assert preparation.outside_measures(0.0)
    assert preparation.next_step(1.0) == "await_measure"
    assert preparation.next_step(OUTSIDE_MEASURE_S + 1) == "ready"


def test_a_log_watch_that_says_the_same_twice_has_nothing_more_to_say():
    preparation = Preparation(setup=None, measure=None)
    assert preparation.outside_measures(0.0)
    assert not preparation.outside_measures(5.0)
    assert preparation.next_step(5.0) == "ready"


def test_each_life_is_prepared_anew():
    preparation = Preparation(setup=nothing, measure=nothing)
    preparation.was_set_up()
    preparation.was_measured(3.0)
    preparation.begin()
    assert preparation.next_step(0.0) == "setup"
    assert preparation.max_perf == 0.0
