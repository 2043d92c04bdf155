"""Where clients are sent, who waits, and what becomes of those who come back."""

from __future__ import annotations

import pytest
from desk import Desk, place, private_key

from vast_pyworker import signature
from vast_pyworker.controller.traffic import requests
from vast_pyworker.controller.traffic.pool import Pool
from vast_pyworker.controller.traffic.requests import cost_of, replay_of
from vast_pyworker.controller.traffic.worker import Worker


def ready(count: int, max_queue_s: float | None = 30.0) -> Desk:
    """A desk with workers 1 to ``count``, each of 100 units a second, all of them idle."""
    desk = Desk(max_queue_s)
    desk.publish(range(1, count + 1))
    for worker_id in range(1, count + 1):
        desk.report(worker_id)
    return desk


# --- the answer ---


def test_a_grant_has_all_that_a_worker_asks_for_and_is_signed() -> None:
    desk = ready(1)
    grant = desk.route(cost=5)
    assert set(grant) == {
        "endpoint", "url", "cost", "reqnum", "request_idx", "signature", "__request_id",
    }  # fmt: skip
    assert (grant["endpoint"], grant["cost"], grant["__request_id"]) == ("demo", 5, "r-1")
    assert signature.verify(private_key().public_key(), grant, "url")
    assert 0 < grant["request_idx"] < 2**53 and 0 < grant["reqnum"] < 2**53


@pytest.mark.parametrize(
    ("version", "form"),
    [("1.1.0", "url"), ("1.0.0", "five"), ("0.2.1", "five"), (None, "four")],
)
def test_grants_are_signed_as_the_worker_understands_it(version: str, form: str) -> None:
    desk = Desk()
    desk.publish([1])
    desk.report(1, version=version)
    for _ in range(2):
        grant = desk.route(cost=242.0)
        assert signature.verified_form(private_key().public_key(), grant) == form


def test_the_constant_signature_changes_with_the_url() -> None:
    desk = ready(1)
    one = desk.route()
    assert desk.route()["signature"] == one["signature"]
    desk.report(1, url="http://203.0.113.7:9")
    other = desk.route()
    assert other["url"].endswith(":9")
    assert signature.verify(private_key().public_key(), other, "url")


def test_reqnums_of_a_worker_rise_one_by_one() -> None:
    desk = ready(1)
    first = desk.route()["reqnum"]
    assert [desk.route()["reqnum"] for _ in range(3)] == [first + 1, first + 2, first + 3]


def test_numbers_go_on_above_those_of_a_controller_before() -> None:
    desk = ready(1)
    last = [desk.route() for _ in range(20)][-1]
    assert requests.first_number(desk.now + 1) > last["request_idx"]
    assert requests.first_number(desk.now + 1) > last["reqnum"]


def test_without_a_worker_the_answer_is_a_number_and_the_state_of_things() -> None:
    desk = Desk()
    desk.publish([1, 2])
    desk.report(2, loadtime=0.0, max_perf=0.0)
    answer = desk.route()
    assert "url" not in answer and answer["request_idx"] > 0
    assert answer["status"] == "IDLE: 0, CREATED: 1, MODEL_LOADING: 1"
    assert desk.route(answer["request_idx"])["request_idx"] == answer["request_idx"]


@pytest.mark.parametrize("cost", [None, -1, 0, float("nan"), float("inf"), 1e30, True, "5", [], {}])
def test_a_cost_that_is_none_counts_as_the_usual_one(cost: object) -> None:
    assert cost_of(cost) == 100.0
    assert ready(1).route(cost=cost)["cost"] == 100


@pytest.mark.parametrize("value", [None, 0, -5, True, "60", []])
def test_a_replay_timeout_that_is_none_is_the_usual_one(value: object) -> None:
    assert replay_of(value) == 60.0
    assert (replay_of(5), replay_of(10**400)) == (5.0, 300.0)


# --- the choice ---


def test_the_least_expected_wait_is_chosen() -> None:
    desk = ready(3)
    desk.report(1, cur_load=50.0, max_perf=10.0)  # 5 s
    desk.report(2, cur_load=300.0, max_perf=100.0)  # 3 s
    desk.report(3, cur_load=40.0, max_perf=10.0)  # 4 s
    assert [desk.sent_to(desk.route(cost=150)) for _ in range(2)] == [2, 3]


def test_what_was_sent_and_is_not_reported_yet_counts() -> None:
    desk = ready(3)
    assert sorted(desk.sent_to(desk.route()) or 0 for _ in range(6)) == [1, 1, 2, 2, 3, 3]


