"""Heads against arbitrary bytes: a checked value that reads the same everywhere, or a refusal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from vast_pyworker.engine import Origin, RelayPlan
from vast_pyworker.engine.answer import relayed_head
from vast_pyworker.engine.environ import environ_of
from vast_pyworker.engine.head import (
    RequestHead,
    _read_head,
    check_unfinished_head,
    parse_request_head,
)
from vast_pyworker.engine.response_head import _read_head as _read_response_head
from vast_pyworker.engine.response_head import parse_response_head
from vast_pyworker.errors import BadRequest, BadResponse

EXAMPLES = settings(max_examples=1000, derandomize=True, deadline=None)
TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")

# The building blocks of smuggling: put together in any order, most are refused, some are good.
PIECES = [
    b"GET", b"POST", b" ", b"/", b"/a?b=c", b" HTTP/1.1", b"HTTP/1.0", b"\r\n", b"\n", b"\r", b"\t",
    b"Host: a", b"Content-Length: 5", b"Content-Length: 6", b"Content-Length", b":", b"5", b"+5",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"chunked", b",", b"\0", b"\x0b",
    b"Connection: close", b"Connection: Upgrade", b"Upgrade: websocket", b"Expect: 100-continue",
    b"X: y", b"\xff", b"http://b/c", b"*", b"#", b"a" * 300,
]  # fmt: skip
GOOD = b"POST /a?b HTTP/1.1\r\nHost: a\r\nX-A: b\r\nContent-Length: 5\r\nConnection: x\r\n\r\n"


def in_pieces(good: bytes) -> st.SearchStrategy[bytes]:
    """Pieces at random, and a good head with a piece put in or some bytes cut out."""

    def mutate(at: int, length: int, piece: bytes) -> bytes:
        at %= len(good)
        return good[:at] + piece + good[at + length :]

    mutated = st.builds(
        mutate, st.integers(0, 10_000), st.integers(0, 12), st.sampled_from([*PIECES, b""])
    )
    soup = st.lists(st.sampled_from(PIECES), max_size=25).map(b"".join)
    return st.one_of(mutated, soup, st.binary(max_size=200))


def whole(data: bytes) -> bytes:
    """``data`` up to its first empty line, or with one."""
    data += b"\r\n\r\n"
    return data[: data.find(b"\r\n\r\n") + 4]


def outcome(parse: Callable[[bytes], object], data: bytes) -> object:
    try:
        return parse(data)
    except (BadRequest, BadResponse) as exc:
        assert str(exc).endswith(".")
        return None


def by_name(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Sorted by name alone: only the order of headers of one name has a meaning."""
    return sorted(headers, key=lambda header: header[0].lower())


