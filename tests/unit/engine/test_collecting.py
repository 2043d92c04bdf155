"""Request bodies while they arrive: limits, chunks, memory and disk."""

from __future__ import annotations

import pytest

from vast_pyworker.engine.collecting import BodyCollector
from vast_pyworker.engine.head import RequestHead, parse_request_head
from vast_pyworker.engine.limits import MEMORY_BODY_BYTES
from vast_pyworker.errors import BadRequest


def head(framing: bytes) -> RequestHead:
    return parse_request_head(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n")


CHUNKED = head(b"Transfer-Encoding: chunked")


def content(collector: BodyCollector) -> bytes:
    body = collector.body()
    if isinstance(body, bytes):
        return body
    with body:
        return body.read()


def test_a_body_of_known_length_is_complete_with_its_last_byte() -> None:
    collector = BodyCollector(head(b"Content-Length: 5"), 10)
    collector.feed(b"abc")
    assert not collector.complete
    collector.feed(b"deNEXT")
    assert collector.complete and collector.excess == b"NEXT"
    assert content(collector) == b"abcde"


def test_a_chunked_body_is_complete_with_its_last_chunk() -> None:
    collector = BodyCollector(CHUNKED, 10)
    collector.feed(b"3\r\nabc\r\n")
    assert not collector.complete
    collector.feed(b"2\r\nde\r\n0\r\n\r\nNEXT")
    assert collector.complete and collector.excess == b"NEXT"
    assert content(collector) == b"abcde"


def test_an_announced_length_over_the_limit_is_refused_before_a_byte() -> None:
    with pytest.raises(BadRequest) as caught:
        BodyCollector(head(b"Content-Length: 11"), 10)
    assert caught.value.status == 413


def test_a_body_may_be_as_large_as_the_limit_and_no_larger() -> None:
    collector = BodyCollector(CHUNKED, 10)
    collector.feed(b"a\r\n0123456789\r\n")
    with pytest.raises(BadRequest) as caught:
        collector.feed(b"1\r\nx\r\n")
    assert caught.value.status == 413
    collector.discard()


def test_broken_chunks_are_the_clients_fault() -> None:
    collector = BodyCollector(CHUNKED, 10)
    with pytest.raises(BadRequest) as caught:
        collector.feed(b"0x5\r\nabcde\r\n")
    assert caught.value.status == 400
    collector.discard()


def test_a_large_body_is_on_disk_and_a_small_one_in_memory() -> None:
    size = MEMORY_BODY_BYTES + 1
    large = BodyCollector(head(b"Content-Length: %d" % size), size)
    large.feed(b"x" * size)
    body = large.body()
    assert not isinstance(body, bytes)
    with body:
        assert len(body.read()) == size
    small = BodyCollector(head(b"Content-Length: 1"), size)
    small.feed(b"x")
    assert small.body() == b"x"
    assert small.file.closed
