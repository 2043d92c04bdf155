"""A request's way through the worker, under the engine: in, waiting, cancelled, settled; once."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from worker_rig import API_KEY, LIMIT_S, Model, Rig, rigged, wait_until

from vast_pyworker.engine.fakes import Message, Wire, whole
from vast_pyworker.worker import Relay, forward, tokens

PAYLOAD = {"max_tokens": 3}
entered, leave = threading.Event(), threading.Event()


class Backend:
    def __init__(self) -> None:
        self.cancelled: list[str] = []


def thinks(backend: Any, request: Any) -> Relay:
    """A handler that takes its time before it relays."""
    entered.set()
    assert leave.wait(LIMIT_S)
    return Relay("/quick", workload=2.0)


ROUTES = {
    "POST": {
        "hold": forward("/hold", workload=tokens, concurrency=1, max_queue=2, max_queue_time=0),
        "hurried": forward("/hold", concurrency=1, max_queue=2, max_queue_time=0.05),
        "many": forward("/hold"),
        "thinks": thinks,
        "missing": forward("/missing"),
        "failing": forward("/failing"),
        "quick": forward("/quick", workload=tokens),
    },
    "GET": {"socket": forward("/socket", method="GET", signed=False, concurrency=1)},
}


def echo(wire: Wire, message: Message) -> None:
    wire.send(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    while data := wire.read_some():
        wire.send(data)


SCRIPTS = {
    "/socket": echo,
    "/missing": lambda wire, message: wire.send(whole(b"{}", status="404 Not Found")),
    "/failing": lambda wire, message: wire.send(whole(b"{}", status="500 Oh")),
}


@pytest.fixture
def rig() -> Iterator[Rig]:
    entered.clear()
    leave.clear()
    with rigged(ROUTES, SCRIPTS, backend=Backend()) as rig:
        rig.worker.on_cancelled = rig.worker.backend.cancelled.append
        yield rig
        leave.set()
        assert rig.model is not None
        rig.model.release.set()
        rig.at_rest()
        assert rig.worker.passages == set()
        wait_until(lambda: all(gate.running == 0 for gate in rig.worker.gates.values()))


@pytest.fixture
def model(rig: Rig) -> Model:
    assert rig.model is not None
    return rig.model


def queued(rig: Rig, route: str, count: int) -> None:
    wait_until(lambda: rig.worker.gates[route].queued == count, f"{count} in the queue")


def test_one_that_waits_goes_on_when_a_place_is_free(rig: Rig, model: Model) -> None:
    with rig.open("/hold", PAYLOAD) as first:
        assert model.held.wait(LIMIT_S)
        with rig.open("/hold", PAYLOAD) as second:
            queued(rig, "/hold", 1)
            assert rig.worker.gates["/hold"].running == 1
            model.release.set()
            assert first.read().json == second.read().json == {"held": True}
    rig.ended("/hold", success=2)
    waits = rig.worker.accounting.totals()["/hold"].queue_wait_s
    assert sum(waits.counts) == 2 and waits.total_s > 0


def test_a_full_queue_answers_at_once(rig: Rig, model: Model) -> None:
    calls = [rig.open("/hold", PAYLOAD) for _ in range(3)]
    queued(rig, "/hold", 2)
    answer = rig.ask("/hold", PAYLOAD)
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    assert answer.json["queue_depth"] == 2
    model.release.set()
    assert [call.read().status for call in calls] == [200, 200, 200]
    rig.ended("/hold", success=3, rejected=1)
    assert rig.work("/hold") == {"success": 9.0, "rejected": 3.0}


def test_nobody_waits_longer_than_was_promised(rig: Rig, model: Model) -> None:
    with rig.open("/hurried", PAYLOAD) as first:
        assert model.held.wait(LIMIT_S)
        answer = rig.ask("/hurried", PAYLOAD)
        assert answer.status == 429
        assert "No place became free in time" in answer.json["error"]
        assert rig.worker.gates["/hurried"].queued == 0
        model.release.set()
        assert first.read().status == 200
    rig.ended("/hurried", success=1, rejected=1)


def test_a_client_that_leaves_the_queue_is_cancelled(rig: Rig, model: Model) -> None:
    with rig.open("/hold", PAYLOAD) as first:
        assert model.held.wait(LIMIT_S)
        second = rig.open("/hold", PAYLOAD)
        queued(rig, "/hold", 1)
        second.leave()
        queued(rig, "/hold", 0)
        model.release.set()
        assert first.read().status == 200
    rig.ended("/hold", success=1, cancelled=1)
    assert model.requests.qsize() == 1, "it never reached the model"
    assert rig.worker.backend.cancelled == [], "so there is nothing to tell it"


def test_a_client_that_leaves_aborts_the_model(rig: Rig, model: Model) -> None:
    call = rig.open("/many", PAYLOAD, headers={"X-Request-ID": "mine"})
    assert model.held.wait(LIMIT_S)
    call.leave()
    assert model.gone.wait(LIMIT_S)
    rig.ended("/many", cancelled=1)
    assert rig.worker.backend.cancelled == ["mine"]


def test_a_client_that_leaves_while_a_handler_thinks(rig: Rig, model: Model) -> None:
    call = rig.open("/thinks", PAYLOAD)
    assert entered.wait(LIMIT_S)
    call.leave()
    wait_until(lambda: not rig.running.server.connections, "end of the connection")
    leave.set()
    rig.ended("/thinks", cancelled=1)
    assert model.requests.empty()


def test_what_runs_is_cancelled_by_its_id(rig: Rig, model: Model) -> None:
    with rig.open("/many", PAYLOAD, headers={"X-Request-ID": "that-one"}) as call:
        assert model.held.wait(LIMIT_S)
        assert rig.ask("/pyworker/requests/that-one", method="DELETE").status == 202
        answer = call.read()
    assert (answer.status, answer.headers["connection"]) == (499, "close")
    assert "cancelled" in answer.json["error"]
    assert model.gone.wait(LIMIT_S)
    rig.ended("/many", cancelled=1)
    assert rig.worker.backend.cancelled == ["that-one"]


def test_what_waits_is_cancelled_by_its_id(rig: Rig, model: Model) -> None:
    with rig.open("/hold", PAYLOAD) as first:
        assert model.held.wait(LIMIT_S)
        with rig.open("/hold", PAYLOAD, headers={"X-Request-ID": "second"}) as second:
            queued(rig, "/hold", 1)
            assert rig.ask("/pyworker/requests/second", method="DELETE").status == 202
            assert second.read().status == 499
        model.release.set()
        assert first.read().status == 200
    rig.ended("/hold", success=1, cancelled=1)
    assert rig.ask("/pyworker/requests/second", method="DELETE").status == 404


def test_two_with_one_id_do_not_lose_each_other(rig: Rig, model: Model) -> None:
    named = {"X-Request-ID": "twin"}
    with rig.open("/many", PAYLOAD, headers=named) as first:
        wait_until(lambda: rig.worker.accounting.in_flight == 1)
        with rig.open("/many", PAYLOAD, headers=named) as second:
            wait_until(lambda: rig.worker.accounting.in_flight == 2)
            assert rig.ask("/pyworker/requests/twin", method="DELETE").status == 202
            assert second.read().status == 499
        model.release.set()
        assert first.read().status == 200
    rig.ended("/many", success=1, cancelled=1)


def test_a_session_that_ends_cancels_what_is_in_it(rig: Rig, model: Model) -> None:
    opened = rig.ask("/session/create", {"auth_data": {}, "payload": {}})
    assert opened.status == 201
    session_id = opened.json["session_id"]
    within = {"session_id": session_id, "payload": PAYLOAD}
    with (
        rig.open("/hold", within) as running,
        rig.open("/many", PAYLOAD) as apart,
    ):
        wait_until(lambda: rig.worker.accounting.in_flight == 2)
        with rig.open("/hold", within) as waiting:
            queued(rig, "/hold", 1)
            ended = rig.ask("/session/end", {"session_id": session_id, "session_auth": {}})
            assert ended.json == {"ended": True, "removed_session": session_id}
            assert running.read().status == waiting.read().status == 499
        model.release.set()
        assert apart.read().status == 200
    rig.ended("/hold", cancelled=2)
    assert rig.ask("/hold", within).status == 410


def test_a_session_that_ends_while_a_handler_thinks(rig: Rig, model: Model) -> None:
    session_id = rig.ask("/session/create", {"auth_data": {}, "payload": {}}).json["session_id"]
    with rig.open("/thinks", {"session_id": session_id, "payload": PAYLOAD}) as call:
        assert entered.wait(LIMIT_S)
        thinking = next(iter(rig.worker.accounting._held - {_session(rig, session_id)}))
        thinking.session = session_id  # as signed_payload() would have it
        rig.ask("/session/end", {"session_id": session_id, "session_auth": {}})
        leave.set()
        assert call.read().status == 410
    rig.ended("/thinks", rejected=1)
    assert model.requests.empty()


def _session(rig: Rig, session_id: str) -> Any:
    return rig.worker.sessions.touch(session_id).ticket


def test_only_good_answers_tell_how_long_a_request_takes(rig: Rig) -> None:
    gate = rig.worker.gate
    for path, status in (("/missing", 404), ("/failing", 500)):
        assert rig.ask(path, PAYLOAD).status == status
    assert gate.service_s is None
    assert rig.ask("/quick", PAYLOAD).status == 200
    rig.at_rest()
    assert gate.service_s is not None and 0 <= gate.service_s < LIMIT_S


def test_a_websocket_tells_nothing_about_requests(rig: Rig) -> None:
    lines = ("GET /socket HTTP/1.1", "Host: here", "Connection: upgrade", "Upgrade: websocket")
    with socket.create_connection(rig.address, LIMIT_S) as client:
        client.sendall("\r\n".join((*lines, "", "")).encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 101")
        client.sendall(b"ping")
        assert client.recv(4096) == b"ping"
        assert rig.worker.gates["/socket"].running == 1
    rig.ended("/socket", success=1)
    assert rig.worker.gates["/socket"].service_s is None


def test_the_first_byte_is_timed_also_of_an_answer_that_comes_whole(rig: Rig) -> None:
    assert rig.ask("/quick", PAYLOAD).status == 200
    rig.at_rest()
    assert sum(rig.worker.accounting.totals()["/quick"].first_byte_s.counts) == 1


def test_a_worker_that_is_not_ready_lets_nobody_in(rig: Rig, model: Model) -> None:
    rig.worker.readiness.degraded("the model is silent.")
    answer = rig.ask("/quick", PAYLOAD)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert answer.json == {
        "error": "This worker is not ready (degraded): the model is silent.",
        "state": "degraded",
        "queue_depth": 0,
        "estimated_wait_s": 5.0,
    }
    rig.ended("/quick", rejected=1)
    assert model.requests.empty()


def test_busy_is_when_every_shared_place_is_taken(rig: Rig, model: Model) -> None:
    rig.worker.gate.concurrency = 1
    with rig.open("/many", PAYLOAD) as call:
        assert model.held.wait(LIMIT_S)
        assert rig.worker.readiness.state == "busy"
        model.release.set()
        assert call.read().status == 200
    wait_until(lambda: rig.worker.readiness.state == "ready")


def test_the_api_key_does_not_reach_the_model(rig: Rig, model: Model) -> None:
    rig.ask("/quick", PAYLOAD)
    assert API_KEY.encode() not in model.requests.get().head
