"""Answers of a model server, cut anywhere: the client gets the same, whatever the pieces."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vast_pyworker.engine import HandlerThreads, Origin, RelayEnd, RelayPlan, Server
from vast_pyworker.engine.client import ClientConnection
from vast_pyworker.engine.fake_transport import FakeTransport
from vast_pyworker.engine.framing import ChunkDecoder, ChunkedBody, UnchunkedBody, chunk
from vast_pyworker.engine.upstream import UpstreamConnection
from vast_pyworker.errors import BadResponse

EXAMPLES = settings(max_examples=600, derandomize=True, deadline=None)
PAYLOADS = st.lists(st.binary(min_size=1, max_size=40), max_size=8)
CUTS = st.lists(st.integers(0, 2000), max_size=12)
NOISE = st.sampled_from(
    [b"\r\n", b"\n", b"0", b"00", b";x=y", b"g", b"-1", b"\r", b" ", b"0\r\n\r\n", b"5\r\n", b"\0"]
)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({at % (len(data) + 1) for at in cuts} | {0, len(data)})
    pieces = [data[a:b] for a, b in pairwise(places)]
    return [piece for piece in pieces if piece]


def chunked(payloads: list[bytes], extension: bytes = b"", trailer: bytes = b"") -> bytes:
    chunks = [b"%x%b\r\n%b\r\n" % (len(p), extension, p) for p in payloads]
    return b"".join(chunks) + b"0\r\n" + trailer + b"\r\n"


@EXAMPLES
@given(
    PAYLOADS,
    CUTS,
    st.sampled_from([b"", b";a=b", b" ;x"]),
    st.sampled_from([b"", b"X-Sum: 1\r\n"]),
    st.sampled_from([b"", b"HTTP/1.1 200"]),
)
def test_any_cut_of_good_chunks_is_the_same_payload(
    payloads: list[bytes], cuts: list[int], extension: bytes, trailer: bytes, excess: bytes
) -> None:
    data = chunked(payloads, extension, trailer) + excess
    expected = b"".join(payloads)
    for body in (ChunkedBody(), UnchunkedBody()):
        out, fed = b"", 0
        for piece in cut(data, cuts):
            if body.ended:
                break
            out += body.feed(piece)
            fed += len(piece)
        assert body.ended
        assert body.excess == (fed > len(data) - len(excess))
        if body.chunked:
            decoder = ChunkDecoder()
            out = decoder.feed(out)
            assert decoder.ended and not decoder.excess
        assert out == expected


@EXAMPLES
@given(PAYLOADS, CUTS, st.integers(0, 2000), st.integers(0, 4), NOISE)
def test_any_cut_of_spoilt_chunks_has_the_same_end(
    payloads: list[bytes], cuts: list[int], at: int, length: int, noise: bytes
) -> None:
    data = chunked(payloads)
    at %= len(data)
    data = data[:at] + noise + data[at + length :]

    def run(pieces: list[bytes]) -> tuple[str, bytes]:
        decoder, out = ChunkDecoder(), b""
        try:
            for piece in pieces:
                out += decoder.feed(piece)
                if decoder.ended:
                    return "ended", out
        except ValueError:
            return "refused", b""
        return "open", out

    assert run(cut(data, cuts)) == run([data[i : i + 1] for i in range(len(data))])


class Watcher:
    """A RelayObserver that keeps the end."""

    end: RelayEnd | None = None

    def on_head(self, status: int) -> None: ...

    def on_progress(self) -> None: ...

    def on_end(self, end: RelayEnd) -> None:
        assert self.end is None
        self.end = end


class Rig:
    """A client connection and a model server's, both without sockets, with a relay between."""

    def __init__(self, server: Server, plan: RelayPlan) -> None:
        self.seen = Watcher()
        self.client, self.upstream = FakeTransport(), FakeTransport()
        pool = server.pools[plan.origin]
        self.connection = UpstreamConnection(pool)
        self.upstream.set_protocol(self.connection)
        self.connection.connection_made(self.upstream)
        pool.idle.append(self.connection)
        server.native = {
            ("GET", "/"): lambda exchange: exchange.relay(plan, b"", self.seen),
        }
        self.protocol = ClientConnection(server)
        self.protocol.connection_made(self.client)

    def run(self, version: bytes, pieces: list[bytes], *, closes: bool) -> bytes:
        """What the client gets; the model server sends ``pieces`` and may close."""
        self.protocol.data_received(
            b"GET / HTTP/" + version + b"\r\nHost: a\r\nX-Request-ID: i\r\n\r\n"
        )
        for piece in pieces:
            if not self.upstream.ended:
                self.upstream.get_protocol().data_received(piece)
        if closes or self.upstream.ended:
            self.upstream.get_protocol().connection_lost(None)
        self.protocol.connection_lost(None)
        return self.client.written


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Server, RelayPlan]]:
    loop = asyncio.new_event_loop()
    made = Server(lambda environ, start: [], loop, HandlerThreads(1, 1))
    yield made, RelayPlan(Origin("http://127.0.0.1:1"), "/", method="GET")
    loop.run_until_complete(made.close())
    loop.close()


