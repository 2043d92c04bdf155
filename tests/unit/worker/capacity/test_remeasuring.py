"""When a capacity that production contradicts is measured again."""

from __future__ import annotations

import pytest

from vast_pyworker.worker.capacity.remeasuring import FIRST_HOLD_S, IDLE_S, Remeasuring


class Day:
    """Traffic at one rate for some time, then none."""

    def __init__(self, max_perf: float) -> None:
        self.now, self.served = 0.0, 0.0
        self.remeasuring = Remeasuring(max_perf, 0.0, 0.0)

    def work(self, rate: float, seconds: float, *, saturated: bool) -> bool:
        """Whether it was said, at any time, that it is time to measure."""
        due = False
        for _ in range(int(seconds)):
            self.now += 1.0
            self.served += rate
            due |= self.ask(saturated=saturated, running=1)
        return due

    def rest(self, seconds: float) -> bool:
        due = False
        for _ in range(int(seconds)):
            self.now += 1.0
            due = self.ask(saturated=False, running=0)
        return due

    def ask(self, *, saturated: bool, running: int) -> bool:
        contradiction = self.remeasuring.rebenchmark_if_contradicted(
            self.now, self.served, saturated=saturated, running=running
        )
        return contradiction is not None


@pytest.mark.parametrize(
    ("rate", "saturated", "due"),
    [
        (100.0, True, False),  # as promised
        (60.0, True, False),  # less, but not less than half
        (30.0, True, True),  # requests wait, and less than half is done
        (30.0, False, False),  # there was no more to do
        (300.0, False, True),  # three times what was promised
    ],
)
def test_minutes_of_traffic_contradict_the_number_or_not(rate, saturated, due):
    day = Day(100.0)
    assert not day.work(rate, 400, saturated=saturated)
    assert day.rest(IDLE_S + 2) is due


def test_it_waits_for_a_rest_of_some_seconds():
    day = Day(100.0)
    day.work(10.0, 400, saturated=True)
    assert not day.rest(IDLE_S - 2)
    assert not day.work(10.0, 5, saturated=True)
    assert day.rest(IDLE_S + 2)


def test_a_few_seconds_contradict_nothing():
    day = Day(100.0)
    day.work(10.0, 30, saturated=True)
    assert not day.rest(IDLE_S + 2)


def test_a_new_number_is_watched_from_then_on():
    day = Day(100.0)
    day.work(10.0, 400, saturated=True)
    day.rest(IDLE_S + 2)
    day.remeasuring.measured(10.0, day.now, day.served)
    assert day.remeasuring.contradiction is None
    day.work(10.0, 400, saturated=True)
    assert not day.rest(IDLE_S + 2)


def test_the_same_number_again_makes_the_next_time_later():
    day = Day(100.0)
    day.remeasuring.measured(100.0, day.now, day.served)
    day.work(10.0, 400, saturated=True)
    assert not day.rest(FIRST_HOLD_S)
    assert day.rest(FIRST_HOLD_S)


def test_a_failure_leaves_the_number_and_tries_later():
    day = Day(100.0)
    day.work(10.0, 400, saturated=True)
    assert day.rest(IDLE_S + 2)
    day.remeasuring.failed(day.now)
    assert not day.rest(FIRST_HOLD_S - 2)
    assert day.rest(3)
    assert day.remeasuring.max_perf == 100.0
