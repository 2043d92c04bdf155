"""Connections to a model server: every kind of address, and the pool of idle ones."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import uvloop

from vast_pyworker.engine import Origin, RelayPlan
from vast_pyworker.engine.certificates import contexts
from vast_pyworker.engine.fake_transport import FakeTransport
from vast_pyworker.engine.fakes import Message, ScriptedServer, Wire, connect, whole
from vast_pyworker.engine.framing import LAST_CHUNK, chunk
from vast_pyworker.engine.running import RunningServer
from vast_pyworker.engine.upstream import IDLE_S, MOST_IDLE, SPARE_FROM, Pool, UpstreamConnection

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: worker\r\n\r\n"


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not true():
        assert time.monotonic() < until
        time.sleep(0.005)


class Unobserved:
    def on_head(self, status: int) -> None: ...

    def on_progress(self) -> None: ...

    def on_end(self, end: Any) -> None: ...


def relaying_app(origin: Origin) -> Any:
    plan = RelayPlan(origin, "/model", method="GET")

    def app(environ: Any, start_response: Any) -> list[bytes]:
        environ["pyworker.handler"] = lambda exchange: exchange.relay(plan, b"", Unobserved())
        return []

    return app


def echo(wire: Wire, request: Message) -> None:
    wire.send(whole((request.get("host") or "").encode()))


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def new_loop(request: pytest.FixtureRequest) -> Any:
    return request.param


def ask(origin: Origin, new_loop: Any) -> Message:
    with (
        RunningServer(relaying_app(origin), new_loop=new_loop) as server,
        connect(server.address) as wire,
    ):
        wire.send(GET * 2)
        assert wire.read_message().status in (200, 502)
        return wire.read_message()


def test_a_model_server_behind_a_unix_socket_is_reached(tmp_path: Path, new_loop: Any) -> None:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "model.sock"))
    with ScriptedServer(echo, sock=sock) as upstream:
        assert ask(Origin(upstream.url), new_loop).body == b"localhost"
        assert upstream.opened == 1


def test_a_unix_socket_that_is_not_there_is_502(tmp_path: Path, new_loop: Any) -> None:
    assert ask(Origin(f"unix:{tmp_path}/none.sock"), new_loop).status == 502


def test_a_model_server_on_ipv6_is_reached(new_loop: Any) -> None:
    try:
        sock = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with ScriptedServer(echo, sock=sock) as upstream:
        assert ask(Origin(upstream.url), new_loop).body.startswith(b"[::1]:")


def test_a_model_server_with_tls_is_reached_and_its_name_checked(
    tmp_path: Path, new_loop: Any
) -> None:
    server_tls, client_tls = contexts(tmp_path)
    with ScriptedServer(echo, tls=server_tls) as upstream:
        trusted, stranger = Origin(upstream.url), Origin(upstream.url)
        trusted.tls = client_tls
        assert ask(trusted, new_loop).body.startswith(b"127.0.0.1:")
        answer = ask(stranger, new_loop)
        assert answer.status == 502 and b"cannot be reached" in answer.body


def test_streams_over_tls_on_both_sides_leave_their_connection_for_the_next(
    tmp_path: Path,
) -> None:
    server_tls, client_tls = contexts(tmp_path)

    def stream(wire: Wire, request: Message) -> None:
        wire.send(STREAM + chunk(b"data: 0\n\n"))
        for _ in range(20):
            wire.send(chunk(b"data: 1\n\n"))
        wire.send(LAST_CHUNK)

    with ScriptedServer(stream, tls=server_tls) as upstream:
        origin = Origin(upstream.url)
        origin.tls = client_tls
        app = relaying_app(origin)
        with (
            RunningServer(app, tls=server_tls, new_loop=uvloop.new_event_loop) as server,
            connect(server.address, tls=client_tls) as wire,
        ):
            for _ in range(3):
                wire.send(GET)
                assert wire.read_message().body == b"data: 0\n\n" + 20 * b"data: 1\n\n"
        assert upstream.opened == 1


def test_a_new_connection_is_not_read_while_the_client_takes_nothing(new_loop: Any) -> None:
    with ScriptedServer(echo) as upstream:
        plan = RelayPlan(Origin(upstream.url), "/model", method="GET")
        seen: list[Any] = []

        def relay(exchange: Any) -> None:
            seen.append(exchange)
            exchange.client.pause_writing()
            exchange.relay(plan, b"", Unobserved())

        def app(environ: Any, start_response: Any) -> list[bytes]:
            environ["pyworker.handler"] = relay
            return []

        with RunningServer(app, new_loop=new_loop) as server, connect(server.address) as wire:
            wire.send(GET)
            upstream.requests.get(timeout=10)
            time.sleep(0.2)
            (exchange,) = seen
            assert server.call(lambda: exchange.status) == 0
            server.call(exchange.client.resume_writing)
            assert wire.read_message().status == 200


def test_a_name_that_does_not_resolve_is_502(new_loop: Any) -> None:
    assert ask(Origin("http://model.invalid:5001"), new_loop).status == 502


class Clock:
    """A pool on a loop that runs only as long as a test needs it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.pool = Pool(Origin("http://127.0.0.1:1"), self.loop)
        self.transports: list[FakeTransport] = []

    def idle(self, at: float) -> UpstreamConnection:
        connection = UpstreamConnection(self.pool)
        transport = FakeTransport()
        self.transports.append(transport)
        connection.connection_made(transport)
        self.pool.now = at
        connection.release()
        return connection