def reading(sent: bytes) -> tuple[bytes, bytes, bool]:
    """Head, payload and whether it is whole, as a client sees them."""
    head, _, body = sent.partition(b"\r\n\r\n")
    if b"Transfer-Encoding: chunked" in head:
        decoder = ChunkDecoder()
        return head, decoder.feed(body), decoder.ended
    return head, body, True


@contextmanager
def a_rig(server: tuple[Server, RelayPlan]) -> Iterator[Rig]:
    rig = Rig(*server)
    yield rig
    assert not server[0].connections
    assert rig.seen.end is not None
    idle = server[0].pools[server[1].origin].idle
    assert all(kept.transport.get_protocol() is kept for kept in idle)
    idle.clear()


HEADS = st.sampled_from(
    [b"Content-Type: text/event-stream\r\n", b"X-A: b\r\n", b"Connection: close\r\n"]
)


@EXAMPLES
@given(st.data())
def test_any_cut_of_an_answer_reaches_the_client_alike(
    server: tuple[Server, RelayPlan], data: st.DataObject
) -> None:
    payloads = data.draw(PAYLOADS)
    body = b"".join(payloads)
    framing, sent = data.draw(
        st.sampled_from(
            [
                (b"Transfer-Encoding: chunked\r\n\r\n", chunked(payloads)),
                (b"Transfer-Encoding: chunked\r\n\r\n", chunked(payloads, b";x", b"T: 1\r\n")),
                (b"Content-Length: %d\r\n\r\n" % len(body), body),
                (b"\r\n", body),
            ]
        )
    )
    interim = data.draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    answer = interim + b"HTTP/1.1 200 OK\r\n" + data.draw(HEADS) + framing + sent
    version = data.draw(st.sampled_from([b"1.1", b"1.0"]))
    results = []
    for cuts in ([], data.draw(CUTS)):
        with a_rig(server) as rig:
            got = rig.run(version, cut(answer, cuts), closes=True)
            results.append(reading(got))
            assert rig.seen.end is not None and rig.seen.end.outcome == "finished"
    assert results[0] == results[1]
    assert results[0][1:] == (body, True)


@EXAMPLES
@given(st.binary(max_size=120), CUTS, st.booleans(), st.booleans())
def test_whatever_a_model_server_sends_the_relay_ends_once(
    server: tuple[Server, RelayPlan], noise: bytes, cuts: list[int], good_head: bool, closes: bool
) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" if good_head else b""
    with a_rig(server) as rig:
        rig.run(b"1.1", cut(head + noise, cuts), closes=closes)


def test_chunks_of_a_broken_answer_that_came_with_its_head_do_not_precede_the_head(
    server: Any,
) -> None:
    with a_rig(server) as rig:
        bad = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"a") + b"x\r\n"
        got = rig.run(b"1.1", [bad], closes=True)
    assert got.startswith(b"HTTP/1.1 502 ")


def test_errors_of_bodies_are_bad_responses_only() -> None:
    for data in (b"zz\r\n", b"1\r\nab\r\n", b"\r\n"):
        with pytest.raises(BadResponse):
            ChunkedBody().feed(data)
