"""What users suffer between a request and its answer: pains 6 to 9, 15, 19, 20, +2.

Each docstring says what others do and what ours does; ``table.py`` makes docs/peers.md of them.
"""

from __future__ import annotations

import http.client
import json
import socket
import time

import pytest
from scenes import Farewell
from support import House, name_of, scene
from worker_support import wait_until

GONE_S = 2.0
"""How soon the model must see that a client has left. It is a millisecond; machines are slow."""


def gone_after_s(house: House, name: str, left_at: float) -> float:
    """Seconds from a client's leaving to the model's seeing it."""
    assert house.model.wait(lambda model: model.state_of(name) == "gone", GONE_S)
    seen = house.model.find(name)
    assert seen is not None
    return seen.ended_at - left_at


def raw_request(house: House, path: str, *lines: str) -> socket.socket:
    """A connection on which a GET with these header lines was sent."""
    connection = socket.create_connection(("127.0.0.1", house.worker.port), GONE_S)
    head = "\r\n".join((f"GET {path} HTTP/1.1", "Host: here", *lines, "", ""))
    connection.sendall(head.encode())
    return connection


def read_head(connection: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        piece = connection.recv(4096)
        assert piece, got
        got += piece
    return got


def test_pain_06_a_websocket_ends_on_both_sides_when_one_side_ends(house: House) -> None:
    """Peers: the wrapper's own WebSocket to the model goes dead unseen, and jobs never return.

    Ours: there is no WebSocket of the worker's own. A client's is passed through byte for byte,
    and when the model closes it or dies, the client's is closed at once, and the other way round.
    """
    lines = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x")
    with raw_request(house, "/socket", *lines) as connection:
        assert read_head(connection).startswith(b"HTTP/1.1 101 ")
        for message in (b"hello", b"\x00\xff" * 10):
            connection.sendall(message)
            assert connection.recv(4096) == message
        assert house.model.tunnels == 1
        connection.sendall(b"die")
        assert connection.recv(4096) == b""
    with raw_request(house, "/socket", *lines) as connection:
        assert read_head(connection).startswith(b"HTTP/1.1 101 ")
        assert house.model.wait(lambda model: model.tunnels == 1, GONE_S)
    assert house.model.wait(lambda model: model.tunnels == 0, GONE_S)
    house.await_rest()


@pytest.mark.parametrize("path", ["/generate", "/by_flask"])
@pytest.mark.parametrize("kind", ["unary", "sse"])
def test_pain_07_client_gone_aborts_the_model_at_once(house: House, path: str, kind: str) -> None:
    """Peers: the client leaves, the GPU goes on; or it is noticed at the next byte written.

    Ours: the model's connection is aborted within milliseconds, for unary requests and silent
    streams alike; one that still waits in the queue never reaches the model; all are counted as
    cancelled and told to the autoscaler so.
    """
    before = house.outcomes(path)["cancelled"]
    payload = scene(kind=kind, hold=0 if kind == "unary" else 1)
    call = house.worker.open(path, payload)
    if kind == "sse":
        call.read_until(b"word0")
    assert house.model.wait(lambda model: model.find(name_of(payload)))
    left_at = time.monotonic()
    call.leave()
    assert gone_after_s(house, name_of(payload), left_at) < GONE_S
    wait_until(lambda: house.outcomes(path)["cancelled"] == before + 1, "cancelled request")


def test_pain_07_client_gone_while_queued_never_reaches_the_model(house: House) -> None:
    before = house.outcomes("/alone")["cancelled"]
    with house.held("/alone"), house.queued("/alone") as (call, name):
        call.leave()
        house.await_queued("/alone", 0)
    house.await_rest()
    assert house.model.find(name) is None
    assert house.outcomes("/alone")["cancelled"] == before + 1


def test_pain_08_flask_handlers_see_that_the_client_has_left(house: House) -> None:
    """Peers: a WSGI handler learns of a disconnect when it next writes, if ever.

    Ours: a handler returns `Relay` and the engine watches the client (pain 7); a generator that
    Flask itself iterates is closed, so its `finally` runs. A silent stream of events that is
    relayed gets a comment every 15 s.
    """

    def ended() -> int:
        return int(house.worker.get("/left").json["left"])

    before, outcomes = ended(), house.outcomes("/drips")
    call = house.worker.open("/drips", method="GET")
    call.read_until(b"drip")
    call.leave()
    assert wait_until(lambda: ended() == before + 1, "end of the generator")
    assert wait_until(
        lambda: house.outcomes("/drips") == {**outcomes, "cancelled": outcomes["cancelled"] + 1},
        "cancelled request",
    )


def test_pain_09_long_streams_outlive_heartbeats_and_sigterm(farewell: Farewell) -> None:
    """Peers: gunicorn kills what takes longer than its timeout, cuts streams on SIGTERM, writes a
    500 into the middle of a body.

    Ours: the event loop beats, not the handler: a stream of 3 s and a handler that blocks as long
    outlive a timeout of 2 s, and SIGTERM in their middle; what is written is whole.
    """
    events = farewell.stream.decode().split("\n\n")
    assert events[:31] == [f'data: {{"choices":[{{"text":"word{n} "}}]}}' for n in range(31)]
    assert events[31:] == ["data: [DONE]", ""]
    assert (farewell.blocking.status, farewell.blocking.json) == (200, {"slept": 3})


@pytest.mark.parametrize("path", ["/generate", "/by_flask"])
@pytest.mark.parametrize("kind", ["sse", "ndjson"])
def test_pain_15_a_stream_that_breaks_off_says_so_and_has_failed(
    house: House, path: str, kind: str
) -> None:
    """Peers: the stream just ends, and the job is COMPLETED.

    Ours: an `event: error` frame or a line with `error`, in the stream's own kind, counted as
    upstream_error, reported as Error, no work served.
    """
    before = house.outcomes(path)
    answer = house.ask(path, kind=kind, then="die", tokens=9)
    last = answer.text.strip().splitlines()[-1].removeprefix("data: ")
    assert json.loads(last)["error"]
    after = house.outcomes(path)
    assert after["upstream_error"] == before["upstream_error"] + 1
    assert after["success"] == before["success"]


def test_pain_15_a_stream_of_flasks_own_that_fails_has_not_succeeded(house: House) -> None:
    before = house.outcomes("/breaks")
    with pytest.raises(http.client.IncompleteRead):
        house.worker.get("/breaks")
    wait_until(
        lambda: house.outcomes("/breaks") == {**before, "worker_error": before["worker_error"] + 1},
        "failed request",
    )


def test_pain_19_one_of_many_requests_is_cancelled_by_its_id(house: House) -> None:
    """Peers: cancelling works for one request at a time, or says so before it is done.

    Ours: `DELETE /pyworker/requests/ID` with the X-Request-ID, running or queued, whatever else
    runs; the client gets 499, the model sees the abort, the others notice nothing.
    """
    payloads = [scene(hold=0) for _ in range(3)]
    calls = [
        house.worker.open("/generate", payload, headers={"X-Request-ID": name_of(payload)})
        for payload in payloads
    ]
    first, middle, last = (name_of(payload) for payload in payloads)
    assert house.model.wait(lambda model: all(map(model.find, (first, middle, last))))
    deleted = house.worker.open(f"/pyworker/requests/{middle}", method="DELETE").read()
    assert (deleted.status, deleted.json) == (202, {"ok": True})
    assert calls[1].read().status == 499
    assert house.model.wait(lambda model: model.state_of(middle) == "gone", GONE_S)
    house.model.release(first, last)
    assert [calls[0].read().status, calls[2].read().status] == [200, 200]
    again = house.worker.open(f"/pyworker/requests/{middle}", method="DELETE").read()
    assert again.status == 404, "it is over"


def test_pain_19_a_queued_request_is_cancelled_too(house: House) -> None:
    payload = scene()
    with house.held("/alone"):
        headers = {"X-Request-ID": name_of(payload)}
        call = house.worker.open("/alone", payload, headers=headers)
        house.await_queued("/alone", 1)
        path = f"/pyworker/requests/{name_of(payload)}"
        assert house.worker.open(path, method="DELETE").read().status == 202
        assert call.read().status == 499
    assert house.model.find(name_of(payload)) is None


def test_pain_20_the_worker_itself_never_does_work_twice(house: House) -> None:
    """Peers: after a blip of the network the same work is done again.

    Ours: a request whose connection dies is not sent again. Only where a kept connection dies
    within 0.2 s of it, so was most likely closed before, it is tried once more on a new one. What
    a client has left is aborted (pain 7), so its retry finds no work under way that it could join:
    there are no idempotency keys.
    """
    assert house.ask().status == 200, "a connection is kept from here on"
    payload = scene(delay_s=0.4, pieces=0, then="die")
    answer = house.worker.ask("/generate", payload)
    assert answer.status == 502
    assert "without an answer" in answer.json["error"]
    sooner = scene(delay_s=0.02, pieces=0, then="die")
    assert house.ask().status == 200
    assert house.worker.ask("/generate", sooner).status == 502
    names = [seen.script.name for seen in house.model.seen]
    assert names.count(name_of(payload)) == 1
    assert names.count(name_of(sooner)) <= 2


def test_pain_plus2_nobody_makes_the_worker_call_other_addresses(house: House) -> None:
    """Peers: urls in inputs and callbacks are fetched, also those of the inner network.

    Ours: the worker calls its model server alone. A session's callback is a path there, a redirect
    goes to the client as it is, an absolute target in the request line stays a path.
    """
    for route in ("http://169.254.169.254/latest", "//evil.example/x", "https://a@127.0.0.1/"):
        payload = {"lifetime": 60, "on_close_route": route, "on_close_payload": {}}
        answer = house.worker.ask("/session/create", payload)
        assert (answer.status, "on_close_route" in answer.text) == (422, True), route
    with raw_request(house, "http://169.254.169.254/info", "Connection: close") as connection:
        told = connection.makefile("rb").read()
    assert told.startswith(b"HTTP/1.1 200 ") and told.endswith(b'{"path": "/info"}')
    redirect = house.worker.get("/redirect")
    assert (redirect.status, redirect.headers["location"]) == (302, "http://127.0.0.1:9/elsewhere")
