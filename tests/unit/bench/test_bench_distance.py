from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from bench_samples import unary
from relay_bench.distance import Gauge, is_same, usual_ns
from relay_bench.results import Unary

NEAR, FAR = 80.0, 420.0


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def now(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def gauge(looks: list[float | None], budget_s: float) -> tuple[Gauge, Clock]:
    rest: Iterator[float | None] = iter(looks)
    clock = Clock()
    return Gauge(lambda: next(rest), budget_s, clock.now, clock.sleep), clock


def load(clock: Clock, seconds: float = 1.0) -> Callable[[], Unary]:
    def measure() -> Unary:
        clock.sleep(seconds)
        return unary(requests=int(clock.now_s * 10))

    return measure


@pytest.mark.parametrize(("ns", "same"), [(80, True), (125, True), (45, True), (420, False)])
def test_near_and_far_are_told_apart(ns: float, same: bool) -> None:
    assert is_same(ns, NEAR) is same


def test_usual_distance_is_the_least() -> None:
    assert usual_ns([FAR, FAR, NEAR, FAR]) == NEAR


def test_a_distance_seen_once_in_many_looks_is_not_the_usual_one() -> None:
    assert usual_ns([20.0, *[NEAR] * 19]) == NEAR


def test_usual_distance_of_nothing_is_unknown() -> None:
    assert usual_ns([]) is None


def test_one_cpu_for_all_needs_no_distance() -> None:
    seen, clock = gauge([None, None], 10.0)
    assert seen.measured(load(clock)).distance_ns is None


def test_sample_carries_the_greater_distance_of_before_and_after() -> None:
    seen, clock = gauge([90.0, 100.0], 10.0)
    assert seen.measured(load(clock)).distance_ns == 100.0


def test_measurement_waits_until_the_cpus_are_near_again() -> None:
    seen, clock = gauge([NEAR, NEAR, FAR, FAR, NEAR, NEAR], 10.0)
    seen.measured(load(clock))
    assert seen.measured(load(clock)).distance_ns == NEAR
    assert seen.budget_s == pytest.approx(9.0)


def test_measurement_that_ended_far_is_taken_again() -> None:
    seen, clock = gauge([NEAR, FAR, NEAR, NEAR], 10.0)
    again = seen.measured(load(clock, seconds=2.0))
    assert (again.distance_ns, again.requests) == (NEAR, 40)
    assert seen.budget_s == pytest.approx(8.0)


def test_without_budget_a_far_sample_is_kept_as_it_is() -> None:
    seen, clock = gauge([NEAR, FAR], 0.0)
    assert seen.measured(load(clock)).distance_ns == FAR