def test_what_a_report_shows_is_not_counted_twice() -> None:
    desk = ready(1)
    idx = desk.route(cost=70)["request_idx"]
    assert desk.board.endpoint_workers("demo")[0]["cur_load"] == 70
    desk.report(1, cur_load=70.0, working_request_idxs=[idx], num_requests_working=1)
    assert desk.board.endpoint_workers("demo")[0]["cur_load"] == 70


def test_a_client_that_never_comes_is_not_counted_for_long() -> None:
    desk = ready(1)
    desk.route(cost=70)
    desk.pass_time(3)
    desk.report(1)
    assert desk.board.endpoint_workers("demo")[0]["cur_load"] == 70
    desk.pass_time(3)
    desk.report(1)
    assert desk.board.endpoint_workers("demo")[0]["cur_load"] == 0


def test_an_end_makes_room_at_once_and_only_at_the_worker_that_had_it() -> None:
    desk = ready(2)
    grant = desk.route(cost=70)
    sent = desk.sent_to(grant)
    assert sent is not None
    other = 3 - sent
    desk.end(other, grant["request_idx"])
    held = {row["id"]: row["cur_load"] for row in desk.board.endpoint_workers("demo")}
    assert held == {sent: 70, other: 0}
    for _ in range(2):
        desk.end(sent, grant["request_idx"], 5, -1)
    held = {row["id"]: row["cur_load"] for row in desk.board.endpoint_workers("demo")}
    assert held == {sent: 0, other: 0}


def test_a_worker_that_is_ready_by_its_own_word_is_routed_to_at_once() -> None:
    desk = ready(1)
    desk.report(1, cur_load=1000)
    desk.publish([1, 2])
    desk.report(2)
    assert desk.sent_to(desk.route()) == 2


def test_order_holds_over_many_reports() -> None:
    desk = ready(20)
    for number in range(2000):
        desk.report(number % 20 + 1, cur_load=(number * 37) % 400)
    loads = {row["id"]: row["cur_load"] for row in desk.board.endpoint_workers("demo")}
    least = min(loads.values())
    assert loads[desk.sent_to(desk.route(cost=1)) or 0] == least


# --- full workers and the queue ---


def test_full_workers_make_clients_wait_and_the_first_goes_first() -> None:
    desk = ready(1, max_queue_s=1.0)
    desk.report(1, cur_load=101.0)
    first, second, third = (desk.route(cost=10)["request_idx"] for _ in range(3))
    assert [row["request_idx"] for row in desk.board.queue("demo")] == [first, second, third]
    desk.report(1, cur_load=95.0)  # room for one
    assert "url" not in desk.route(third)
    assert "url" not in desk.route()  # nobody new goes before those who wait
    assert "url" not in desk.route(second)
    assert "url" in desk.route(first)
    assert len(desk.board.queue("demo")) == 3


def test_who_polls_no_longer_holds_nobody_up_and_is_dropped_in_the_end() -> None:
    desk = ready(1, max_queue_s=1.0)
    desk.report(1, cur_load=101.0)
    desk.route(cost=200)
    desk.pass_time(8)
    second = desk.route(cost=10)["request_idx"]
    desk.report(1, cur_load=95.0)
    assert "url" in desk.route(second)
    desk.pass_time(53)
    desk.report(1, cur_load=101.0)
    desk.route()
    assert len(desk.board.queue("demo")) == 1


def test_an_idle_worker_takes_one_request_where_no_queue_is_wanted() -> None:
    desk = ready(2, max_queue_s=0.0)
    assert {desk.sent_to(desk.route()) for _ in range(2)} == {1, 2}
    assert "url" not in desk.route()


def test_the_longest_queue_may_be_changed_while_serving() -> None:
    desk = ready(1, max_queue_s=0.0)
    desk.report(1, cur_load=50.0)
    idx = desk.route()["request_idx"]
    desk.max_queue_s = None
    desk.pass_time(2)
    assert "url" in desk.route(idx)


def test_the_queue_is_bounded_and_whoever_is_turned_away_still_gets_a_number() -> None:
    desk = Desk()
    desk.publish([])
    idxs = {desk.route()["request_idx"] for _ in range(10_050)}
    assert len(idxs) == 10_050 and 0 not in idxs
    assert len(desk.board.queue("demo")) == 10_000


# --- numbers that come again ---


