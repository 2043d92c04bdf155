"""One client connection: order, limits, waits, and what is refused, over real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from vast_pyworker.engine import Exchange, Limits
from vast_pyworker.engine.certificates import contexts
from vast_pyworker.engine.client import ClientConnection
from vast_pyworker.engine.fake_transport import FakeTransport
from vast_pyworker.engine.fakes import Wire, connect
from vast_pyworker.engine.limits import HEAD_BYTES, REQUEST_LINE_BYTES
from vast_pyworker.engine.running import RunningServer

JSON = (("Content-Type", "application/json"),)


class App:
    """``/native`` answers on the loop, ``/held`` when told to, everything else in a thread."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.held: list[Exchange] = []
        self.arrived = threading.Semaphore(0)
        self.gone = threading.Event()
        self.native_routes = {
            (method, path): handler
            for method in ("GET", "POST", "HEAD", "OPTIONS")
            for path, handler in (("/native", self.native), ("/held", self.hold))
        }

    def native(self, exchange: Exchange) -> None:
        self.seen.append(exchange.head.query)
        exchange.respond(200, JSON, exchange.body or b"{}")

    def hold(self, exchange: Exchange) -> None:
        exchange.on_gone = self.gone.set
        self.held.append(exchange)
        self.arrived.release()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        self.seen.append(environ["QUERY_STRING"])
        body = environ["wsgi.input"].read()
        start_response(
            "200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
        )
        return [body]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def new_loop(request: pytest.FixtureRequest) -> Any:
    return request.param


@contextmanager
def serving(**options: Any) -> Iterator[tuple[App, RunningServer, Callable[[], Wire]]]:
    """The app, the server, and a function that opens connections which are closed at the end."""
    app = App()
    with ExitStack() as stack:
        server = stack.enter_context(RunningServer(app, **options))
        yield app, server, lambda: stack.enter_context(connect(server.address))


def request(
    path: str, body: bytes = b"", headers: str = "", *, method: str = "POST", chunked: bool = False
) -> bytes:
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    if chunked:
        body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    return f"{method} {path} HTTP/1.1\r\nHost: a\r\n{framing}\r\n{headers}\r\n".encode() + body


def wait_until(true: Callable[[], Any]) -> None:
    until = time.monotonic() + 10
    while not true():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_a_connection_is_kept_for_the_next_request(new_loop: Any) -> None:
    with serving(new_loop=new_loop) as (_, server, client):
        wire = client()
        for body in (b"one", b"two"):
            wire.send(request("/wsgi", body))
            answer = wire.read_message()
            assert (answer.status, answer.body) == (200, body)
            assert answer.get("connection") is None
        assert server.call(lambda: len(server.server.connections)) == 1


@pytest.mark.parametrize("path", ["/native", "/wsgi"])
def test_many_requests_in_one_packet_are_answered_in_order(path: str, new_loop: Any) -> None:
    count = 300
    packet = b"".join(
        request(f"{path}?{number}", b"%d" % number, chunked=number % 3 == 0)
        for number in range(count)
    )
    with serving(new_loop=new_loop) as (app, _, client):
        wire = client()
        wire.send(packet)
        assert [wire.read_message().body for _ in range(count)] == [b"%d" % n for n in range(count)]
        assert app.seen == [str(number) for number in range(count)]


def test_requests_that_come_while_one_is_answered_wait_for_it() -> None:
    with serving() as (app, server, client):
        wire = client()
        wire.send(request("/held") + request("/native?2", b"2") + request("/wsgi?3", b"3")[:-1])
        assert app.arrived.acquire(timeout=10)
        assert app.seen == []
        server.call(lambda: app.held[0].respond(200, JSON, b"1"))
        assert [wire.read_message().body, wire.read_message().body] == [b"1", b"2"]
        wire.send(b"3")
        assert wire.read_message().body == b"3"


