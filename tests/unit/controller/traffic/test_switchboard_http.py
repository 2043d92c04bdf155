"""The calls of workers and clients over real sockets: statuses, bodies, keys, limits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from board_server import BoardServer, new_board
from desk import place, private_key, today
from hypothesis import given, settings
from hypothesis import strategies as st

from vast_pyworker import signature

ASK = {"endpoint": "demo", "api_key": "key", "cost": 5, "request_idx": 0, "replay_timeout": 60.0}


@pytest.fixture(scope="module")
def server() -> Iterator[BoardServer]:
    board = new_board()
    board.publish({1: place(1), 2: place(2)})
    with BoardServer(board) as running:
        yield running


def test_a_report_is_taken_and_told_that_more_is_understood(server: BoardServer) -> None:
    body = json.dumps(today(1)).encode()
    status, headers, answer = server.call("POST", "/worker_status/", body)
    assert (status, answer) == (200, b"{}")
    assert headers["x-pyworker-extended"] == "1"
    assert server.board.hearings(0.0)[1].ready


def test_a_worker_may_say_that_it_is_ready_and_is_routed_to(server: BoardServer) -> None:
    server.post("/worker_status/", today(1))
    status, grant = server.post("/route/", ASK)
    assert status == 200
    assert signature.verify(private_key().public_key(), grant)
    ends = {
        "worker_id": 1,
        "mtoken": "token-1",
        "requests": [{"request_idx": grant["request_idx"]}],
    }
    assert server.post("/delete_requests/", ends) == (200, {})
    before = {"worker_id": 1, "mtoken": "token-1", "request_idxs": [5], "success": True}
    assert server.post("/delete_requests/", before) == (200, {})


def test_the_public_key_is_the_one_that_signs(server: BoardServer) -> None:
    status, _, pem = server.call("GET", "/pubkey/")
    assert status == 200
    assert pem.decode() == signature.public_pem(private_key())


@pytest.mark.parametrize(
    ("path", "message", "status"),
    [
        ("/worker_status/", today(1, mtoken="wrong"), 401),
        ("/worker_status/", today(99), 200),
        ("/worker_status/", {"id": 1, "mtoken": "token-1", "cur_load": "much"}, 422),
        ("/worker_status/", [], 422),
        ("/delete_requests/", {"worker_id": 1, "mtoken": "wrong", "requests": []}, 401),
        ("/delete_requests/", {"worker_id": 99, "mtoken": "x", "requests": []}, 200),
        ("/delete_requests/", {"worker_id": 1, "mtoken": "token-1"}, 422),
        ("/delete_requests/", {"requests": []}, 422),
        ("/route/", {**ASK, "endpoint": ""}, 400),
        ("/route/", {"api_key": "key"}, 400),
        ("/route/", [], 400),
        ("/route/", {**ASK, "api_key": "wrong"}, 401),
        ("/route/", {"endpoint": "demo"}, 401),
        ("/route/", {**ASK, "endpoint": "nobody"}, 401),
    ],
)
def test_statuses(server: BoardServer, path: str, message: Any, status: int) -> None:
    found, answer = server.post(path, message)
    assert found == status
    if status != 200:
        assert "\n" not in answer["error"] and len(answer["error"]) < 400


def test_the_documented_words_for_a_wrong_key(server: BoardServer) -> None:
    _, answer = server.post("/route/", {**ASK, "api_key": "wrong"})
    words = "authenticate_endpoint_apikey: invalid api_key or endpoint demo not found"
    assert answer == {"error": words}


def test_the_key_may_be_a_bearer_token_or_in_the_body_or_in_the_query(server: BoardServer) -> None:
    bare = {"endpoint": "demo"}
    assert server.post("/route/", bare, Authorization="Bearer key")[0] == 200
    assert server.post("/route/", bare, Authorization="bearer  key ")[0] == 200
    assert server.post("/route/?a=b&api_key=key", bare)[0] == 200
    assert server.post("/route/?api_key=key", bare, Authorization="Bearer")[0] == 200
    assert server.post("/route/?api_key=key", bare, Authorization="Bearer wrong")[0] == 401


@pytest.mark.parametrize(
    ("path", "size"),
    [("/worker_status/", 300_000), ("/route/", 70_000), ("/delete_requests/", 5_000_000)],
)
def test_bodies_that_are_too_large_are_refused(server: BoardServer, path: str, size: int) -> None:
    status, _, answer = server.call("POST", path, b"x" * size)
    assert status == 413
    assert b"larger than" in answer


def test_many_ends_at_once_are_taken(server: BoardServer) -> None:
    row = {"request_idx": 5, "success": True, "status": "Success", "entered_queue_at": 1.0}
    ends = {"worker_id": 1, "mtoken": "token-1", "requests": [row] * 20_000}
    assert server.post("/delete_requests/", ends)[0] == 200


def test_a_fault_of_our_own_is_an_answer_to_ask_again() -> None:
    board = new_board()

    def fails(key: str, endpoint: str) -> bool:
        raise RuntimeError("no keys")

    board.may_route = fails
    with BoardServer(board) as server:
        status, answer = server.post("/route/", {**ASK, "request_idx": 5})
        assert status == 200 and "url" not in answer and answer["request_idx"] == 5
        assert server.post("/route/", ASK)[1]["request_idx"] > 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def loose(sample: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with the sample's fields, each of them right, wrong or missing."""
    fields = {name: st.just(value) | JSON for name, value in sample.items()}
    return st.fixed_dictionaries({}, optional=fields)


EXTENDED = {"state": "ready", "boot_id": "a", "seq": 1, "queue_wait": 0.5, "progress": {}}
REPORTS = loose(today(1, loaded=True, message="data update", error=False, **EXTENDED))
ENDS = loose({"worker_id": 1, "mtoken": "token-1", "request_idxs": [1], "requests": []})
CALLS = st.one_of(
    st.tuples(st.just("/worker_status/"), REPORTS),
    st.tuples(st.just("/delete_requests/"), ENDS),
    st.tuples(st.just("/route/"), loose(ASK)),
)
DOCUMENTED = {
    "/worker_status/": {200, 401, 422},
    "/delete_requests/": {200, 401, 422},
    "/route/": {200, 400, 401},
}


@settings(max_examples=300, deadline=None)
@given(call=CALLS)
def test_whatever_is_sent_the_answer_is_a_documented_one(server: BoardServer, call: Any) -> None:
    path, message = call
    status, answer = server.post(path, message)
    assert status in DOCUMENTED[path]
    if status != 200:
        assert set(answer) == {"error"} and "\n" not in answer["error"]
    elif path == "/route/":
        assert type(answer["request_idx"]) is int and answer["request_idx"] != 0
        assert answer.get("url", "") is not None
    json.dumps(server.board.endpoint_workers("demo"), allow_nan=False)
