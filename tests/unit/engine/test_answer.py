"""Bytes of answers: our own, heads of the model server, frames that tell of an error."""

from __future__ import annotations

import json

import pytest

from vast_pyworker.engine.answer import (
    error_frame,
    no_body,
    plain_answer,
    relayed_body,
    relayed_head,
    status_line,
)
from vast_pyworker.engine.framing import ChunkedBody, CloseBody, LengthBody, UnchunkedBody
from vast_pyworker.engine.head import RequestHead, parse_request_head
from vast_pyworker.engine.response_head import ResponseHead, parse_response_head

DATE = b"Date: now\r\n"


def asked(method: bytes = b"GET", version: bytes = b"1.1") -> RequestHead:
    return parse_request_head(method + b" / HTTP/" + version + b"\r\nHost: a\r\n\r\n")


def answered(headers: bytes = b"", status: bytes = b"200 OK") -> ResponseHead:
    return parse_response_head(b"HTTP/1.1 " + status + b"\r\n" + headers + b"\r\n")


def test_status_lines_have_their_phrase() -> None:
    assert status_line(404) == b"HTTP/1.1 404 Not Found\r\n"
    assert status_line(499) == b"HTTP/1.1 499 Client Closed Request\r\n"
    assert status_line(599) == b"HTTP/1.1 599 Unknown\r\n"


def test_a_plain_answer_has_a_length_and_says_when_it_closes() -> None:
    answer = plain_answer(asked(), 200, (("A", "b"),), b"body", date=DATE, close=False)
    assert answer == b"HTTP/1.1 200 OK\r\nA: b\r\nDate: now\r\nContent-Length: 4\r\n\r\nbody"
    closing = plain_answer(None, 400, (), b"x", date=b"", close=True)
    assert closing == (
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"
    )


def test_a_plain_answer_to_head_or_of_204_has_no_body() -> None:
    head = plain_answer(asked(b"HEAD"), 200, (), b"body", date=b"", close=False)
    assert head == b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
    empty = plain_answer(asked(), 204, (), b"body", date=b"", close=False)
    assert empty == b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "status", "expected"),
    [(b"GET", 200, False), (b"HEAD", 200, True), (b"GET", 204, True), (b"GET", 304, True)],
)
def test_who_has_no_body(method: bytes, status: int, expected: bool) -> None:
    assert no_body(asked(method), status) is expected


def test_a_relayed_head_has_the_hop_replaced_and_an_id_added() -> None:
    answer = answered(b"A: b\r\nConnection: close, A2\r\nA2: c\r\nTransfer-Encoding: chunked\r\n")
    head = relayed_head(answer, b"id", chunked=True, close=True)
    assert head == (
        b"HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
        b"X-Request-ID: id\r\n\r\n"
    )
    again = relayed_head(answer, b"other", chunked=False, close=False)
    assert again == b"HTTP/1.1 200 OK\r\nA: b\r\nX-Request-ID: other\r\n\r\n"


def test_an_id_of_the_model_server_is_kept() -> None:
    answer = answered(b"X-Request-ID: theirs\r\n")
    head = relayed_head(answer, b"ours", chunked=False, close=False)
    assert head == b"HTTP/1.1 200 OK\r\nX-Request-ID: theirs\r\n\r\n"


def test_a_body_is_framed_for_who_gets_it() -> None:
    chunks, length = answered(b"Transfer-Encoding: chunked\r\n"), answered(b"Content-Length: 3\r\n")
    old = asked(version=b"1.0")
    assert isinstance(relayed_body(asked(), chunks, "GET"), ChunkedBody)
    assert isinstance(relayed_body(old, chunks, "GET"), UnchunkedBody)
    assert isinstance(relayed_body(asked(), length, "GET"), LengthBody)
    for request, chunked in ((asked(), True), (old, False)):
        body = relayed_body(request, answered(), "GET")
        assert isinstance(body, CloseBody)
        assert (body.chunked, body.until_close) == (chunked, not chunked)
    head = relayed_body(asked(b"HEAD"), length, "HEAD")
    assert head.ended and not head.excess
    assert relayed_body(asked(b"HEAD"), length, "GET").excess


def test_server_sent_events_end_in_an_error_event_that_clients_raise() -> None:
    frame = error_frame(b"Text/Event-Stream; charset=utf-8", "It broke.")
    assert frame.startswith(b"\n\nevent: error\ndata: ") and frame.endswith(b"\n\n")
    data = json.loads(frame.split(b"data: ")[1])
    assert data["error"]["message"] == "It broke."


@pytest.mark.parametrize("kind", [b"application/x-ndjson", b"application/jsonl; charset=utf-8"])
def test_lines_of_json_end_in_an_error_line(kind: bytes) -> None:
    assert error_frame(kind, "It broke.") == b'\n{"error": "It broke."}\n'
    assert error_frame(kind, "It broke.", at_line_start=True) == b'{"error": "It broke."}\n'


@pytest.mark.parametrize("kind", [b"", b"text/plain", b"application/json", b"image/png"])
def test_other_kinds_have_no_place_for_an_error(kind: bytes) -> None:
    assert error_frame(kind, "It broke.") == b""