def test_what_follows_a_chunked_body_is_the_next_request() -> None:
    with serving() as (_, _, client):
        wire = client()
        first = request("/native", b"one", chunked=True)
        wire.send(first[:-9])
        wire.send(first[-9:] + request("/native", b"two", chunked=True) + request("/native", b"3"))
        assert [wire.read_message().body for _ in range(3)] == [b"one", b"two", b"3"]


def test_empty_lines_before_a_request_are_skipped() -> None:
    with serving() as (_, _, client):
        wire = client()
        wire.send(
            b"\r\n" * 20_000 + request("/native", b"x") + b"\r\n\r\n" + request("/native", b"y")
        )
        assert [wire.read_message().body for _ in range(2)] == [b"x", b"y"]


def test_nothing_that_follows_a_wish_to_close_is_done() -> None:
    with serving() as (app, _, client):
        wire = client()
        wire.send(request("/native?1", headers="Connection: close\r\n") + request("/native?2"))
        answer = wire.read_message()
        assert answer.get("connection") == "close"
        assert wire.gone()
        assert app.seen == ["1"]


def test_continue_is_said_once_and_only_while_waited_for() -> None:
    with serving() as (_, _, client):
        wire = client()
        expecting = request("/wsgi", b"body", "Expect: 100-continue\r\n")
        wire.send(expecting[:-4])
        assert wire.read_message().first == "HTTP/1.1 100 Continue"
        wire.send(b"bo")
        wire.send(b"dy")
        assert wire.read_message().body == b"body"
        for split in (len(expecting), -2):  # the body, or some of it, comes along
            wire.send(expecting[:split])
            time.sleep(0.05)
            wire.send(expecting[split:])
            assert wire.read_message().status == 200


def test_no_continue_is_said_to_what_is_refused() -> None:
    with serving(limits=Limits(body_bytes=10)) as (_, _, client):
        wire = client()
        wire.send(request("/wsgi", b"x" * 11, "Expect: 100-continue\r\n")[:-11])
        assert wire.read_message().status == 413
        assert wire.gone()


def test_head_has_the_headers_of_get_and_no_body() -> None:
    with serving() as (_, _, client):
        wire = client()
        for path in ("/native", "/wsgi"):
            wire.send(request(path, b"12345", method="HEAD"))
            answer = wire.read_message(no_body=True)
            assert (answer.status, answer.get("content-length")) == (200, "5")
        wire.send(request("/native", b"6", method="OPTIONS"))
        assert wire.read_message().body == b"6"


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
def test_a_body_up_to_the_limit_is_taken_and_a_larger_one_413(chunked: bool, new_loop: Any) -> None:
    limit = 100_000
    with serving(limits=Limits(body_bytes=limit), new_loop=new_loop) as (app, _, client):
        wire = client()
        wire.send(request("/wsgi?fits", b"x" * limit, chunked=chunked))
        assert len(wire.read_message().body) == limit
        wire.send(request("/wsgi?large", b"x" * (limit + 1), chunked=chunked))
        answer = wire.read_message()
        assert (answer.status, answer.get("connection")) == (413, "close")
        assert wire.gone()
        assert app.seen == ["fits"]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_413_reaches_a_client_that_goes_on_sending(tls: bool, tmp_path: Path) -> None:
    server_tls, client_tls = contexts(tmp_path) if tls else (None, None)
    with (
        RunningServer(App(), limits=Limits(body_bytes=1000), tls=server_tls) as server,
        connect(server.address, tls=client_tls) as wire,
    ):
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n")
        for _ in range(80):
            wire.send(b"x" * 100_000)
        assert wire.read_message().status == 413


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"a" * REQUEST_LINE_BYTES + b" HTTP/1.1\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * HEAD_BYTES, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 101 + b"\r\n", 431),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET /\r\n\r\n", 505),
        (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\n\r\n", 417),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 405),
    ],
)
def test_what_is_no_request_is_answered_and_closed(data: bytes, status: int) -> None:
    with serving() as (app, _, client):
        wire = client()
        wire.send(data)
        answer = wire.read_message()
        assert (answer.status, answer.get("connection")) == (status, "close")
        assert answer.get("content-type") == "application/json"
        assert wire.gone()
        assert app.seen == []


