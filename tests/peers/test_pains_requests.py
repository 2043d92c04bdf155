"""What users of other workers suffer between a request and its answer: pains 6 to 15, 19 to 22, +2.

Each docstring says what others do and what ours does; ``table.py`` makes docs/peers.md of them.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from scenes import Farewell
from support import House, furnished, name_of, scene
from worker_support import CONFIGURATION, ROOT, Answer, free_port, wait_until

from vast_pyworker.worker.fake_model import FakeModel

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
        connection.sendall(b"die")
        assert connection.recv(4096) == b""
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
    Flask itself iterates is closed, so its `finally` runs.
    """

    def ended() -> int:
        return int(house.worker.get("/left").json["left"])

    before = ended()
    call = house.worker.open("/drips", method="GET")
    call.read_until(b"drip")
    call.leave()
    wait_until(lambda: ended() == before + 1, "end of the generator")


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


def test_pain_10_two_worker_processes_are_refused_with_the_reason(tmp_path: Path) -> None:
    """Peers: N processes are N copies of the model, or N different truths about the load.

    Ours: one process owns the state; a configuration with more does not start, and says why.
    """
    environ = {"BACKEND": "helloworld", "PYWORKER_STATE": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "-c", CONFIGURATION, "--workers", "2"],
        env={**environ, "WORKER_PORT": str(free_port())},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode != 0
    assert "workers is 2" in done.stderr and "set workers to 1" in done.stderr


def test_pain_11_requests_wait_their_turn(house: House) -> None:
    """Peers: a second request is an error: "Already running a prediction".

    Ours: a queue in the order of arrival, per route or for the whole backend.
    """
    with ThreadPoolExecutor(4) as pool:
        with house.held("/in_turn"):
            payloads = [scene() for _ in range(4)]
            jobs = []
            for number, payload in enumerate(payloads, 1):
                jobs.append(pool.submit(house.worker.ask, "/in_turn", payload))
                house.await_queued("/in_turn", number)
        assert [job.result().status for job in jobs] == [200] * 4
    names = [name_of(payload) for payload in payloads]
    asked = [seen.script.name for seen in house.model.seen]
    assert [name for name in asked if name in names] == names


def test_pain_12_what_would_wait_too_long_is_turned_down_at_once(house: House) -> None:
    """Peers: the queue has no end, and under load everybody waits until everybody gives up.

    Ours: bounded by depth and by the estimated wait: `MAX_QUEUE` and `QUEUE_TIMEOUT`, or per route.
    What is turned down is so before any work, and what waits longer than was estimated is as well.
    """
    with house.held("/hurried"):
        began = time.monotonic()
        late = house.ask("/hurried")
        assert (late.status, time.monotonic() - began >= 0.4) == (429, True), "waited in vain"
    assert house.ask("/hurried", delay_s=0.9).status == 200
    assert house.ask("/hurried", delay_s=0.9).status == 200, "now a request is known to take long"
    with house.held("/hurried") as (_, held):
        answer = house.ask("/hurried")
        assert house.model.state_of(held) == "running"
    assert answer.status == 429 and answer.json["queue_depth"] == 0
    assert answer.json["estimated_wait_s"] > 0.5