@pytest.fixture
def clock() -> Any:
    clock = Clock()
    yield clock
    clock.loop.close()


def test_what_was_idle_too_long_is_closed_oldest_first(clock: Clock) -> None:
    clock.idle(at=10.0)
    clock.idle(at=12.0)
    clock.pool.sweep(10.0 + IDLE_S)
    assert [transport.ended for transport in clock.transports] == ["", ""]
    clock.pool.sweep(10.1 + IDLE_S)
    assert [transport.ended for transport in clock.transports] == ["closed", ""]
    assert len(clock.pool) == 1
    clock.pool.close()
    assert [transport.ended for transport in clock.transports] == ["closed", "aborted"]
    assert len(clock.pool) == 0


def test_no_more_than_so_many_stay_idle(clock: Clock) -> None:
    for _ in range(MOST_IDLE + 1):
        clock.idle(at=1.0)
    clock.pool.sweep(1.0)
    assert len(clock.pool) == MOST_IDLE
    assert [transport.ended for transport in clock.transports[:2]] == ["closed", ""]


def test_an_idle_connection_that_is_lost_is_forgotten(clock: Clock) -> None:
    connection = clock.idle(at=1.0)
    connection.connection_lost(None)
    assert len(clock.pool) == 0


def test_bytes_on_an_idle_connection_end_it(clock: Clock) -> None:
    connection = clock.idle(at=1.0)
    connection.data_received(b"HTTP/1.1 408 Timeout\r\n\r\n")
    assert clock.transports[0].ended == "aborted"
    assert len(clock.pool) == 0


def test_an_idle_connection_that_is_about_to_close_gets_no_request(clock: Clock) -> None:
    connection = clock.idle(at=1.0)
    connection.eof_received()
    assert len(clock.pool) == 0


@pytest.mark.parametrize(("asked", "opened"), [(SPARE_FROM - 1, SPARE_FROM - 1), (10, 11)])
def test_where_many_are_in_use_one_more_is_ready(asked: int, opened: int, new_loop: Any) -> None:
    go_on = threading.Event()

    def slow(wire: Wire, request: Message) -> None:
        go_on.wait(10)
        echo(wire, request)

    with ExitStack() as stack:
        upstream = stack.enter_context(ScriptedServer(slow))
        origin = Origin(upstream.url)
        server = stack.enter_context(RunningServer(relaying_app(origin), new_loop=new_loop))
        wires = [stack.enter_context(connect(server.address)) for _ in range(asked)]
        for wire in wires:
            wire.send(GET)
            upstream.requests.get(timeout=10)
        pool = server.call(lambda: server.server.pools[origin])
        wait_until(lambda: server.call(lambda: (pool.open, len(pool))) == (opened, opened - asked))
        go_on.set()
        assert all(wire.read_message().status == 200 for wire in wires)


def test_a_spare_connection_that_cannot_be_had_is_nobodys_failure() -> None:
    clock = Clock()  # where nobody listens
    clock.pool.open = SPARE_FROM
    clock.pool.keep_spare()
    clock.loop.run_until_complete(asyncio.sleep(0.1))
    assert len(clock.pool) == 0
    clock.pool.keep_spare()
    clock.pool.close()
    clock.loop.run_until_complete(asyncio.sleep(0))
    clock.loop.close()


def test_idle_connections_do_not_stay_for_ever() -> None:
    with ScriptedServer(echo) as upstream:
        origin = Origin(upstream.url)
        with RunningServer(relaying_app(origin)) as server, connect(server.address) as wire:
            wire.send(GET)
            wire.read_message()
            pool = server.call(lambda: server.server.pools[origin])
            assert server.call(lambda: len(pool)) == 1
            server.call(lambda: setattr(pool.idle[0], "idle_since", pool.now - IDLE_S - 1))
            until = time.monotonic() + 5
            while server.call(lambda: len(pool)):
                assert time.monotonic() < until
                time.sleep(0.02)