SMUGGLED = b"GET /native?smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    "start",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n",
        b"Content-Length: +0\r\n\r\n",
        b"Content-Length: 0x0\r\n\r\n",
        b"Content-Length : 0\r\n\r\n",
        b"Content-Length:\r\n 0\r\n\r\n",
        b"X: a\rContent-Length: 0\r\n\r\n",
        b"X: a\nContent-Length: 0\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n",
        b"Transfer-Encoding: chunked, identity\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0;\n\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\nxx0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n-0\r\n\r\n",
    ],
)
def test_no_request_hides_behind_framing_that_can_be_read_in_two_ways(start: bytes) -> None:
    with serving() as (app, _, client):
        wire = client()
        wire.send(b"POST /native?first HTTP/1.1\r\nHost: a\r\n" + start + SMUGGLED)
        assert wire.read_message().status in (400, 501)
        assert wire.gone()
        assert app.seen == []


def test_slow_headers_are_cut_with_408(new_loop: Any) -> None:
    with serving(limits=Limits(head_s=0.2), new_loop=new_loop) as (_, _, client):
        wire = client()
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
        assert wire.read_message().status == 408
        assert wire.gone()


def test_a_client_that_drips_headers_does_not_prolong_its_wait() -> None:
    with serving(limits=Limits(head_s=0.5)) as (_, _, client):
        wire = client()
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        started = time.monotonic()
        wire.sock.settimeout(0.05)
        while time.monotonic() - started < 10:
            try:
                assert wire.sock.recv(100).startswith(b"HTTP/1.1 408")
                break
            except TimeoutError:
                wire.send(b"x")
        assert time.monotonic() - started < 5


def test_slow_headers_of_a_later_request_are_cut_too() -> None:
    with serving(limits=Limits(head_s=0.2)) as (_, _, client):
        wire = client()
        wire.send(request("/native") + b"GET /native HTTP/1.1\r\n")
        assert wire.read_message().status == 200
        assert wire.read_message().status == 408


def test_a_slow_body_is_cut_with_408() -> None:
    with serving(limits=Limits(body_idle_s=0.2)) as (app, _, client):
        wire = client()
        wire.send(request("/wsgi", b"12345")[:-1])
        assert wire.read_message().status == 408
        assert wire.gone()
        assert app.seen == []


@pytest.mark.parametrize("limits", [Limits(head_s=0.2), Limits(idle_s=0.2)], ids=["new", "used"])
def test_an_idle_connection_is_closed_without_a_word(limits: Limits) -> None:
    with serving(limits=limits) as (_, _, client):
        wire = client()
        if limits.idle_s < 1:
            wire.send(request("/native"))
            wire.read_message()
        assert wire.read_to_end() == b""


def test_a_connection_that_is_answered_is_never_idle() -> None:
    with serving(limits=Limits(head_s=0.2, idle_s=0.2, body_idle_s=0.2)) as (app, server, client):
        wire = client()
        wire.send(request("/held"))
        assert app.arrived.acquire(timeout=10)
        assert not wire.gone(0.6)
        server.call(lambda: app.held[0].respond(200, JSON, b"late"))
        assert wire.read_message().body == b"late"


def test_connections_beyond_the_limit_are_told_to_go_elsewhere() -> None:
    with serving(limits=Limits(connections=2)) as (_, server, client):
        first, second = client(), client()
        for wire in (first, second):
            wire.send(request("/native"))
            assert wire.read_message().status == 200
        third = client()
        assert third.read_message().status == 503
        assert third.gone()
        third.close()
        first.close()
        wait_until(lambda: server.call(lambda: len(server.server.connections)) <= 1)
        fourth = client()
        fourth.send(request("/native"))
        assert fourth.read_message().status == 200


