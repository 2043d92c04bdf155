"""The gate: places, a bounded queue in order of arrival, an honest estimate of the wait."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vast_pyworker.errors import Full
from vast_pyworker.worker.traffic.admission import Gate


class Waiter:
    """Counts how often it was let in."""

    def __init__(self) -> None:
        self.grants = 0

    def granted(self) -> None:
        self.grants += 1


def filled(concurrency: int, queued: int = 0, max_queue: int = 100, **more: float) -> Gate:
    """A gate whose places are taken, and ``queued`` more that wait."""
    gate = Gate(concurrency, max_queue, **more)
    for _ in range(concurrency + queued):
        gate.enter(Waiter())
    return gate


def test_requests_go_on_while_there_are_places() -> None:
    gate = Gate(2, 10)
    assert gate.enter(Waiter()) and gate.enter(Waiter())
    assert (gate.running, gate.queued) == (2, 0)


def test_the_next_one_waits_and_is_let_in_when_a_place_is_free() -> None:
    gate, waiter = filled(1), Waiter()
    assert not gate.enter(waiter)
    assert (gate.running, gate.queued, waiter.grants) == (1, 1, 0)
    gate.leave()
    assert (gate.running, gate.queued, waiter.grants) == (1, 0, 1)


def test_who_came_first_is_let_in_first() -> None:
    gate, order = filled(1), []

    class Named(Waiter):
        def granted(self) -> None:
            order.append(self)

    waiters = [Named() for _ in range(5)]
    for waiter in waiters:
        gate.enter(waiter)
    gate.give_up(waiters[2])
    for _ in range(4):
        gate.leave()
    assert order == [waiters[0], waiters[1], waiters[3], waiters[4]]


def test_nobody_passes_those_who_wait() -> None:
    gate = filled(1)

    class Nested(Waiter):
        def granted(self) -> None:
            self.late = not gate.enter(Waiter())

    nested = Nested()
    gate.enter(nested)
    gate.leave()
    assert nested.late
    assert (gate.running, gate.queued) == (1, 1)


def test_a_full_queue_turns_down() -> None:
    gate = filled(1, queued=3, max_queue=3)
    with pytest.raises(Full) as caught:
        gate.enter(Waiter())
    assert caught.value.body == {
        "error": "This worker's queue is full; try another worker, or later.",
        "queue_depth": 3,
        "estimated_wait_s": None,
    }
    assert caught.value.retry_after_s == 1
    assert gate.queued == 3


def test_a_queue_of_no_places_turns_down_at_once() -> None:
    with pytest.raises(Full):
        filled(2, max_queue=0).enter(Waiter())


def test_at_least_one_runs() -> None:
    assert Gate(0, 10).enter(Waiter())


def test_no_wait_while_a_place_is_free() -> None:
    assert Gate(1, 10).estimated_wait_s() == 0.0


def test_an_unknown_time_is_no_wait_and_no_infinity() -> None:
    gate = filled(1, queued=5, max_queue_time_s=1.0)
    assert gate.estimated_wait_s() is None
    assert not gate.enter(Waiter()), "nobody is turned down for a wait that nobody knows"


def test_requests_beside_each_other_do_not_wait_for_each_other() -> None:
    """Ten at a time of 2 s each: a place every 0.2 s, however many run."""
    gate = filled(10)
    gate.service_s = 2.0
    assert gate.estimated_wait_s() == pytest.approx(0.2)
    for _ in range(9):
        gate.enter(Waiter())
    assert gate.estimated_wait_s() == pytest.approx(2.0)


def test_a_wait_that_would_be_too_long_is_turned_down() -> None:
    gate = filled(1, queued=1, max_queue_time_s=5.0)
    gate.service_s = 3.0
    with pytest.raises(Full, match="too long") as caught:
        gate.enter(Waiter())
    assert caught.value.body["estimated_wait_s"] == 6.0
    assert caught.value.retry_after_s == 6


def test_zero_is_no_limit_of_the_wait() -> None:
    gate = filled(1, queued=50)
    gate.service_s = 1e6
    assert not gate.enter(Waiter())


@pytest.mark.parametrize(("service_s", "retry_s"), [(0.001, 1), (2.5, 3), (1e9, 60)])
def test_retry_after_is_bounded(service_s: float, retry_s: int) -> None:
    gate = filled(1)
    gate.service_s = service_s
    assert gate.full("no").retry_after_s == retry_s


def test_the_time_of_a_request_is_a_running_mean() -> None:
    gate = filled(1)
    gate.leave(10.0)
    assert gate.service_s == 10.0
    for _ in range(60):
        gate.enter(Waiter())
        gate.leave(1.0)
    assert gate.service_s == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("told", [None, -3600.0])
def test_what_tells_nothing_changes_no_mean(told: float | None) -> None:
    gate = filled(2)
    gate.leave(4.0)
    gate.leave(told)
    assert gate.service_s == 4.0


def test_giving_up_works_once_and_only_in_the_queue() -> None:
    gate, waiter = filled(1), Waiter()
    assert not gate.give_up(waiter)
    gate.enter(waiter)
    assert gate.give_up(waiter)
    assert not gate.give_up(waiter)
    gate.leave()
    assert (gate.running, waiter.grants) == (0, 0)


def test_who_was_let_in_cannot_give_up() -> None:
    gate, waiter = filled(1), Waiter()
    gate.enter(waiter)
    gate.leave()
    assert not gate.give_up(waiter)
    assert gate.running == 1


def test_the_last_place_taken_and_the_first_free_are_told() -> None:
    told: list[bool] = []
    gate = Gate(2, 10, on_saturated=told.append)
    gate.enter(Waiter())
    assert told == []
    gate.enter(Waiter())
    assert told == [True]
    gate.enter(Waiter())  # queued: as full as before
    gate.leave()  # its place goes to the one who waits
    assert told == [True]
    gate.leave()
    gate.leave()
    assert told == [True, False]


Steps = st.lists(
    st.tuples(st.sampled_from(("enter", "leave", "give_up")), st.integers(0, 30)), max_size=80
)


@settings(max_examples=150, deadline=None)
@given(steps=Steps, concurrency=st.integers(1, 4), max_queue=st.integers(0, 6))
def test_whatever_comes_nobody_is_lost(
    steps: list[tuple[str, int]], concurrency: int, max_queue: int
) -> None:
    """Everyone is running, waiting, gone or was turned down, and each is let in at most once."""
    told: list[bool] = []
    gate = Gate(concurrency, max_queue, on_saturated=told.append)
    running: list[Waiter] = []
    waiting: list[Waiter] = []

    class Tracked(Waiter):
        def granted(self) -> None:
            super().granted()
            assert waiting[0] is self
            running.append(waiting.pop(0))

    for action, number in steps:
        if action == "enter":
            waiter = Tracked()
            try:
                entered = gate.enter(waiter)
            except Full:
                assert len(waiting) == max_queue and len(running) == concurrency
            else:
                (running if entered else waiting).append(waiter)
        elif action == "leave" and running:
            running.pop(number % len(running))
            gate.leave(float(number))
        elif action == "give_up" and waiting:
            assert gate.give_up(waiting.pop(number % len(waiting)))
        assert gate.running == len(running) <= concurrency
        assert gate.queued == len(waiting) <= max_queue
        assert not waiting or len(running) == concurrency
        assert all(waiter.grants <= 1 for waiter in running + waiting)
        assert (told[-1] if told else False) == (len(running) == concurrency)


def test_many_threads_that_hold_its_lock_leave_it_as_it_was() -> None:
    told: list[bool] = []
    gate = Gate(3, 1000, on_saturated=told.append)
    most = 0

    class Blocking(Waiter):
        def __init__(self) -> None:
            super().__init__()
            self.event = threading.Event()

        def granted(self) -> None:
            self.event.set()

    def work() -> None:
        nonlocal most
        for _ in range(200):
            waiter = Blocking()
            with gate.lock:
                goes_on = gate.enter(waiter)
            assert goes_on or waiter.event.wait(10.0)
            most = max(most, gate.running)
            with gate.lock:
                gate.leave(0.001)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert (gate.running, gate.queued) == (0, 0)
    assert most <= 3
    assert told == [] or told[-1] is False
