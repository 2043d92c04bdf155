"""The same way through the worker in a handler's thread: waits, endings, what is left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from urllib3.exceptions import HTTPError
from werkzeug.test import EnvironBuilder
from worker_rig import API_KEY, LIMIT_S, Model, wait_until, worker_of

from vast_pyworker.engine.fakes import Message, Wire, whole
from vast_pyworker.worker import Relay, constant, forward, tokens
from vast_pyworker.worker.app import WorkerApp, create_app
from vast_pyworker.worker.state import Worker

KEY = {"Authorization": f"Bearer {API_KEY}"}
PAYLOAD = {"max_tokens": 3}
SETTINGS = {"FIRST_BYTE_TIMEOUT": "5", "SILENCE_TIMEOUT": "5", "QUEUE_TIMEOUT": "0"}


def partly(kind: str, *pieces: bytes, head: str = "Transfer-Encoding: chunked\r\n") -> Any:
    """Sends pieces as they are, and then nothing more, without closing."""

    def script(wire: Wire, message: Message) -> None:
        wire.send(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{head}\r\n".encode())
        for piece in pieces:
            wire.send(piece)
        wire.sock.settimeout(LIMIT_S)
        wire.sock.recv(1)

    return script


def silent(wire: Wire, message: Message) -> None:
    wire.gone(LIMIT_S)


def dripping(wire: Wire, message: Message) -> None:
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    while not wire.gone(0.01):
        wire.send(b"data: 1\n\n")


SCRIPTS: dict[str, Callable[[Wire, Message], None]] = {
    "/silent": silent,
    "/stops": partly("text/event-stream", b"9\r\ndata: 1\n\n\r\n"),
    "/stops_in_line": partly("application/x-ndjson", b'4\r\n{"a"\r\n'),
    "/stops_closing": partly("text/event-stream", b"data: 1\n\n", head=""),
    "/drips": dripping,
    "/garbage": lambda wire, message: wire.send(b"no HTTP at all\r\n\r\n"),
    "/odd": lambda wire, message: wire.send(b"HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n"),
    "/cookies": lambda wire, message: wire.send(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok"
    ),
    "/usage": lambda wire, message: wire.send(whole(b'{"usage": {"total_tokens": 42}}')),
}
ROUTES = {
    "POST": {
        **{name.lstrip("/"): forward(name, workload=tokens) for name in SCRIPTS},
        "hold": forward("/hold", workload=tokens, concurrency=1, max_queue=2, max_queue_time=0),
        "hurried": forward("/hold", concurrency=1, max_queue=2, max_queue_time=0.05),
        "constant": forward("/usage", workload=constant(5.0)),
        "relayed": lambda backend, request: Relay("/x?fixed=1"),
    },
    "GET": {"page": forward("/page", method="GET", signed=False)},
}


class World:
    """An application that no engine serves, its model, its books."""

    def __init__(self, worker: Worker, app: WorkerApp, model: Model) -> None:
        self.worker, self.app, self.model = worker, app, model

    def ask(self, path: str, **options: Any) -> Any:
        options = {"method": "POST", "json": PAYLOAD, "headers": KEY, **options}
        return self.app.test_client().open(path, buffered=True, **options)

    def call(self, path: str, method: str = "POST") -> tuple[Any, dict[str, Any]]:
        """What a server gets: the iterable, and what was told with it."""
        told: dict[str, Any] = {}

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            told.update(status=status, headers=headers)

        builder = EnvironBuilder(path, method=method, json=PAYLOAD, headers=KEY)
        try:
            return self.app(builder.get_environ(), start), told
        finally:
            builder.close()

    def ends(self, route: str) -> dict[str, int]:
        requests = self.worker.accounting.totals()[route].requests
        return {name: count for name, count in requests.items() if count}


@contextmanager
def world(**settings: str) -> Iterator[World]:
    with Model(SCRIPTS) as model:
        worker = worker_of(ROUTES, model.url, **{**SETTINGS, **settings})
        yield World(worker, create_app(worker), model)
        assert worker.accounting.in_flight == 0
        assert all(gate.running == 0 for gate in worker.gates.values())


def test_an_answer_that_nobody_began_to_read_is_cancelled() -> None:
    """A server may close what it never iterated."""
    with world() as here:
        here.worker.on_cancelled = (told := []).append
        answer, _ = here.call("/usage")
        answer.close()
        assert here.ends("/usage") == {"cancelled": 1}
        assert len(told) == 1


def test_an_answer_that_is_left_in_the_middle_is_cancelled() -> None:
    with world() as here:
        answer, told = here.call("/drips")
        assert next(iter(answer)).startswith(b"data: 1")
        answer.close()
        assert told["status"] == "200 OK"
        assert here.ends("/drips") == {"cancelled": 1}


def test_an_answer_that_is_read_is_finished_whoever_closes_it() -> None:
    with world() as here:
        answer, _ = here.call("/usage")
        assert b"".join(answer) == b'{"usage": {"total_tokens": 42}}'
        answer.close()
        assert here.ends("/usage") == {"success": 1}


def test_a_head_has_no_body() -> None:
    with world() as here:
        answer, told = here.call("/page", method="HEAD")
        assert b"".join(answer) == b""
        assert ("Content-Length", "17") in told["headers"]
        assert here.ends("/page") == {"success": 1}


def test_a_model_that_says_nothing_is_504() -> None:
    with world(FIRST_BYTE_TIMEOUT="0.05") as here:
        answer = here.ask("/silent")
        assert answer.status_code == 504
        assert answer.json == {"error": "The model server was waited for too long (first byte)."}
        assert here.ends("/silent") == {"upstream_error": 1}


def test_the_whole_request_may_be_limited_too() -> None:
    with world(TOTAL_TIMEOUT="0.05") as here:
        assert here.ask("/silent").status_code == 504
        answer = here.ask("/drips")
        assert answer.status_code == 200
        assert b"event: error" in answer.data
        assert here.ends("/drips") == {"upstream_error": 1}


@pytest.mark.parametrize(
    ("path", "start"),
    [
        ("/stops", b'data: 1\n\n\n\nevent: error\ndata: {"error": {"message": '),
        ("/stops_in_line", b'{"a"\n{"error": '),
        ("/stops_closing", b'data: 1\n\n\n\nevent: error\ndata: {"error": {"message": '),
    ],
)
def test_silence_in_a_stream_ends_it_in_a_frame(path: str, start: bytes) -> None:
    with world(SILENCE_TIMEOUT="0.05") as here:
        assert here.ask(path).data.startswith(start)
        assert here.ends(path) == {"upstream_error": 1}


def test_what_is_no_http_is_502() -> None:
    with world() as here:
        assert here.ask("/garbage").status_code == 502
        assert here.ends("/garbage") == {"upstream_error": 1}


def test_an_odd_status_without_a_phrase_is_passed_on() -> None:
    with world() as here:
        assert here.ask("/odd").status == "599 Unknown"
        assert here.ends("/odd") == {"upstream_error": 1}


def test_headers_that_come_twice_stay_two() -> None:
    with world() as here:
        assert here.ask("/cookies").headers.getlist("Set-Cookie") == ["a=1", "b=2"]


def test_only_work_that_is_measured_is_settled() -> None:
    with world() as here:
        here.ask("/usage")
        here.ask("/constant")
        totals = here.worker.accounting.totals()
        assert totals["/usage"].work["success"] == 42.0
        assert totals["/constant"].work["success"] == 5.0


def test_the_environments_proxy_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """requests would send the model's traffic to whoever HTTP_PROXY names."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with world() as here:
        assert here.ask("/usage").status_code == 200


