from __future__ import annotations

import pytest
from policy_support import QUIET, a_group, a_load, decided, seen

from vast_pyworker.controller.policy.observation import Load

NO_POOL = {"cold_workers": 0, "cold_mult": 0.0}


@pytest.mark.parametrize(
    ("load", "options", "hot", "cold"),
    [
        # active capacity = load / target_util
        (a_load(90.0), NO_POOL, 1, 0),
        (a_load(91.0), NO_POOL, 2, 0),
        (a_load(200.0), {**NO_POOL, "target_util": 1.0}, 2, 0),  # exactly full
        (a_load(0.0), NO_POOL, 0, 0),
        # min_load is a floor of the active capacity
        (a_load(0.0), {**NO_POOL, "min_load": 10.0}, 1, 0),
        (a_load(0.0), {**NO_POOL, "min_load": 250.0}, 3, 0),
        (a_load(360.0), {**NO_POOL, "min_load": 250.0}, 4, 0),
        # the queue is to be cleared in target_queue_time
        (a_load(90.0, queued=1000.0), NO_POOL, 2, 0),
        (a_load(90.0, queued=1000.0), {**NO_POOL, "target_queue_time": 5.0}, 3, 0),
        # a long stream counts, and ten minutes' mean makes the load fall slowly
        (a_load(0.0, in_flight=5400.0), NO_POOL, 1, 0),
        (a_load(0.0, arrivals_600s=180.0), NO_POOL, 2, 0),
        # beside it: the largest that cold_workers, cold_mult, min_cold_load demand
        (a_load(0.0), {}, 0, 5),
        (a_load(180.0), {"cold_workers": 1}, 2, 3),  # 180 x 2.5 = 450: 5 in all
        (a_load(180.0), {"cold_workers": 4}, 2, 4),
        (a_load(180.0), {"cold_workers": 1, "cold_mult": 3.0}, 2, 4),
        (a_load(180.0), {"cold_workers": 1, "min_cold_load": 700.0}, 2, 5),
        (a_load(0.0), {**NO_POOL, "min_cold_load": 250.0}, 0, 3),
        # max_workers counts the stopped ones too; without it the group's max_instances does
        (a_load(180.0), {"max_workers": 4}, 2, 2),
        (a_load(900.0), {"max_workers": 4}, 4, 0),
        (a_load(0.0), {"cold_workers": 30}, 0, 10),
        (a_load(2000.0), NO_POOL, 10, 0),
        # zero
        (a_load(0.0), {**NO_POOL, "inactivity_timeout": -1}, 1, 0),
        (a_load(0.0), {**NO_POOL, "inactivity_timeout": 0}, 0, 0),
    ],
)
def test_table(load: Load, options: dict[str, float], hot: int, cold: int) -> None:
    want = decided(a_group("vast", **options), seen(load))
    assert (want.hot, want.cold) == (hot, cold)


@pytest.mark.parametrize(("idle_s", "hot"), [(599.0, 1), (600.0, 0), (None, 1)])
def test_the_last_one_goes_when_it_has_been_idle_for_the_timeout(
    idle_s: float | None, hot: int
) -> None:
    group = a_group("vast", **NO_POOL, inactivity_timeout=600)
    steps = [seen(a_load(90.0)), seen(a_load(0.0, idle_s=idle_s), at=1000.0)]
    assert decided(group, *steps).hot == hot


def test_idleness_does_not_wake_a_group_that_sleeps() -> None:
    group = a_group("vast", **NO_POOL, inactivity_timeout=600)
    assert decided(group, seen(a_load(0.0, idle_s=10.0))).hot == 0


def test_what_is_unknown_changes_nothing() -> None:
    group = a_group("vast", cold_workers=1)
    first = seen(a_load(180.0))
    want = decided(group, first, seen(Load(), at=5000.0))
    assert (want.hot, want.cold) == (2, 3)
    assert want.reason == "the load is not known in full: no change"


def test_of_unknown_capacity_one_is_wanted_for_any_load_and_none_for_no_load() -> None:
    group = a_group("vast", **NO_POOL)
    assert decided(group, seen(a_load(900.0), perf=None)).hot == 1
    assert decided(group, seen(QUIET, perf=None)).hot == 0


def test_the_pool_of_a_new_group_needs_no_measured_capacity() -> None:
    assert decided(a_group("vast", cold_workers=3), seen(Load(), perf=None)).cold == 3


def test_cold_mult_looks_at_the_highest_load_of_an_hour() -> None:
    group = a_group("vast", cold_workers=0)
    steps = [seen(a_load(180.0)), seen(QUIET, at=3599.0), seen(QUIET, at=3601.0)]
    early, late = decided(group, *steps[:2]), decided(group, *steps)
    assert (early.hot, early.cold) == (0, 5)
    assert (late.hot, late.cold) == (0, 0)


def test_what_there_is_at_a_start_stays_until_the_load_is_learnt() -> None:
    group = a_group("vast", **NO_POOL)
    assert decided(group, seen(QUIET, hot=3), seen(QUIET, hot=3, at=599.0)).hot == 3
    assert decided(group, seen(QUIET, hot=3), seen(QUIET, hot=3, at=601.0)).hot == 0


@pytest.mark.parametrize(
    ("load", "options", "reason"),
    [
        (a_load(240.0), {}, "load 240 units/s needs 2.7 at 90 %"),
        (a_load(90.0, queued=1000.0), {}, "load 90 units/s and 1000 units queued needs 2 at 90 %"),
        (a_load(0.0), {"min_load": 10.0}, "min_load of 10 units/s needs 0.1"),
        (a_load(0.0), {}, "no load"),
        (a_load(0.0), {"inactivity_timeout": -1}, "no load, and never none"),
    ],
)
def test_the_reason_says_which_parameter_decided(
    load: Load, options: dict[str, float], reason: str
) -> None:
    assert decided(a_group("vast", **options), seen(load)).reason == reason
