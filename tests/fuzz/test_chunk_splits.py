"""Requests of a client, cut anywhere: the same answers in the same order, whatever the pieces."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vast_pyworker.engine import Exchange, HandlerThreads, Limits, Server
from vast_pyworker.engine.client import ClientConnection
from vast_pyworker.engine.fake_transport import FakeTransport
from vast_pyworker.engine.fakes import connect
from vast_pyworker.engine.running import RunningServer

EXAMPLES = settings(max_examples=600, derandomize=True, deadline=None)
ID = re.compile(rb"X-Request-ID: [^\r]*\r\n")
JSON = (("Content-Type", "application/json"),)

# One connection's worth of everything: lengths, chunks with all their trimmings, empty lines.
TRAIN = (
    b"GET /?1 HTTP/1.1\r\nHost: a\r\n\r\n"
    b"POST /?2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    b"\r\n"
    b"POST /?3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;x=y\r\nabc\r\n0002\r\nde\r\n0\r\nX-T: 1\r\n\r\n"
    b"HEAD /?4 HTTP/1.1\r\nHost: a\r\n\r\n"
    b"POST /?5 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    b"DELETE /?6 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    b"GET /?never HTTP/1.1\r\nHost: a\r\n\r\n"
)
METHODS = ("GET", "POST", "HEAD", "DELETE")


def respond(exchange: Exchange) -> None:
    exchange.respond(
        200, JSON, f"{exchange.head.method} {exchange.head.query} ".encode() + exchange.body
    )


class App:
    native_routes = {(method, "/"): respond for method in METHODS}  # noqa: RUF012

    def __call__(self, environ: object, start_response: object) -> list[bytes]:
        raise AssertionError("every path is native")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    loop = asyncio.new_event_loop()
    made = Server(App(), loop, HandlerThreads(1, 0), Limits(body_bytes=1000))  # type: ignore[arg-type]
    yield made
    loop.run_until_complete(made.close())
    loop.close()


def answers(server: Server, pieces: list[bytes]) -> tuple[bytes, str]:
    """What the connection says to ``pieces`` and how it ends."""
    transport = FakeTransport()
    connection = ClientConnection(server)
    connection.connection_made(transport)
    for piece in pieces:
        if transport.ended:
            break
        connection.data_received(piece)
    ended = transport.ended or ("refused" if transport.ended_writing else "open")
    connection.connection_lost(None)
    assert not server.connections
    return ID.sub(b"", transport.written), ended


def cut(data: bytes, places: list[int]) -> list[bytes]:
    inner = sorted({at % (len(data) + 1) for at in places} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(inner) if a < b]


def test_every_cut_in_two_and_every_step_gives_the_same_answers(server: Server) -> None:
    expected = answers(server, [TRAIN])
    assert expected[0].count(b"HTTP/1.1 200 OK") == 6
    assert expected[1] == "closed"
    for at in range(1, len(TRAIN)):
        assert answers(server, cut(TRAIN, [at])) == expected, at
    for step in range(1, 40):
        pieces = [TRAIN[at : at + step] for at in range(0, len(TRAIN), step)]
        assert answers(server, pieces) == expected, step


NOISE = st.sampled_from(
    [b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"0\r\n\r\n", b"GET / HTTP/1.1\r\n", b"5", b";"]
)


@EXAMPLES
@given(st.integers(0, 600), st.integers(0, 6), NOISE, st.lists(st.integers(0, 600), max_size=9))
def test_spoilt_requests_are_answered_alike_however_they_are_cut(
    server: Server, at: int, length: int, noise: bytes, places: list[int]
) -> None:
    spoilt = TRAIN[:at] + noise + TRAIN[at + length :]
    whole, pieces = answers(server, [spoilt]), answers(server, cut(spoilt, places))
    assert STATUS.findall(whole[0]) == STATUS.findall(pieces[0])
    assert whole[1] == pieces[1]


STATUS = re.compile(rb"HTTP/1\.1 (\d+)")


@EXAMPLES
@given(st.lists(st.binary(max_size=100), max_size=6))
def test_arbitrary_bytes_never_raise_and_leave_no_connection(
    server: Server, pieces: list[bytes]
) -> None:
    answers(server, pieces)
    answers(server, [TRAIN, *pieces])
    answers(server, [TRAIN[:150], *pieces])


def test_arbitrary_bytes_on_real_sockets_leave_the_server_well() -> None:
    source = random.Random(7)
    with RunningServer(App(), limits=Limits(head_s=0.2, body_idle_s=0.2)) as running:  # type: ignore[arg-type]
        for _ in range(150):
            with connect(running.address) as wire:
                start = source.choice([b"", TRAIN[: source.randrange(len(TRAIN))]])
                wire.send(start + source.randbytes(source.randrange(300)))
                if source.random() < 0.3:
                    wire.reset()
        with connect(running.address) as wire:
            wire.send(b"GET /?well HTTP/1.1\r\nHost: a\r\n\r\n")
            assert wire.read_message().body == b"GET well "
        until = time.monotonic() + 10
        while running.call(lambda: running.server.connections):
            assert time.monotonic() < until
            time.sleep(0.02)