def test_a_fixed_query_goes_before_the_clients() -> None:
    with world() as here:
        here.ask("/relayed?theirs=2")
        assert here.model.requests.get().first == "POST /x?fixed=1 HTTP/1.1"


@pytest.mark.parametrize(("sent", "kept"), [("mine-1", True), ("no good id", False), ("", False)])
def test_a_request_has_an_id_both_ways(sent: str, kept: bool) -> None:
    with world() as here:
        answer = here.ask("/usage", headers={**KEY, "X-Request-ID": sent})
        told = answer.headers["X-Request-ID"]
        assert (told == sent) is kept
        assert here.model.requests.get().get("x-request-id") == told
        assert here.ask("/nowhere").headers["X-Request-ID"]


def test_one_that_waits_goes_on_in_its_thread() -> None:
    with world() as here:
        answers: list[Any] = []
        asking = [
            threading.Thread(target=lambda: answers.append(here.ask("/hold")), daemon=True)
            for _ in range(3)
        ]
        for thread in asking:
            thread.start()
        wait_until(lambda: here.worker.gates["/hold"].queued == 2)
        assert here.ask("/hold").status_code == 429
        here.model.release.set()
        for thread in asking:
            thread.join(LIMIT_S)
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert here.ends("/hold") == {"success": 3, "rejected": 1}


def test_nobody_waits_longer_than_was_promised() -> None:
    with world() as here:
        asking = threading.Thread(target=here.ask, args=("/hurried",), daemon=True)
        asking.start()
        assert here.model.held.wait(LIMIT_S)
        answer = here.ask("/hurried")
        assert answer.status_code == 429
        assert "in time" in answer.json["error"]
        here.model.release.set()
        asking.join(LIMIT_S)
        assert here.ends("/hurried") == {"success": 1, "rejected": 1}


def test_a_plain_stream_that_breaks_is_cut_and_not_ended() -> None:
    with world(SILENCE_TIMEOUT="0.05") as here:
        here.model.scripts["/usage"] = partly("text/plain", b"3\r\none\r\n")
        answer, _ = here.call("/usage")
        pieces = iter(answer)
        assert next(pieces) == b"one"
        with pytest.raises(HTTPError, match="timed out"):
            next(pieces)
        answer.close()
        assert here.ends("/usage") == {"upstream_error": 1}
