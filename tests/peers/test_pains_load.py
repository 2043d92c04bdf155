"""What users of other workers suffer under load: pains 11 to 14, 21, 22.

Each docstring says what others do and what ours does; ``table.py`` makes docs/peers.md of them.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from client_support import Answer
from support import House, furnished, name_of, scene

from vast_pyworker.worker.fake_model import FakeModel


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


def test_pain_14_a_connection_that_never_comes_about_has_its_limit_too(tmp_path: Path) -> None:
    log = tmp_path / "model.log"
    log.write_text("up after 1 s\n")
    settings = {"CONNECT_TIMEOUT": "0.3", "READINESS": "log", "MODEL_LOG": log}
    with _deaf() as model, furnished(tmp_path, model, UNSECURED="true", **settings) as house:
        answer = house.ask()
    assert answer.status == 504 and "connect" in answer.json["error"]


@contextmanager
def _deaf() -> Iterator[FakeModel]:
    """A model whose port takes no connection, but does not refuse one either."""
    with socket.socket() as listener, ExitStack() as kept:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # until the queue of those that nobody accepts is full
            waiting = kept.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield FakeModel(listener.getsockname()[1])


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
    measured from the answer's usage after; a controller of ours is told the queue as well.
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