def test_a_number_of_somebody_else_or_of_long_ago_is_a_new_request() -> None:
    desk = ready(2)
    idx = desk.route()["request_idx"]
    for foreign in (
        desk.route(idx, owner=2),
        desk.route(idx, endpoint="other", owner=3),
        desk.route(-1),
        desk.route("7"),
        desk.route(1.5),
        desk.route(True),
        desk.route(10**30),
        desk.route(12345),
    ):
        assert foreign["request_idx"] not in (idx, 0)
    desk.pass_time(61)
    assert desk.route(idx)["request_idx"] != idx


def test_coming_back_after_a_refusal_releases_the_worker_and_keeps_the_number() -> None:
    desk = ready(2)
    grant = desk.route(cost=70)
    desk.pass_time(1.2)
    again = desk.route(grant["request_idx"], cost=70)
    assert again["request_idx"] == grant["request_idx"] and "url" in again
    assert sum(row["cur_load"] for row in desk.board.endpoint_workers("demo")) == 70


def test_a_request_that_has_ended_may_come_again_under_its_number() -> None:
    desk = ready(1)
    grant = desk.route()
    desk.end(1, grant["request_idx"], status="Error")
    desk.pass_time(1.5)
    assert desk.route(grant["request_idx"])["request_idx"] == grant["request_idx"]


def test_who_comes_back_at_once_waits_once_and_is_sent_to_another() -> None:
    desk = ready(2)
    grant = desk.route(client=7)
    desk.pass_time(0.01)
    damped = desk.route(grant["request_idx"], client=7)
    assert "url" not in damped and damped["request_idx"] == grant["request_idx"]
    assert "url" not in desk.route(grant["request_idx"], client=7)  # still at once
    desk.pass_time(1.0)
    for worker_id in (1, 2):
        desk.report(worker_id, cur_load=0.0 if worker_id == desk.sent_to(grant) else 500.0)
    other = desk.route(grant["request_idx"], client=7)
    assert desk.sent_to(other) == 3 - (desk.sent_to(grant) or 0)
    assert desk.sent_to(desk.route(client=8)) == desk.sent_to(grant)  # others can reach it


def test_the_only_worker_is_tried_again_and_a_hot_loop_gets_an_url_a_second() -> None:
    desk = ready(1)
    idx = desk.route()["request_idx"]
    grants = 0
    for _ in range(1000):
        desk.pass_time(0.01)
        grants += "url" in desk.route(idx)
    assert 5 <= grants <= 11


def test_a_worker_that_could_not_be_reached_is_avoided_for_a_while_only() -> None:
    desk = ready(2)
    desk.report(2, cur_load=1000.0)
    idx = desk.route(client=7)["request_idx"]
    desk.route(idx, client=7)
    desk.pass_time(1)
    assert desk.sent_to(desk.route(client=7)) == 2
    desk.pass_time(30)
    desk.report(1)
    desk.report(2, cur_load=1000.0)
    assert desk.sent_to(desk.route(client=7)) == 1


def test_a_request_whose_worker_has_gone_is_routed_anew() -> None:
    desk = ready(2)
    grant = desk.route()
    left = 3 - (desk.sent_to(grant) or 0)
    desk.publish({left: place(left)})
    desk.pass_time(2)
    assert desk.sent_to(desk.route(grant["request_idx"])) == left


# --- the table of requests ---


def test_the_table_of_requests_is_bounded() -> None:
    table = requests.Requests(1, limit=3)
    made = [table.new("demo", 1, 1.0, 60.0, 0.0) for _ in range(4)]
    assert made[3][1] is made[0][0] and len(table) == 3
    assert table.asked(made[1][0].idx, 1, 1.0) is made[1][0]
    assert table.new("demo", 1, 1.0, 60.0, 1.0)[1] is made[2][0]


def test_ended_requests_are_kept_for_a_moment_only() -> None:
    table = requests.Requests(1)
    request, _ = table.new("demo", 1, 1.0, 60.0, 0.0)
    table.ended(request, 5.0)
    assert table.sweep(14.0) == [] and len(table) == 1
    assert table.sweep(16.0) == [] and len(table) == 0


def test_the_order_of_workers_takes_no_more_room_however_many_reports_come() -> None:
    pool = Pool("demo", 30.0)
    worker = Worker(1, place(1), 1)
    for _ in range(5000):
        pool.update(worker)
    assert pool.entries == 0  # it has not said that it is ready
    desk = ready(3)
    for number in range(5000):
        desk.report(number % 3 + 1, cur_load=number)
    assert desk.board._pools["demo"].entries <= 3 * 4 + 64
