from __future__ import annotations

import pytest

from vast_pyworker.worker.modelserver.breaker import Breaker


def test_waits_double_and_level_off() -> None:
    breaker = Breaker(8, first_delay_s=1.0, longest_delay_s=10.0)
    waits = [breaker.failed(at, "died") for at in range(8)]
    assert waits == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0, 10.0]


def test_the_schedule_is_the_same_every_time() -> None:
    def schedule() -> list[float | None]:
        breaker = Breaker(5)
        return [breaker.failed(at * 7.0, "died") for at in range(6)]

    assert schedule() == schedule()


def test_opens_after_the_allowed_restarts_and_keeps_the_first_reason() -> None:
    breaker = Breaker(2)
    assert breaker.failed(0.0, "first") is not None
    assert breaker.failed(1.0, "second") is not None
    assert not breaker.is_open
    assert breaker.failed(2.0, "third") is None
    assert breaker.failed(3.0, "fourth") is None
    assert breaker.is_open
    assert breaker.reason == "third"


def test_no_restart_is_allowed_with_a_limit_of_zero() -> None:
    breaker = Breaker(0)
    assert breaker.failed(0.0, "died") is None
    assert breaker.is_open


def test_a_model_that_loaded_in_between_is_forgiven_after_the_window() -> None:
    breaker = Breaker(1, window_s=600.0)
    breaker.failed(0.0, "died")
    breaker.loaded(60.0)
    assert breaker.restarts(599.0) == 1
    assert breaker.restarts(601.0) == 0
    assert breaker.failed(601.0, "died again") == 1.0


def test_failures_after_loading_still_count_within_the_window() -> None:
    breaker = Breaker(1, window_s=600.0)
    breaker.failed(0.0, "died")
    breaker.loaded(60.0)
    assert breaker.failed(599.0, "died again") is None


def test_a_slow_loop_that_never_loads_opens_too() -> None:
    breaker = Breaker(2, window_s=600.0)
    assert breaker.failed(0.0, "died") is not None
    assert breaker.failed(900.0, "died") is not None
    assert breaker.failed(1800.0, "died") is None


def test_loading_before_the_failure_proves_nothing_about_what_followed() -> None:
    breaker = Breaker(1, window_s=600.0)
    breaker.loaded(0.0)
    breaker.failed(10.0, "died")
    assert breaker.failed(1000.0, "died") is None


def test_a_life_of_more_than_an_hour_is_proof_enough() -> None:
    breaker = Breaker(1, window_s=600.0)
    breaker.failed(0.0, "died")
    assert breaker.failed(3700.0, "died") == 1.0


def test_a_trip_opens_at_once_and_a_reset_closes() -> None:
    breaker = Breaker(5)
    breaker.trip("no such program")
    assert breaker.failed(0.0, "whatever") is None
    assert breaker.reason == "no such program"
    breaker.reset()
    assert not breaker.is_open
    assert breaker.reason == ""
    assert breaker.failed(1.0, "died") == 1.0


@pytest.mark.parametrize("limit", [40, 2000])
def test_a_very_large_limit_neither_overflows_nor_exceeds_the_longest_wait(limit: int) -> None:
    breaker = Breaker(limit)
    for at in range(limit):
        wait = breaker.failed(float(at), "died")
    assert wait == 60.0
