from __future__ import annotations

import pytest
from policy_support import QUIET, a_group, a_load, decided, seen

from vast_pyworker.controller.policy import POLICIES
from vast_pyworker.controller.policy.observation import Load
from vast_pyworker.model import Bounds


@pytest.mark.parametrize(
    ("load", "perf", "utilisation", "hot"),
    [
        (a_load(0.0), 100.0, 0.7, 0),
        (a_load(1.0), 100.0, 0.7, 1),
        (a_load(70.0), 100.0, 0.7, 1),  # exactly full at the target: not one more
        (a_load(71.0), 100.0, 0.7, 2),
        (a_load(240.0), 100.0, 0.7, 4),
        (a_load(300.0), 100.0, 1.0, 3),
        (a_load(0.0, queued=4200.0), 100.0, 0.7, 1),  # 4200 units in 60 s are 70 units/s
        (a_load(0.0, in_flight=6000.0), 100.0, 0.7, 2),  # a long stream: nothing comes any more
        (a_load(100.0, in_flight=6000.0), 100.0, 1.0, 1),  # the same work is not counted twice
        (a_load(100.0, queued=6000.0), 100.0, 1.0, 2),  # what waits comes on top
        (a_load(0.0), None, 0.7, 0),  # nothing to do needs nobody, however fast
        (a_load(5000.0), None, 0.7, 1),  # of unknown capacity: one, to learn it
    ],
)
def test_table(load: Load, perf: float | None, utilisation: float, hot: int) -> None:
    group = a_group("target", utilisation=utilisation)
    assert decided(group, seen(load, perf=perf)).hot == hot


def test_the_reason_is_arithmetic_that_a_person_can_follow() -> None:
    want = decided(a_group("target"), seen(a_load(240.0)))
    assert want.reason == "load 240 units/s needs 3.4 at 70 %"


def test_bounds_hold_and_are_named() -> None:
    assert decided(a_group("target", most=2), seen(a_load(700.0))).reason.endswith(
        ", at most 2 allowed"
    )
    low = decided(a_group("target", least=2), seen(QUIET))
    assert (low.hot, low.reason) == (2, "no load, at least 2 kept")


def test_the_highest_need_of_the_down_window_counts() -> None:
    group = a_group("target")
    peak, calm = a_load(240.0), a_load(60.0)
    assert decided(group, seen(peak), seen(calm, at=299.0)).hot == 4
    assert decided(group, seen(peak), seen(calm, at=301.0)).hot == 1


def test_one_moment_of_more_does_not_begin_the_window_anew() -> None:
    group = a_group("target")
    steps = [seen(a_load(240.0)), seen(a_load(130.0), at=200.0), seen(a_load(60.0), at=310.0)]
    assert decided(group, *steps).hot == 2


def test_more_waits_for_the_up_window_and_none_waits_from_nothing() -> None:
    group = a_group("target", up_window_s=60.0)
    first = seen(a_load(60.0))
    assert decided(group, first).hot == 1
    rise = [seen(a_load(120.0), at=at) for at in (10.0, 40.0)]
    assert decided(group, first, *rise).hot == 1
    assert decided(group, first, *rise, seen(a_load(120.0), at=71.0)).hot == 2


def test_panic_does_not_wait_and_does_not_go_down() -> None:
    group = a_group("target", up_window_s=600.0, down_window_s=0.0)
    calm, twice = seen(a_load(60.0)), seen(a_load(200.0), at=10.0)
    assert decided(group, calm, twice).hot == 3
    assert decided(group, calm, twice, seen(QUIET, at=69.0)).hot == 3
    assert decided(group, calm, twice, seen(QUIET, at=71.0)).hot == 0


@pytest.mark.parametrize(
    "load",
    [
        Load(),
        a_load(None),
        a_load(0.0, in_flight=None),
        a_load(0.0, queued=None),
    ],
)
def test_what_is_unknown_keeps_what_was_wanted(load: Load) -> None:
    group = a_group("target")
    assert decided(group, seen(a_load(240.0)), seen(load, at=1000.0)).hot == 4


def test_unknown_at_the_start_keeps_what_there_is() -> None:
    assert decided(a_group("target"), seen(Load(), hot=3)).hot == 3
    assert decided(a_group("target", least=1), seen(Load())).hot == 1


def test_unknown_does_not_feed_on_what_there_is() -> None:
    steps = [seen(Load(), hot=hot, at=float(hot)) for hot in (2, 3, 4, 5)]
    assert decided(a_group("target"), *steps).hot == 2


def test_the_known_part_of_a_load_still_asks_for_more() -> None:
    load = a_load(240.0, queued=None)
    assert decided(a_group("target"), seen(a_load(60.0)), seen(load, at=10.0)).hot == 4


def test_what_there_is_at_a_start_stays_for_the_down_window() -> None:
    group = a_group("target")
    assert decided(group, seen(QUIET, hot=3)).hot == 3
    assert decided(group, seen(QUIET, hot=3), seen(QUIET, hot=3, at=301.0)).hot == 0


def test_dying_workers_do_not_lower_the_target() -> None:
    group = a_group("target")
    assert decided(group, seen(a_load(240.0), hot=4), seen(a_load(240.0), hot=1, at=5.0)).hot == 4


def test_a_clock_that_goes_back_keeps_the_last_need() -> None:
    group = a_group("target")
    steps = [seen(a_load(240.0)), seen(a_load(60.0), at=-5000.0), seen(a_load(60.0), at=-4699.0)]
    assert decided(group, *steps[:2]).hot == 4
    assert decided(group, *steps).hot == 1


def test_a_bound_that_is_lifted_does_not_bring_an_old_peak_back() -> None:
    small, large = a_group("target", most=2), a_group("target", most=8)
    _, memory = POLICIES["target"].decide(small, Bounds(0, 2, 0.5), seen(a_load(500.0)), None)
    calm = seen(a_load(60.0), at=10.0)
    want, _ = POLICIES["target"].decide(large, Bounds(0, 8, 0.5), calm, memory)
    assert want.hot == 2
