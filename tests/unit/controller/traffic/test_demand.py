"""How much work comes, as policies see it; what is not known is None."""

from __future__ import annotations

import pytest
from desk import Desk, place

from vast_pyworker.controller.policy.observation import Load
from vast_pyworker.controller.traffic.demand import Arrivals


def listening(workers: int = 1) -> Desk:
    """A desk that knows its workers and has listened for ten minutes."""
    desk = Desk()
    desk.publish(range(1, workers + 1))
    for worker_id in range(1, workers + 1):
        desk.report(worker_id)
    desk.pass_time(600)
    for worker_id in range(1, workers + 1):
        desk.report(worker_id)
    return desk


def load(desk: Desk, endpoint: str = "demo") -> Load:
    return desk.board.load(endpoint, desk.mono)


def test_before_anything_is_published_nothing_is_known() -> None:
    desk = Desk()
    desk.route()
    assert load(desk) == Load()


def test_at_the_start_only_who_waits_is_known_until_each_worker_has_spoken() -> None:
    desk = Desk()
    desk.publish([1, 2])
    desk.report(1, cur_load=5.0)
    desk.report(2, loadtime=0.0, max_perf=0.0)
    assert load(desk).in_flight == 5.0
    late = Desk()
    late.publish([1, 2])
    late.report(1, cur_load=5.0)
    late.route(cost=7)
    assert load(late) == Load(queued=0, queue_wait_s=0.0)
    late.pass_time(30)
    late.report(1, cur_load=5.0)  # without the 7, whose client never came
    assert load(late).in_flight == 5.0


def test_workers_that_do_not_accept_or_come_later_are_not_waited_for() -> None:
    desk = Desk()
    desk.publish({1: place(1, accepts=False)})
    assert load(desk).in_flight == 0
    desk.publish([1, 2])
    assert load(desk).in_flight == 0


def test_an_endpoint_without_workers_is_known_to_be_idle() -> None:
    desk = Desk()
    desk.publish([])
    desk.pass_time(50)
    assert load(desk) == Load(0.0, 0.0, 0.0, 0, 0.0, 50.0)


def test_arrivals_are_mean_rates_over_their_windows() -> None:
    desk = listening()
    for _ in range(60):
        desk.route(cost=120)
        desk.pass_time(1)
    assert load(desk).arrivals_60s == pytest.approx(120, rel=0.05)
    assert load(desk).arrivals_600s == pytest.approx(12, rel=0.05)
    desk.pass_time(70)
    assert load(desk).arrivals_60s == 0.0
    assert load(desk).arrivals_600s == pytest.approx(12, rel=0.05)
    desk.pass_time(600)
    assert load(desk).arrivals_600s == 0.0


def test_a_young_controller_divides_by_the_time_it_has_listened() -> None:
    desk = Desk()
    desk.publish([])
    desk.route(cost=100)
    desk.pass_time(20)
    assert load(desk).arrivals_600s == pytest.approx(5.0)


def test_polls_and_repeats_are_one_arrival() -> None:
    desk = listening()
    idx = desk.route(cost=60)["request_idx"]
    for _ in range(5):
        desk.pass_time(2)
        desk.route(idx, cost=60)
    assert load(desk).arrivals_60s == pytest.approx(1.0)


def test_work_that_came_without_us_counts_and_ours_not_twice() -> None:
    desk = listening()
    desk.route(cost=60)
    desk.report(1, new_load=60)
    assert load(desk).arrivals_60s == pytest.approx(1.0)
    desk.report(1, new_load=120)
    assert load(desk).arrivals_60s == pytest.approx(3.0)
    assert load(desk).idle_s == 0.0


def test_work_that_is_more_than_its_client_said_counts_in_full() -> None:
    desk = listening()
    desk.route(cost=60)
    desk.report(1, new_load=600)
    assert load(desk).arrivals_60s == pytest.approx(10.0)


def test_the_first_word_of_a_worker_tells_of_an_unknown_time() -> None:
    desk = listening(1)
    desk.publish([1, 2])
    desk.report(2, new_load=1e6)
    assert load(desk).arrivals_60s == 0.0


def test_in_flight_is_what_workers_hold_and_what_is_on_its_way() -> None:
    desk = listening(2)
    desk.report(1, cur_load=30.0)
    desk.route(cost=12)
    assert load(desk).in_flight == 42.0
    desk.pass_time(91)  # a silent worker's load is not known any more
    desk.report(2, cur_load=0.0)
    assert load(desk).in_flight == 0.0


def test_queued_work_is_that_of_waiters_who_still_poll() -> None:
    desk = listening()
    desk.report(1, error_msg="broken")
    desk.route(cost=10)
    desk.pass_time(40)
    desk.route(cost=5)
    assert load(desk).queued == 15 and load(desk).queue_wait_s == 40
    desk.pass_time(30)
    assert load(desk).queued == 5 and load(desk).queue_wait_s == 30


def test_idle_is_the_time_since_the_last_request() -> None:
    desk = listening()
    idx = desk.route()["request_idx"]
    desk.end(1, idx)
    desk.pass_time(25)
    desk.report(1)
    assert load(desk).idle_s == 25
    desk.report(1, cur_load=3.0)
    assert load(desk).idle_s == 0


def test_buckets_are_used_again_without_what_was_in_them() -> None:
    arrivals = Arrivals()
    for second in range(0, 3000, 5):
        arrivals.add(5.0, float(second))
    assert arrivals.rate(600, 2999.9, 3000) == pytest.approx(1.0, rel=0.02)
    assert arrivals.rate(60, 2999.9, 3000) == pytest.approx(1.0, rel=0.1)
