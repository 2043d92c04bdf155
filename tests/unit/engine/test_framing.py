"""Where bodies end: chunks read strictly, and answers reframed for the client."""

from __future__ import annotations

import time

import pytest

from vast_pyworker.engine.framing import (
    LAST_CHUNK,
    Body,
    ChunkDecoder,
    ChunkedBody,
    CloseBody,
    LengthBody,
    UnchunkedBody,
    chunk,
    chunk_size,
)
from vast_pyworker.engine.limits import CHUNK_LINE_BYTES, TRAILER_BYTES
from vast_pyworker.errors import BadResponse


@pytest.mark.parametrize(
    ("line", "size"),
    [(b"0", 0), (b"a", 10), (b"FF", 255), (b"00a", 10), (b"5;x=y", 5), (b"5 \t;x", 5), (b"5;", 5)],
)
def test_chunk_sizes_are_hexadecimal_and_extensions_are_left_out(line: bytes, size: int) -> None:
    assert chunk_size(line) == size


@pytest.mark.parametrize(
    "line", [b"", b" 5", b"+5", b"-5", b"0x5", b"5 5", b"5_0", b"g", b";5", b"1" * 16, b"5\0"]
)
def test_other_chunk_sizes_are_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        chunk_size(line)


def test_chunks_are_decoded_with_extensions_and_trailers_dropped() -> None:
    decoder = ChunkDecoder()
    payload = decoder.feed(b'3;a="b"\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\nGET /')
    assert (payload, decoder.ended, decoder.excess) == (b"abcde", True, b"GET /")


def test_every_split_of_chunked_bytes_gives_the_same_payload() -> None:
    data = b"3;x\r\nabc\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\nrest"
    for at in range(len(data)):
        decoder = ChunkDecoder()
        payload = decoder.feed(data[:at])
        if decoder.ended:
            assert decoder.excess + data[at:] == b"rest"
            continue
        payload += decoder.feed(data[at:])
        assert (payload, decoder.ended, decoder.excess) == (b"abc0123456789", True, b"rest")


@pytest.mark.parametrize(
    "data",
    [
        b"3\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\r\nab\r\n0\r\n\r\n",
        b"3\r\nabc0\r\n\r\n",
        b"3\r\r\nabc\r\n",
        b"3;\rx\r\nabc\r\n",
        b"\r\n3\r\nabc\r\n",
        b"0\r\nX: y\n\r\n",
        b"3;" + b"x" * CHUNK_LINE_BYTES + b"\r\nabc\r\n",
        b"3;" + b"x" * CHUNK_LINE_BYTES * 2,
        b"0\r\n" + b"X: y\r\n" * TRAILER_BYTES,
    ],
)
def test_chunks_that_are_not_exact_are_refused_in_every_split(data: bytes) -> None:
    for step in (len(data), 1, 2, 7):
        decoder = ChunkDecoder()
        with pytest.raises(ValueError, match=r"chunk|trailers"):
            for at in range(0, len(data), step):
                decoder.feed(data[at : at + step])


def test_the_time_for_tiny_chunks_grows_with_the_bytes() -> None:
    data = b"1\r\na\r\n" * 100_000
    started = time.process_time()
    assert len(ChunkDecoder().feed(data)) == 100_000
    assert time.process_time() - started < 5  # quadratic copying took minutes


def test_whole_chunks_go_on_as_the_same_object() -> None:
    body = ChunkedBody()
    data = chunk(b"one") + chunk(b"two")
    assert body.feed(data) is data
    assert body.feed(chunk(b"x") + LAST_CHUNK) == chunk(b"x") + LAST_CHUNK
    assert body.ended and not body.excess


def test_chunks_in_parts_are_cut_anew_at_chunk_ends() -> None:
    body = ChunkedBody()
    out = [body.feed(piece) for piece in (b"5\r\nhe", b"l", b"lo\r", b"\n", b"0\r\n", b"\r\n")]
    assert out == [b"2\r\nhe\r\n", b"1\r\nl\r\n", b"2\r\nlo\r\n", b"", b"", LAST_CHUNK]
    assert body.ended


@pytest.mark.parametrize(
    "last", [b"0\r\n\r\n", b"00\r\n\r\n", b"000;x\r\n\r\n", b"0\r\nA: b\r\n\r\n"]
)
def test_every_form_of_the_last_chunk_ends_the_answer(last: bytes) -> None:
    body = ChunkedBody()
    assert body.feed(chunk(b"x") + last) == chunk(b"x") + LAST_CHUNK
    assert body.ended and not body.excess


def test_bytes_after_the_last_chunk_are_kept_from_the_client() -> None:
    body = ChunkedBody()
    assert body.feed(chunk(b"x") + LAST_CHUNK + b"HTTP/1.1 200") == chunk(b"x") + LAST_CHUNK
    assert body.ended and body.excess


@pytest.mark.parametrize("data", [b"3\nabc", b"x\r\n", b"3\r\nabcd\r\n"])
@pytest.mark.parametrize("kind", [ChunkedBody, UnchunkedBody])
def test_broken_chunks_of_a_model_server_are_its_fault(data: bytes, kind: type[Body]) -> None:
    with pytest.raises(BadResponse, match="chunks are broken"):
        kind().feed(data)


def test_chunks_are_taken_off_for_a_client_that_takes_none() -> None:
    body = UnchunkedBody()
    assert body.feed(chunk(b"one") + b"3\r\nt") == b"onet"
    assert body.feed(b"wo\r\n" + LAST_CHUNK) == b"wo"
    assert body.ended


def test_a_body_of_known_length_ends_there() -> None:
    body = LengthBody(5)
    assert body.feed(b"abc") == b"abc" and not body.ended
    assert body.feed(b"defgh") == b"de"
    assert body.ended and body.excess
    assert LengthBody(0).ended


def test_a_body_until_close_is_chunked_for_who_takes_chunks() -> None:
    chunked, plain = CloseBody(to_chunks=True), CloseBody(to_chunks=False)
    assert (chunked.feed(b"abc"), chunked.close()) == (chunk(b"abc"), LAST_CHUNK)
    assert (plain.feed(b"abc"), plain.close()) == (b"abc", b"")
    assert chunked.ended and plain.ended


@pytest.mark.parametrize("body", [LengthBody(5), ChunkedBody(), UnchunkedBody()])
def test_a_close_before_the_end_is_an_error(body: Body) -> None:
    with pytest.raises(BadResponse, match="in the middle"):
        body.close()
