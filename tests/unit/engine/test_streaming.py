"""The common piece of a stream goes on at once; everything else is the relaying's."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vast_pyworker.engine.fake_transport import FakeTransport
from vast_pyworker.engine.framing import LAST_CHUNK, ChunkedBody, chunk
from vast_pyworker.engine.streaming import ChunkStream
from vast_pyworker.errors import BadResponse

WHOLE = chunk(b"data: 1\n\n")


class Rest:
    """Does with a body what a relaying does, and keeps what it was left with.

    The connection too that the answer comes over.
    """

    def __init__(self, body: ChunkedBody) -> None:
        self.body = body
        self.transport = FakeTransport()
        self.fed: list[bytes] = []
        self.told: list[Any] = []
        self.written: list[bytes] = []

    def feed(self, data: bytes) -> None:
        self.fed.append(data)
        out = self.body.feed(data)
        if out:
            self.written.append(out)

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(exc)

    def eof_received(self) -> None:
        self.told.append("end")

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


def streaming(*, tail: deque[bytes] | None = None) -> tuple[ChunkStream, Rest]:
    """A stream whose size of chunk has been seen before."""
    ChunkedBody().feed(WHOLE)
    rest = Rest(ChunkedBody())
    made: Any = ChunkStream
    return made(rest, rest, rest.body, rest.written.append, tail), rest


def test_a_whole_chunk_of_a_known_size_goes_on_as_it_is() -> None:
    tail: deque[bytes] = deque()
    stream, rest = streaming(tail=tail)
    stream.data_received(WHOLE)
    stream.data_received(chunk(b"data: 2\n\n"))
    assert rest.fed == []
    assert rest.written == [WHOLE, chunk(b"data: 2\n\n")] == list(tail)
    assert rest.body.sent == 2 * len(WHOLE)
    assert rest.body.latest == chunk(b"data: 2\n\n")


@pytest.mark.parametrize(
    "piece",
    [
        WHOLE[:3],
        WHOLE + WHOLE,
        LAST_CHUNK,
        b"009\r\nabcdefg\r\n",  # as long as the known one, but it says that there is more to come
    ],
)
def test_anything_else_is_left_to_the_relaying(piece: bytes) -> None:
    stream, rest = streaming()
    stream.data_received(piece)
    assert rest.fed == [piece]


@pytest.mark.parametrize(
    "piece", [WHOLE[:-2] + b"XX", WHOLE[:-1] + b"X", b"x" + WHOLE[1:], b"8" + WHOLE[1:]]
)
def test_a_chunk_that_lies_about_its_size_is_refused(piece: bytes) -> None:
    stream, _ = streaming()
    with pytest.raises(BadResponse):
        stream.data_received(piece)


def test_what_looks_like_a_chunk_within_a_chunk_is_payload() -> None:
    stream, rest = streaming()
    payload = b"before" + WHOLE + b"after"
    framed = chunk(payload)
    at = framed.index(WHOLE)
    for piece in (framed[:at], WHOLE, framed[at + len(WHOLE) :], LAST_CHUNK):
        stream.data_received(piece)
    assert rest.written == [chunk(b"before"), chunk(WHOLE), chunk(b"after"), LAST_CHUNK]


@given(
    payloads=st.lists(st.sampled_from((b"data: 1\n\n", b"data: 2\n\n", b"x", WHOLE)), max_size=8),
    cuts=st.lists(st.integers(0, 120), max_size=12),
)
def test_wherever_it_is_cut_the_client_gets_the_same(
    payloads: list[bytes], cuts: list[int]
) -> None:
    stream, rest = streaming()
    framed = b"".join(map(chunk, payloads)) + LAST_CHUNK
    ends = sorted({min(cut, len(framed)) for cut in cuts} | {len(framed)})
    for begin, end in zip([0, *ends], ends, strict=False):
        if end > begin:
            stream.data_received(framed[begin:end])
    whole = ChunkedBody()
    assert _payload(b"".join(rest.written)) == _payload(whole.feed(framed)) == b"".join(payloads)
    assert rest.body.ended and not rest.body.excess


def _payload(framed: bytes) -> bytes:
    out = b""
    while framed != LAST_CHUNK:
        line, _, rest = framed.partition(b"\r\n")
        size = int(line, 16)
        assert size and rest[size : size + 2] == b"\r\n"
        out, framed = out + rest[:size], rest[size + 2 :]
    return out


def test_the_end_and_the_waits_are_the_connections() -> None:
    stream, rest = streaming()
    stream.pause_writing()
    stream.resume_writing()
    stream.eof_received()
    stream.connection_lost(None)
    assert rest.told == ["pause", "resume", "end", None]


def test_after_its_last_chunk_the_connection_has_its_place_again() -> None:
    stream, rest = streaming()
    stream.data_received(WHOLE)
    assert rest.transport.get_protocol() is stream
    stream.data_received(LAST_CHUNK)
    assert rest.transport.get_protocol() is rest