def test_http_1_0_is_answered_and_closed() -> None:
    with serving() as (_, _, client):
        wire = client()
        wire.send(b"POST /wsgi HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi")
        answer = wire.read_message()
        assert (answer.body, answer.get("connection")) == (b"hi", "close")
        assert wire.gone()


@pytest.mark.parametrize("way", ["close", "reset", "end_sending"])
def test_a_client_that_leaves_is_noticed_at_once(way: str, new_loop: Any) -> None:
    with serving(new_loop=new_loop) as (app, server, client):
        wire = client()
        wire.send(request("/held"))
        assert app.arrived.acquire(timeout=10)
        getattr(wire, way)()
        assert app.gone.wait(1)
        wait_until(lambda: not server.call(lambda: server.server.connections))


def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_nothing_behind() -> None:
    with serving() as (app, server, client):
        wire = client()
        wire.send(request("/wsgi", b"x" * 3_000_000)[:-1])
        wait_until(lambda: server.call(lambda: any(c.busy for c in server.server.connections)))
        wire.close()
        wait_until(lambda: not server.call(lambda: server.server.connections))
        assert app.seen == []


@pytest.mark.parametrize("packets", [1, 100])
def test_a_client_that_does_not_read_is_sent_no_more_than_it_takes(
    packets: int, new_loop: Any
) -> None:
    count, size = 100, 500_000
    asked = request("/large", method="GET")
    with serving(new_loop=new_loop) as (app, server, client):
        app.native_routes["GET", "/large"] = lambda exchange: exchange.respond(
            200, JSON, b"x" * size
        )
        wire = client()
        for _ in range(packets):
            wire.send(asked * (count // packets))
            time.sleep(0.002)
        wait_until(
            lambda: server.call(lambda: any(c.write_paused for c in server.server.connections))
        )
        time.sleep(0.1)
        unsent = server.call(lambda: sum(c.unsent for c in server.server.connections))
        assert 0 < unsent < 4 * size
        for _ in range(count):
            assert len(wire.read_message().body) == size


def test_large_requests_of_a_client_that_does_not_read_are_left_unread(new_loop: Any) -> None:
    body = b"x" * 200_000
    with serving(new_loop=new_loop) as (app, server, client):
        wire = client()
        packet = request("/native?n", body)
        for _ in range(100):
            try:
                wire.sock.settimeout(0.5)
                wire.send(packet)
            except TimeoutError:
                break
        assert len(app.seen) < 100
        (connection,) = server.call(lambda: tuple(server.server.connections))
        assert server.call(lambda: connection.unsent) < 2_000_000
        wire.sock.settimeout(10)
        for _ in range(len(app.seen)):
            assert wire.read_message().body == body


def test_a_client_that_takes_nothing_for_too_long_is_cut(new_loop: Any) -> None:
    with serving(limits=Limits(stalled_write_s=0.3), new_loop=new_loop) as (app, server, client):
        wire = client()
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.send(request("/held"))
        assert app.arrived.acquire(timeout=10)
        server.call(lambda: app.held[0].respond(200, JSON, b"x" * 20_000_000))
        wait_until(lambda: not server.call(lambda: server.server.connections))


def test_a_client_that_asked_to_close_and_takes_nothing_is_cut(new_loop: Any) -> None:
    with serving(limits=Limits(stalled_write_s=0.3), new_loop=new_loop) as (app, server, client):
        wire = client()
        wire.send(request("/held", headers="Connection: close\r\n"))
        assert app.arrived.acquire(timeout=10)
        server.call(lambda: app.held[0].respond(200, JSON, b"x" * 20_000_000))
        wait_until(lambda: not server.call(lambda: server.server.connections))


def test_a_client_that_stops_taking_while_its_connection_closes_is_cut() -> None:
    with serving(limits=Limits(stalled_write_s=5)) as (_, server, _):

        def run() -> str:
            transport, connection = FakeTransport(), ClientConnection(server.server)
            connection.connection_made(transport)
            connection.pause_writing()
            connection.close()
            connection.resume_writing()  # some was taken, and then no more
            connection.check(server.server.now + 6)
            connection.connection_lost(None)
            return transport.ended

        assert server.call(run) == "aborted"


def test_a_connection_that_was_slow_once_still_ends_when_idle(new_loop: Any) -> None:
    with serving(limits=Limits(idle_s=0.3), new_loop=new_loop) as (app, server, client):
        wire = client()
        wire.send(request("/held"))
        assert app.arrived.acquire(timeout=10)
        server.call(lambda: app.held[0].respond(200, JSON, b"x" * 5_000_000))
        assert len(wire.read_message().body) == 5_000_000
        assert wire.read_to_end() == b""


def test_a_handler_that_fails_is_500_and_the_connection_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving() as (app, _, client):
        app.native_routes["GET", "/broken"] = lambda exchange: exchange.no_such_thing  # type: ignore[attr-defined]
        wire = client()
        wire.send(request("/broken", method="GET"))
        assert wire.read_message().status == 500
        wire.send(request("/native"))
        assert wire.read_message().status == 200
        assert "/broken" in caplog.text


def test_request_ids_are_passed_on_or_made() -> None:
    with serving() as (_, _, client):
        wire = client()
        for path in ("/native", "/wsgi"):
            wire.send(request(path, headers="X-Request-ID: mine-1\r\n") + request(path) * 2)
            ids = [wire.read_message().get("x-request-id") for _ in range(3)]
            assert ids[0] == "mine-1"
            assert len({*ids, None}) == 4


def test_requests_of_one_length_are_not_taken_for_each_other() -> None:
    with serving() as (_, _, client):
        wire = client()
        for sent in ("mine-1", "mine-1", "mine-2", "mine-2", "mine-1"):
            wire.send(request("/native", headers=f"X-Request-ID: {sent}\r\n"))
            assert wire.read_message().get("x-request-id") == sent


def test_an_exchange_can_be_cancelled_by_somebody_else() -> None:
    with serving() as (app, server, client):
        wire = client()
        wire.send(request("/held"))
        assert app.arrived.acquire(timeout=10)
        server.call(app.held[0].cancel)
        answer = wire.read_message()
        assert (answer.status, answer.get("connection")) == (499, "close")
        assert app.gone.is_set()
        server.call(app.held[0].cancel)
        server.call(lambda: app.held[0].respond(200, JSON, b"too late"))
        assert wire.gone()


def test_tls_and_unix_sockets_are_listened_on(tmp_path: Path, new_loop: Any) -> None:
    server_tls, client_tls = contexts(tmp_path)
    with (
        RunningServer(App(), tls=server_tls, new_loop=new_loop) as server,
        connect(server.address, tls=client_tls) as wire,
    ):
        wire.send(request("/wsgi", b"tls" * 50_000) + request("/native", b"2"))
        assert wire.read_message().body == b"tls" * 50_000
        assert wire.read_message().body == b"2"
        scheme = server.call(lambda: next(iter(server.server.connections)).scheme)
        assert scheme == "https"
    path = tmp_path / "worker.sock"
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(path))
    with RunningServer(App(), sock=unix, new_loop=new_loop) as server, connect(str(path)) as wire:
        wire.send(request("/wsgi", b"unix"))
        assert wire.read_message().body == b"unix"
    assert path.exists()


def test_ipv6_is_listened_on(new_loop: Any) -> None:
    try:
        sock = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with RunningServer(App(), sock=sock, new_loop=new_loop) as server, connect(server.address) as c:
        c.send(request("/wsgi", b"six"))
        assert c.read_message().body == b"six"


def test_a_tls_handshake_that_does_not_come_is_cut(tmp_path: Path) -> None:
    server_tls, _ = contexts(tmp_path)
    limits = Limits(head_s=0.3)
    with (
        RunningServer(App(), tls=server_tls, limits=limits) as server,
        connect(server.address) as wire,
    ):
        assert wire.gone(5)
