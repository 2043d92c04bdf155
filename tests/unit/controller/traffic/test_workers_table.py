"""Whose word is believed, who is a stranger, and what a publication changes."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from desk import Desk, place

from vast_pyworker.controller.traffic import strangers
from vast_pyworker.errors import Unauthorized


def test_a_wrong_token_is_refused_shown_and_never_believed() -> None:
    desk = Desk()
    desk.publish([1])
    for token in ("wrong", "", None, 7, "täken", "token-2"):
        with pytest.raises(Unauthorized, match="instance 1"):
            desk.report(mtoken=token)
    assert desk.board.hearings(desk.mono) == {}
    assert "url" not in desk.route()
    (stranger,) = desk.board.strangers()
    assert (stranger.id, stranger.why, stranger.reports) == (1, "wrong token", 6)
    assert "token-2" not in repr(stranger)


def test_without_a_token_to_compare_with_nobody_is_believed() -> None:
    desk = Desk()
    desk.publish({1: place(1, mtoken="")})
    with pytest.raises(Unauthorized):
        desk.report(mtoken="")
    assert desk.board.hearings(desk.mono) == {}


def test_an_id_that_we_do_not_know_is_a_stranger_until_it_is_published() -> None:
    desk = Desk()
    desk.report(7, error_msg="x" * 1000)
    (stranger,) = desk.board.strangers()
    assert (stranger.id, stranger.why, len(stranger.error)) == (7, "unknown id", 200)
    desk.publish([7])
    assert "url" not in desk.route()  # it was heard before it was known, and must say so again
    desk.report(7)
    assert desk.sent_to(desk.route()) == 7
    assert desk.board.strangers() == ()


def test_strangers_are_bounded_and_the_longest_silent_is_forgotten() -> None:
    desk = Desk()
    for worker_id in range(1, strangers.LIMIT + 1):
        desk.report(worker_id)
    desk.report(1)
    desk.report(99_999)
    ids = [each.id for each in desk.board.strangers()]
    assert len(ids) == strangers.LIMIT and 1 in ids and 2 not in ids


def test_a_worker_that_is_no_longer_published_is_forgotten() -> None:
    desk = Desk()
    desk.publish([1, 2])
    desk.report(1)
    desk.report(2)
    desk.publish([2])
    assert {desk.sent_to(desk.route()) for _ in range(4)} == {2}
    assert set(desk.board.hearings(desk.mono)) == {2}


def test_another_intent_under_the_same_id_begins_without_a_word() -> None:
    desk = Desk()
    desk.publish([1])
    desk.report(1)
    desk.publish({1: place(1, intent_id="another", mtoken="another")})
    assert "url" not in desk.route()
    with pytest.raises(Unauthorized):
        desk.report(1)
    desk.report(1, mtoken="another")
    assert desk.sent_to(desk.route()) == 1


def test_a_worker_that_moves_to_another_endpoint_takes_its_word_along() -> None:
    desk = Desk()
    desk.publish([1, 2])
    desk.report(1)
    desk.report(2)
    desk.publish({1: place(1, "other"), 2: place(2)})
    assert {desk.sent_to(desk.route()) for _ in range(4)} == {2}
    assert desk.sent_to(desk.route(endpoint="other")) == 1


def test_what_does_not_accept_is_not_routed_to_and_is_again_when_it_does() -> None:
    desk = Desk()
    desk.publish([1])
    desk.report(1)
    desk.publish({1: place(1, accepts=False)})
    assert "url" not in desk.route()
    assert desk.hearing(1).ready
    desk.publish([1])
    assert desk.sent_to(desk.route()) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"loadtime": 0.0, "max_perf": 0.0},
        {"error_msg": "broken"},
        {"state": "draining", "boot_id": "a", "seq": 1},
        {"state": "degraded", "boot_id": "a", "seq": 1},
        {"url": ""},
        {"url": "ftp://203.0.113.7:1"},
        {"url": "http://203.0.113.7:1\r\nX: y"},
    ],
)
def test_a_worker_that_is_not_ready_by_its_own_word_is_never_routed_to(fields: Any) -> None:
    desk = Desk()
    desk.publish([1])
    desk.report(1, **fields)
    assert "url" not in desk.route()
    desk.report(1, state="ready", boot_id="a", seq=2)
    assert desk.sent_to(desk.route()) == 1


def test_rows_have_no_nulls_and_the_words_that_clients_know() -> None:
    desk = Desk()
    desk.publish([1, 2, 3, 4])
    desk.report(1, num_requests_working=2, cur_load=30.0)
    desk.report(2, loadtime=0.0, max_perf=0.0, disk_usage=None)
    desk.report(3, error_msg="broken")
    rows = desk.board.endpoint_workers("demo")
    assert [row["status"] for row in rows] == ["idle", "model_loading", "error", "created"]
    assert all(value is not None for row in rows for value in row.values())
    assert rows[0]["measured_perf"] == 100.0 and rows[0]["reqs_working"] == 2
    assert desk.board.endpoint_workers("nobody") == []


def test_other_threads_may_look_and_publish_while_reports_come() -> None:
    desk = Desk()
    desk.publish(range(1, 201))
    over = threading.Event()
    faults: list[BaseException] = []

    def look() -> None:
        try:
            while not over.is_set():
                for hearing in desk.board.hearings(desk.mono).values():
                    assert hearing.load is not None and hearing.load == hearing.in_flight
                desk.board.load("demo", desk.mono)
                desk.board.endpoint_workers("demo")
                desk.board.strangers()
                desk.board.queue("demo")
        except BaseException as exc:
            faults.append(exc)
            raise

    def publish() -> None:
        for number in range(60):
            desk.publish(range(1, 150 + number))

    threads = [threading.Thread(target=each, name=each.__name__) for each in (look, publish)]
    for thread in threads:
        thread.start()
    for number in range(3000):
        worker_id = number % 220 + 1
        desk.report(worker_id, cur_load=number, num_requests_working=number)
        desk.route(cost=1)
    over.set()
    for thread in threads:
        thread.join(10)
    assert faults == []
