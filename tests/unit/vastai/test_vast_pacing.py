from __future__ import annotations

import threading

import pytest
from vast_rig import Clock

from vast_pyworker.vastai.pacing import INTERVALS_S, Pacing

CREATE = "PUT /asks/{id}/"


def paced(clock: Clock, **intervals: float) -> Pacing:
    return Pacing(intervals or None, clock.now, clock.sleep)


def test_the_first_call_goes_at_once_and_the_next_waits_the_documented_interval() -> None:
    clock = Clock()
    pacing = paced(clock)
    assert pacing.wait(CREATE, 2000) == 0
    assert pacing.wait(CREATE, 2000) == pytest.approx(4.5)
    assert clock.waited == pytest.approx(4.5)


def test_endpoints_do_not_wait_for_each_other() -> None:
    clock = Clock()
    pacing = paced(clock)
    assert [pacing.wait(key, 2000) for key in INTERVALS_S] == [0] * len(INTERVALS_S)


def test_a_turn_after_the_deadline_is_not_taken() -> None:
    clock = Clock()
    pacing = paced(clock)
    pacing.wait(CREATE, 2000)
    assert pacing.wait(CREATE, clock.now() + 4) is None
    assert clock.waited == 0
    assert pacing.wait_s(CREATE) == pytest.approx(4.5)


def test_a_stated_threshold_replaces_the_documented_one_both_ways() -> None:
    clock = Clock()
    pacing = paced(clock)
    pacing.learn(CREATE, 9.0)
    assert pacing.wait(CREATE, 2000) == pytest.approx(9.0)
    pacing.learn(CREATE, 1.0)
    assert pacing.interval_s(CREATE) == 1.0


def test_an_absurd_threshold_is_bounded() -> None:
    clock = Clock()
    pacing = paced(clock)
    pacing.learn(CREATE, 1e12)
    assert pacing.interval_s(CREATE) <= 600


def test_a_refusal_with_a_wait_is_waited_out_and_slows_the_calls_that_follow() -> None:
    clock = Clock()
    pacing = paced(clock, x=1.0)
    pacing.postpone("x", 5.0)
    assert pacing.wait("x", 2000) == pytest.approx(5.0)
    assert 1.0 < (pacing.wait("x", 2000) or 0) <= 5.0


@pytest.mark.parametrize("wait_s", [0.0, 0.001])
def test_a_refusal_that_says_to_wait_for_nothing_is_not_asked_again_at_once(
    wait_s: float,
) -> None:
    clock = Clock()
    pacing = Pacing.off(clock.now, clock.sleep)
    waits = []
    for _ in range(4):
        pacing.postpone("x", wait_s)
        waits.append(pacing.wait("x", 2000) or 0.0)
    assert waits[0] == pytest.approx(0.5) and waits == sorted(waits)


def test_what_was_guessed_is_forgotten_with_calls_that_pass() -> None:
    clock = Clock()
    pacing = paced(clock, x=1.0)
    pacing.postpone("x", None)
    for _ in range(20):
        pacing.wait("x", 1e9)
    assert pacing.interval_s("x") == 1.0


def test_a_long_wait_does_not_become_the_interval() -> None:
    clock = Clock()
    pacing = paced(clock, x=1.0)
    pacing.postpone("x", 300.0)
    assert pacing.wait_s("x") == pytest.approx(300.0)
    assert pacing.interval_s("x") <= 10.0


def test_off_waits_only_where_it_was_told_to() -> None:
    clock = Clock()
    pacing = Pacing.off(clock.now, clock.sleep)
    assert [pacing.wait("x", 2000) for _ in range(5)] == [0] * 5
    pacing.postpone("x", 3.0)
    assert pacing.wait("x", 2000) == pytest.approx(3.0)


def test_an_endpoint_that_is_not_in_the_table_is_paced_too() -> None:
    clock = Clock()
    pacing = paced(clock)
    pacing.wait("PUT /new/", 2000)
    assert pacing.wait("PUT /new/", 2000) == pytest.approx(2.0)


def test_threads_get_turns_of_their_own() -> None:
    clock = Clock()
    pacing = paced(clock, x=1.0)
    turns: list[float | None] = []
    threads = [
        threading.Thread(target=lambda: turns.append(pacing.wait("x", 1e9))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pacing.wait_s("x") + clock.waited >= 8.0 - 1e-6
    assert None not in turns
