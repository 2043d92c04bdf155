"""A few hundred requests with clients that leave at any moment; afterwards nothing is left."""

from __future__ import annotations

import asyncio
import gc
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest
import uvloop
from flask import Flask, Response, request

from vast_pyworker.engine import Exchange, Limits, Origin, RelayEnd, RelayPlan
from vast_pyworker.engine.fakes import Message, ScriptedServer, Wire, connect, whole
from vast_pyworker.engine.framing import LAST_CHUNK, chunk
from vast_pyworker.engine.running import RunningServer
from vast_pyworker.model import Outcome

SOAK_S = 3.0
CLIENTS = 8
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Ends:
    """A RelayObserver for all requests; counts how they ended."""

    def __init__(self) -> None:
        self.begun = 0
        self.seen: Counter[str] = Counter()

    def on_head(self, status: int) -> None: ...

    def on_progress(self) -> None: ...

    def on_end(self, end: RelayEnd) -> None:
        self.seen[end.outcome] += 1


def model_server(wire: Wire, asked: Message) -> None:
    """Unary or stream by the query; sometimes slow, sometimes dead, before or in its answer."""
    chance = random.random()
    if "stream" not in asked.first:
        time.sleep(random.choice((0, 0, 0.02)))
        if chance < 0.05:
            wire.close()
        elif chance < 0.1:
            wire.send(b"nonsense\r\n\r\n")
        else:
            wire.send(whole(b"x" * random.choice((2, 2000, 300_000))))
        return
    wire.send(HEAD)
    for number in range(random.randrange(1, 30)):
        wire.send(chunk(b"data: %d\n\n" % number))
        time.sleep(0.003)
    if chance < 0.1:
        wire.reset()
    else:
        wire.send(LAST_CHUNK)


def build_app(origin: Origin, ends: Ends) -> Flask:
    app = Flask(__name__)
    app.logger.disabled = True
    plan = RelayPlan(origin, "/model", keep_tail=True)

    def relay(exchange: Exchange) -> None:
        if not exchange.over:
            ends.begun += 1
            exchange.relay(plan, exchange.body, ends)

    @app.post("/flask")
    def _flask() -> bytes:
        time.sleep(random.choice((0, 0.01)))
        return request.get_data()

    @app.post("/flask-stream")
    def _stream() -> Response:
        def pieces() -> Iterator[bytes]:
            for number in range(20):
                yield b"data: %d\n\n" % number
                time.sleep(0.003)

        return Response(pieces(), mimetype="text/event-stream")

    @app.post("/flask-fail")
    def _fail() -> str:
        raise RuntimeError("broken on purpose")

    def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if environ["PATH_INFO"] == "/flask-relay":
            environ["pyworker.handler"] = relay
            return []
        return app(environ, start_response)

    wsgi.native_routes = {("POST", "/relay"): relay}  # type: ignore[attr-defined]
    return wsgi  # type: ignore[return-value]


PATHS = (
    "/relay", "/relay?stream", "/flask-relay", "/flask-relay?stream", "/flask", "/flask-stream",
    "/flask-fail",
)  # fmt: skip


class Visitor:
    """One client after another, each of which may leave at any point of its visit."""

    def __init__(self, address: Any, seed: int, until: float) -> None:
        self._address = address
        self._source = random.Random(seed)
        self._until = until
        self.visits = 0
        self.answered = 0

    def run(self) -> None:
        while time.monotonic() < self._until:
            self.visits += 1
            with suppress(OSError, EOFError, ValueError), connect(self._address) as wire:
                self._visit(wire)

    def _visit(self, wire: Wire) -> None:
        source = self._source
        for _ in range(source.randrange(1, 5)):
            data = self._request()
            chance = source.random()
            if chance < 0.1:
                wire.send(data[: source.randrange(len(data))])
                return self._leave(wire)
            wire.send(data * source.choice((1, 1, 3)))
            if chance < 0.4:
                time.sleep(source.random() * 0.03)
                return self._leave(wire)
            wire.read_message()
            self.answered += 1

    def _leave(self, wire: Wire) -> None:
        self._source.choice((wire.close, wire.reset, wire.end_sending))()

    def _request(self) -> bytes:
        body = self._source.randbytes(self._source.choice((0, 10, 3000, 200_000)))
        path = self._source.choice(PATHS)
        return (
            f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )


def settle(is_settled: Callable[[], bool]) -> None:
    until = time.monotonic() + 15
    while not is_settled():
        assert time.monotonic() < until
        time.sleep(0.02)


def visit_for(seconds: float, address: Any) -> list[Visitor]:
    until = time.monotonic() + seconds
    visitors = [Visitor(address, seed, until) for seed in range(CLIENTS)]
    threads = [threading.Thread(target=visitor.run) for visitor in visitors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return visitors


@pytest.mark.parametrize("new_loop", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_after_a_storm_of_visitors_everything_is_as_before(
    new_loop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ends = Ends()
    process = psutil.Process()
    with RunningServer(lambda environ, start_response: [], new_loop=new_loop):
        pass  # a process' first loop opens files that stay open
    threads_at_rest = threading.active_count()
    gc.collect()
    files_at_rest = process.num_fds()
    with ScriptedServer(model_server) as upstream:
        origin = Origin(upstream.url)
        limits = Limits(idle_s=1.0, head_s=1.0, body_idle_s=1.0)
        app = build_app(origin, ends)
        with RunningServer(app, limits=limits, threads=6, new_loop=new_loop) as running:
            visitors = visit_for(SOAK_S, running.address)
            server = running.server
            settle(lambda: not running.call(lambda: server.connections))
            assert running.call(lambda: server.relayings) == []
            assert running.call(lambda: running._handlers.waiting) == 0
            pool = running.call(lambda: server.pools[origin])
            assert running.call(lambda: all(c.carried is None for c in pool.idle))
            settle(lambda: running.call(lambda: len(pool)) == 0)
            with connect(running.address) as wire:
                wire.send(b"POST /flask HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nwell")
                assert wire.read_message().body == b"well"
    assert sum(visitor.visits for visitor in visitors) > 100
    assert sum(visitor.answered for visitor in visitors) > 100
    assert sum(ends.seen.values()) == ends.begun
    assert set(ends.seen) == {Outcome.FINISHED, Outcome.FAILED, Outcome.CANCELLED}
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
    settle(lambda: threading.active_count() <= threads_at_rest)
    gc.collect()
    settle(lambda: process.num_fds() <= files_at_rest)


def test_memory_does_not_grow_with_requests() -> None:
    """What one batch of requests leaves behind, the next batch uses again."""
    ends = Ends()
    process = psutil.Process()
    done: queue.Queue[int] = queue.Queue()
    with ScriptedServer(lambda wire, asked: wire.send(whole(b"{}"))) as upstream:
        app = build_app(Origin(upstream.url), ends)
        with RunningServer(app) as running, connect(running.address) as wire:
            for _ in range(4):
                for number in range(400):
                    path = "/relay" if number % 3 else "/flask"
                    sent_id = f"X-Request-ID: {number}-{time.monotonic_ns()}\r\n"
                    framing = "Content-Length: 2\r\n"
                    wire.send(
                        f"POST {path} HTTP/1.1\r\nHost: a\r\n{sent_id}{framing}\r\n{{}}".encode()
                    )
                    assert wire.read_message().status == 200
                gc.collect()
                done.put(process.memory_info().rss)
    sizes = [done.get() for _ in range(4)]
    assert sizes[-1] - sizes[1] < 4_000_000