def read_plainly(data: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """What the simplest reader of RFC 9112 sees."""
    line, *lines = data[:-4].split(b"\r\n")
    return line, [(n, v.strip(b" \t")) for n, _, v in (x.partition(b":") for x in lines)]


@EXAMPLES
@given(in_pieces(GOOD).map(whole))
def test_a_head_that_is_taken_reads_the_same_to_the_simplest_reader(data: bytes) -> None:
    head = outcome(parse_request_head, data)
    if head is None:
        return
    assert isinstance(head, RequestHead)
    line, headers = read_plainly(data)
    method, target, version = line.split(b" ")
    assert (head.method.encode(), version) == (method, b"HTTP/1.%d" % head.minor)
    assert target.endswith(head.target.encode("latin-1").partition(b"#")[0]) or b"#" in target
    assert by_name(head.headers) == by_name(headers)
    names = [name.lower() for name, _ in headers]
    assert all(TOKEN.match(name) for name in names)
    assert names.count(b"content-length") + names.count(b"transfer-encoding") <= 1
    assert names.count(b"host") == 1 or head.minor == 0
    assert not re.search(rb"[\0\x0b]|[^\r]\n|\r[^\n]|\n[ \t]", data)


@EXAMPLES
@given(in_pieces(GOOD).map(whole))
def test_the_beginning_of_a_good_head_is_never_refused(data: bytes) -> None:
    if outcome(parse_request_head, data) is None:
        return
    for at in range(len(data)):
        check_unfinished_head(data[:at])


@EXAMPLES
@given(in_pieces(GOOD.replace(b"POST /a?b HTTP/1.1", b"HTTP/1.1 200 OK")).map(whole))
def test_a_head_of_an_answer_is_taken_or_refused_as_such(data: bytes) -> None:
    head = outcome(parse_response_head, data)
    if head is not None:
        line, headers = read_plainly(data)
        assert line.startswith(b"HTTP/1.%d " % head.minor)  # type: ignore[attr-defined]
        assert by_name(head.headers) == by_name(headers)  # type: ignore[attr-defined]


# What is read apart from the rest of a head, in every case and place, alone and together.
VARYING = [
    b"Content-Length: 5", b"content-length:7", b"Content-Length:  5", b"Content-Length: +5",
    b"X-Request-ID: one", b"x-request-id: two words", b"X-Request-ID:", b"Date: Mon, 1 Jan 2024",
    b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b"tracestate: a=b",
]  # fmt: skip
COMMON = [
    b"Host: a", b"X-A: b", b"Connection: close", b"Connection: keep-alive, X-Request-ID",
    b"Connection: upgrade", b"Upgrade: websocket", b"Transfer-Encoding: chunked", b" folded",
    b"Expect: 100-continue",
]  # fmt: skip
ORIGIN = Origin("http://model:1")
SHARED = RelayPlan(ORIGIN, "/m", headers=((b"X-A", b"set"),))


def heads(first: list[bytes]) -> st.SearchStrategy[bytes]:
    lines = st.lists(st.sampled_from([*VARYING, *COMMON, b"Host: a"]), max_size=6)
    return st.builds(
        lambda a, b: b"\r\n".join([a, b"Host: a", *b, b"", b""]), st.sampled_from(first), lines
    )


def read_fresh(read: Any, data: bytes) -> Any:
    return outcome(read.__wrapped__, data)


def said(head: RequestHead) -> dict[str, object]:
    names = set(RequestHead.__slots__) - {"headers", "memo", "varying"}
    return {name: getattr(head, name) for name in names} | {"headers": sorted(head.headers)}


def environment(head: RequestHead) -> dict[str, Any]:
    exchange: Any = SimpleNamespace(
        head=head, body_file=b"", scheme="http", peer="p", peer_port=1, request_id=b"i"
    )
    environ = environ_of(exchange)
    return {
        name: value
        for name, value in environ.items()
        if name[:5] != "wsgi." and value is not exchange
    }


@EXAMPLES
@given(heads([b"GET / HTTP/1.1", b"POST /?q HTTP/1.1", b"GET / HTTP/1.0", b"\r\nGET / HTTP/1.1"]))
def test_a_head_read_in_part_is_as_one_read_whole(data: bytes) -> None:
    head, fresh = outcome(parse_request_head, data), read_fresh(_read_head, data)
    assert (head is None) == (fresh is None)
    if not isinstance(head, RequestHead):
        return
    assert said(head) == said(fresh)
    assert environment(head) == environment(fresh)
    apart = RelayPlan(ORIGIN, "/m", headers=((b"X-A", b"set"),), shared=False)
    rendered = SHARED.render(head, b"x", b"i"), apart.render(fresh, b"x", b"i")
    assert sorted(rendered[0].split(b"\r\n")) == sorted(rendered[1].split(b"\r\n"))


@EXAMPLES
@given(heads([b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 304 Not Modified"]))
def test_a_head_of_an_answer_read_in_part_is_as_one_read_whole(data: bytes) -> None:
    head: Any = outcome(parse_response_head, data)
    fresh = read_fresh(_read_response_head, data)
    assert (head is None) == (fresh is None)
    if head is None:
        return
    for name in ("status", "fields", "content_length", "chunked", "keep_alive", "whole"):
        assert getattr(head, name) == getattr(fresh, name), name
    relayed = [relayed_head(each, b"i", chunked=False, close=False) for each in (head, fresh)]
    assert sorted(relayed[0].split(b"\r\n")) == sorted(relayed[1].split(b"\r\n"))
