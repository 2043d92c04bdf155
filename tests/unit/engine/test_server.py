"""The server: who gets a request, draining, its clock, and that nothing is left when it closes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import uvloop

from vast_pyworker.engine import Exchange, Origin, RelayPlan
from vast_pyworker.engine.client import ClientConnection
from vast_pyworker.engine.fake_transport import FakeTransport
from vast_pyworker.engine.fakes import Message, ScriptedServer, Wire, connect, whole
from vast_pyworker.engine.limits import Limits
from vast_pyworker.engine.running import RunningServer

TEXT = (("Content-Type", "text/plain"),)


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


class App:
    served_while_draining = frozenset(("/status",))

    def __init__(self) -> None:
        self.held: list[Exchange] = []
        self.arrived = threading.Semaphore(0)
        self.native_routes: dict[tuple[str, str], Callable[[Exchange], None]] = {
            ("GET", "/native"): lambda exchange: exchange.respond(200, TEXT, b"native"),
            ("GET", "/status"): lambda exchange: exchange.respond(200, TEXT, b"status"),
            ("GET", "/held"): self.hold,
        }

    def hold(self, exchange: Exchange) -> None:
        self.held.append(exchange)
        self.arrived.release()

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "4")])
        return [b"wsgi"]


@contextmanager
def serving(app: Any = None, **options: Any) -> Iterator[tuple[Any, RunningServer, Any]]:
    app = app or App()
    with ExitStack() as stack:
        server = stack.enter_context(RunningServer(app, **options))
        yield app, server, lambda: stack.enter_context(connect(server.address))


def wait_until(true: Callable[[], Any]) -> None:
    until = time.monotonic() + 10
    while not true():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_native_routes_go_by_method_and_exact_path_and_all_else_to_the_application() -> None:
    with serving() as (_, _, client):
        wire = client()
        bodies = []
        for path in ("/native", "/native?x=1", "/native/", "/nativ%65", "//native", "/other"):
            wire.send(get(path))
            bodies.append(wire.read_message().body)
        wire.send(b"POST /native HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        bodies.append(wire.read_message().body)
    assert bodies == [b"native"] * 2 + [b"wsgi"] * 5


def test_every_answer_of_ours_has_a_date_that_goes_on() -> None:
    with serving() as (_, _, client):
        wire = client()
        dates = set()
        until = time.monotonic() + 5
        while len(dates) < 2 and time.monotonic() < until:
            wire.send(get("/native"))
            dates.add(wire.read_message().get("date"))
            time.sleep(0.05)
    assert len(dates) == 2 and None not in dates


def test_ids_of_requests_are_unique_between_starts() -> None:
    seen = set()
    for _ in range(2):
        with serving() as (_, server, _):
            seen |= set(server.call(lambda: [server.server.new_request_id() for _ in range(3)]))
    assert len(seen) == 6


def test_ids_of_requests_are_never_given_twice() -> None:
    with serving() as (_, server, _):
        made = server.call(lambda: [server.server.new_request_id() for _ in range(1000)])
    assert len(set(made)) == 1000


def test_draining_turns_new_requests_down_and_lets_those_in_flight_finish() -> None:
    with serving() as (app, server, client):
        busy, idle = client(), client()
        idle.send(get("/native"))
        idle.read_message()
        busy.send(get("/held"))
        assert app.arrived.acquire(timeout=10)
        server.call(lambda: server.server.drain(listening=True))
        assert idle.gone()
        late = client()
        late.send(get("/native"))
        answer = late.read_message()
        assert (answer.status, answer.get("connection")) == (503, "close")
        status = client()
        status.send(get("/status"))
        assert status.read_message().body == b"status"
        server.call(lambda: app.held[0].respond(200, TEXT, b"done"))
        answer = busy.read_message()
        assert (answer.body, answer.get("connection")) == (b"done", "close")
        assert busy.gone()
        drained = asyncio.run_coroutine_threadsafe(server.server.drained(5), server.loop)
        assert drained.result(5)
        with pytest.raises(OSError):
            connect(server.address).close()


def test_a_connection_that_is_new_when_draining_begins_is_told_so_and_not_reset() -> None:
    with serving() as (app, server, client):
        busy, new = client(), client()
        busy.send(get("/held"))
        assert app.arrived.acquire(timeout=10)
        wait_until(lambda: server.call(lambda: len(server.server.connections)) == 2)
        server.call(lambda: server.server.drain(listening=True))
        new.send(get("/native"))
        assert new.read_message().status == 503
        server.call(lambda: app.held[0].respond(200, TEXT, b"done"))
        assert busy.read_message().body == b"done"


def test_draining_without_listening_refuses_connections() -> None:
    with serving() as (_, server, _):
        server.call(lambda: server.server.drain(listening=False))
        with pytest.raises(OSError):
            connect(server.address).close()


def test_draining_waits_for_a_stream_that_had_begun_before(new_loop: Any = None) -> None:
    def script(wire: Wire, request: Message) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        assert told.wait(10)
        wire.send(b"3\r\ntwo\r\n0\r\n\r\n")

    class Unobserved:
        def on_head(self, status: int) -> None: ...
        def on_progress(self) -> None: ...
        def on_end(self, end: Any) -> None: ...

    told = threading.Event()
    with ScriptedServer(script) as upstream:
        plan = RelayPlan(Origin(upstream.url), "/", method="GET")
        app = App()
        app.native_routes["GET", "/relay"] = lambda e: e.relay(plan, b"", Unobserved())
        with serving(app) as (_, server, client):
            wire = client()
            wire.send(get("/relay"))
            wire.read_until(b"one\r\n")
            server.call(lambda: server.server.drain(listening=False))
            waiting = asyncio.run_coroutine_threadsafe(server.server.drained(10), server.loop)
            told.set()
            assert wire.read_to_end() == b"3\r\ntwo\r\n0\r\n\r\n"
            assert waiting.result(5)


def test_draining_waits_until_a_slow_client_has_its_answer() -> None:
    with serving() as (app, server, client):
        wire = client()
        wire.send(get("/held"))
        assert app.arrived.acquire(timeout=10)
        server.call(lambda: app.held[0].respond(200, TEXT, b"x" * 20_000_000))
        server.call(lambda: server.server.drain(listening=False))

        async def drained_and_closed() -> bool:
            drained = await server.server.drained(10)
            await server.server.close()
            return drained

        waiting = asyncio.run_coroutine_threadsafe(drained_and_closed(), server.loop)
        time.sleep(0.2)
        assert len(wire.read_message().body) == 20_000_000
        assert waiting.result(5)


def test_draining_has_a_deadline() -> None:
    with serving() as (app, server, client):
        wire = client()
        wire.send(get("/held"))
        assert app.arrived.acquire(timeout=10)
        server.call(lambda: server.server.drain(listening=False))
        waiting = asyncio.run_coroutine_threadsafe(server.server.drained(0.2), server.loop)
        assert waiting.result(5) is False


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_closing_tells_everybody_and_leaves_no_connection(new_loop: Any) -> None:
    gone = threading.Event()

    def script(wire: Wire, request: Message) -> None:
        assert wire.gone()
        gone.set()

    ends: list[Any] = []

    class Observer:
        def on_head(self, status: int) -> None: ...
        def on_progress(self) -> None: ...
        def on_end(self, end: Any) -> None:
            ends.append(end)

    with ScriptedServer(script) as upstream:
        plan = RelayPlan(Origin(upstream.url), "/", method="GET")
        app = App()
        app.native_routes["GET", "/relay"] = lambda e: e.relay(plan, b"", Observer())
        with serving(app, new_loop=new_loop) as (_, server, client):
            wires = [client() for _ in range(3)]
            for wire, path in zip(wires, ("/relay", "/held", "/native"), strict=True):
                wire.send(get(path))
            wait_until(lambda: upstream.requests.qsize() and app.held)
        assert len(ends) == 1
        assert gone.wait(5)
        assert not server.server.connections


def test_a_fault_in_one_check_does_not_stop_the_clock(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def on_head(self, status: int) -> None: ...
        def on_progress(self) -> None:
            raise RuntimeError("broken observer")

        def on_end(self, end: Any) -> None: ...

    def script(wire: Wire, request: Message) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        wire.gone()

    with ScriptedServer(script) as upstream:
        plan = RelayPlan(Origin(upstream.url), "/", method="GET")
        app = App()
        app.native_routes["GET", "/relay"] = lambda e: e.relay(plan, b"", Broken())
        with serving(app) as (_, server, client):
            wire = client()
            wire.send(get("/relay"))
            wire.read_until(b"one")
            wait_until(lambda: "could not be checked" in caplog.text)
            ticked = server.call(lambda: server.server.now)
            wait_until(lambda: server.call(lambda: server.server.now) > ticked + 0.1)


def test_every_connection_of_many_is_checked() -> None:
    """More than one turn of the loop takes on: none is passed over."""
    with serving(limits=Limits(head_s=0.1)) as (_, running, _):
        server = running.server
        transports = [FakeTransport() for _ in range(100)]
        for transport in transports:
            running.call(
                lambda transport=transport: ClientConnection(server).connection_made(transport)
            )
        wait_until(lambda: all(transport.ended for transport in transports))
        for connection in running.call(lambda: list(server.connections)):
            running.call(lambda connection=connection: connection.connection_lost(None))


def test_pools_are_one_per_origin() -> None:
    with ScriptedServer(lambda wire, request: wire.send(whole(b"x"))) as upstream:
        first, second = Origin(upstream.url), Origin(upstream.url)
        with serving() as (_, server, _):
            pools = server.call(
                lambda: [server.server.pools[origin] for origin in (first, first, second)]
            )
        assert pools[0] is pools[1] is not pools[2]