def test_pain_13_full_is_429_and_unready_is_503_and_both_say_when(
    house: House, waiting: House
) -> None:
    """Peers: overload is a 500, or a status without any hint when to come back.

    Ours: 429 where this worker is full and another may not be, 503 where it loads, is degraded or
    drains; both with Retry-After and the same JSON.
    """
    with house.held("/alone"), house.queued("/alone"):
        full = house.ask("/alone")
    unready = waiting.ask()
    assert (full.status, unready.status) == (429, 503)
    for answer in (full, unready):
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json.keys() >= {"error", "queue_depth", "estimated_wait_s"}


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A worker with short limits."""
    limits = {"FIRST_BYTE_TIMEOUT": "0.6", "SILENCE_TIMEOUT": "0.6", "TOTAL_TIMEOUT": "1.5"}
    folder = tmp_path_factory.mktemp("impatient")
    with FakeModel() as model, furnished(folder, model, **limits) as house:
        wait_until(lambda: "Fetched the public key" in house.worker.log, "public key")
        yield house


def test_pain_14_each_wait_has_a_limit_of_its_own(impatient: House) -> None:
    """Peers: one timeout for everything, or one that belongs to something else.

    Ours: separate limits for queue, connection, first byte, silence between pieces and the whole;
    which one it was is in the answer, 504 or the last frame of a stream.
    """
    scripts: dict[str, dict[str, Any]] = {
        "late": {"delay_s": 5},
        "silent": {"kind": "sse", "then": "hang"},
        "long": {"kind": "sse", "pieces": 50, "pause_s": 0.2},
        "steady": {"kind": "sse", "pieces": 6, "pause_s": 0.2},
    }
    with ThreadPoolExecutor(4) as pool:
        jobs = {name: pool.submit(impatient.ask, **script) for name, script in scripts.items()}
        answers: dict[str, Answer] = {name: job.result() for name, job in jobs.items()}
    assert answers["late"].status == 504
    assert "first byte" in answers["late"].json["error"]
    assert "more of the answer" in answers["silent"].text
    assert "longer than 1.5 s" in answers["long"].text
    assert answers["steady"].text.endswith("data: [DONE]\n\n"), "longer than two of the limits"


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

    Ours: a request that the model had begun is not sent again when its connection dies, also on a
    kept connection. A client that retries asks for new work: there are no idempotency keys.
    """
    assert house.ask().status == 200, "a connection is kept from here on"
    payload = scene(delay_s=0.4, pieces=0, then="die")
    answer = house.worker.ask("/generate", payload)
    assert answer.status == 502
    assert "without an answer" in answer.json["error"]
    names = [seen.script.name for seen in house.model.seen]
    assert names.count(name_of(payload)) == 1


def test_pain_21_metrics_are_built_in(house: House) -> None:
    """Peers: no Prometheus out of the box, or one truth per process.

    Ours: `/metrics` of the one process: requests by outcome, durations, queues, work, the model's
    state, reports, GPU and disk.
    """
    house.ask(tokens=3)
    with house.held("/generate"):
        assert house.worker.metric("pyworker_requests_in_progress", route="/generate") == 1
    metric = house.worker.metric
    assert metric("pyworker_requests_total", route="/generate", outcome="success") >= 1
    assert metric("pyworker_request_duration_seconds_count", route="/generate") >= 1
    assert metric("pyworker_time_to_first_byte_seconds_count", route="/generate") >= 1
    assert metric("pyworker_queue_wait_seconds_count", route="/generate") >= 1
    assert metric("pyworker_workload_total", outcome="success") >= 3
    assert metric("pyworker_queue_limit", route="/alone") == 1
    assert metric("pyworker_model_state", state="ready") == 1
    assert metric("pyworker_model_state") == 1, "one state at a time"
    assert metric("pyworker_reports_total", result="delivered") >= 1
    assert metric("pyworker_disk_used_bytes") > 0


def test_pain_22_load_is_told_in_work_and_corrected_by_what_was_measured(house: House) -> None:
    """Peers: the number of requests stands for the load, whatever each of them is.

    Ours: units of work of the backend's own (tokens here): estimated from the payload before,
    measured from the answer's usage after; the queue and the model's own gauges beside them.
    """
    house.await_rest()
    payload = {**scene(hold=0, tokens=120), "prompt": "x" * 400, "max_tokens": 50}
    before = house.worker.metric("pyworker_workload_total", outcome="success")
    call = house.worker.open("/generate", payload)
    report = house.last_report(lambda report: report["cur_load"] == 150.0)
    assert report["num_requests_working"] == 1
    house.model.release(name_of(payload))
    assert call.read().status == 200
    served = house.worker.metric("pyworker_workload_total", outcome="success") - before
    assert served == 120.0
    assert house.last_report(lambda report: report["cur_load"] == 0)["num_requests_working"] == 0


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
