"""Request and response heads: what is read, and every way in which two servers could disagree."""

from __future__ import annotations

import pytest

from vast_pyworker.engine.head import check_unfinished_head, parse_request_head
from vast_pyworker.engine.limits import HEAD_BYTES, HEADER_COUNT, REQUEST_LINE_BYTES
from vast_pyworker.engine.response_head import parse_response_head
from vast_pyworker.errors import BadRequest, BadResponse

HOST = b"Host: worker:3000\r\n"


def request(headers: bytes = b"", line: bytes = b"GET / HTTP/1.1", host: bytes = HOST) -> bytes:
    return line + b"\r\n" + host + headers + b"\r\n"


def refusal_of(data: bytes) -> int:
    with pytest.raises(BadRequest) as caught:
        parse_request_head(data)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message
    return caught.value.status


def test_a_head_is_read_with_names_as_sent_and_fields_in_lower_case() -> None:
    head = parse_request_head(
        request(b"X-A: 1\r\nx-a:  2 \r\nX-Empty:\r\n", b"POST /a%20b?c=d&e HTTP/1.1")
    )
    assert (head.method, head.target, head.path, head.query) == (
        "POST",
        "/a%20b?c=d&e",
        "/a%20b",
        "c=d&e",
    )
    assert head.decoded_path == "/a b"
    assert head.headers[1:] == ((b"X-A", b"1"), (b"x-a", b"2"), (b"X-Empty", b""))
    assert head.get(b"x-a") == b"1,2"
    assert head.get(b"x-empty") == b""
    assert head.get(b"absent") is None


@pytest.mark.parametrize(
    ("line", "target"),
    [
        (b"GET http://other:80/a?b HTTP/1.1", "/a?b"),
        (b"GET HTTP://other HTTP/1.1", "/"),
        (b"GET http://other?a=/b HTTP/1.1", "/?a=/b"),
        (b"GET /a#part HTTP/1.1", "/a"),
        (b"OPTIONS * HTTP/1.1", "*"),
    ],
)
def test_targets_become_origin_form(line: bytes, target: str) -> None:
    assert parse_request_head(request(line=line)).target == target


@pytest.mark.parametrize(
    ("headers", "length", "chunked"),
    [
        (b"", None, False),
        (b"Content-Length: 0\r\n", 0, False),
        (b"Content-Length: \t12 \t\r\n", 12, False),
        (b"Transfer-Encoding: Chunked\r\n", None, True),
    ],
)
def test_framing_is_one_length_or_chunks(headers: bytes, length: int | None, chunked: bool) -> None:
    head = parse_request_head(request(headers, b"POST / HTTP/1.1"))
    assert (head.content_length, head.chunked) == (length, chunked)


@pytest.mark.parametrize(
    "value",
    [
        b"+5",
        b"-5",
        b"0x5",
        b"5 5",
        b"5, 5",
        b"5,5",
        b"5.0",
        b"",
        b" ",
        b"five",
        b"1" * 19,
        b"5\x0b",
    ],
)
def test_lengths_that_are_not_plain_digits_are_refused(value: bytes) -> None:
    assert refusal_of(request(b"Content-Length: " + value + b"\r\n", b"POST / HTTP/1.1")) == 400


@pytest.mark.parametrize("second", [b"5", b"6"])
def test_a_second_content_length_is_refused_even_if_equal(second: bytes) -> None:
    headers = b"Content-Length: 5\r\nContent-Length: " + second + b"\r\n"
    assert refusal_of(request(headers, b"POST / HTTP/1.1")) == 400


@pytest.mark.parametrize("coding", [b"chunked", b"identity", b"gzip, chunked"])
def test_a_length_beside_a_transfer_coding_is_refused_in_either_order(coding: bytes) -> None:
    both = (b"Content-Length: 5\r\n", b"Transfer-Encoding: " + coding + b"\r\n")
    for headers in (both[0] + both[1], both[1] + both[0]):
        assert refusal_of(request(headers, b"POST / HTTP/1.1")) == 400


@pytest.mark.parametrize("coding", [b"gzip", b"identity", b"gzip, chunked", b"xchunked,br", b"br"])
def test_other_transfer_codings_are_not_implemented(coding: bytes) -> None:
    headers = b"Transfer-Encoding: " + coding + b"\r\n"
    assert refusal_of(request(headers, b"POST / HTTP/1.1")) in (400, 501)
    if b"chunked" not in coding:
        assert refusal_of(request(headers, b"POST / HTTP/1.1")) == 501


@pytest.mark.parametrize(
    "headers",
    [
        b"Transfer-Encoding: chunked, gzip\r\n",
        b"Transfer-Encoding: chunked, chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b'Transfer-Encoding: "chunked"\r\n',
        b"Transfer-Encoding:\r\n chunked\r\n",
    ],
)
def test_transfer_codings_that_could_be_read_in_two_ways_are_refused(headers: bytes) -> None:
    assert refusal_of(request(headers, b"POST / HTTP/1.1")) in (400, 501)


def test_chunks_need_http_1_1() -> None:
    headers = b"Transfer-Encoding: chunked\r\n"
    assert refusal_of(request(headers, b"POST / HTTP/1.0")) == 400


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    ],
)
def test_bare_line_ends_nul_and_folding_are_refused(data: bytes) -> None:
    assert refusal_of(data) == 400


@pytest.mark.parametrize(
    "headers",
    [
        b"X-A : b\r\n",
        b"X\tA: b\r\n",
        b": b\r\n",
        b"noseparator\r\n",
        b"X(A): b\r\n",
        b"X\xe9: b\r\n",
        b"X-A: b\x01\r\n",
        b"X-A: b\x7f\r\n",
    ],
)
def test_invalid_header_names_and_values_are_refused(headers: bytes) -> None:
    assert refusal_of(request(headers)) == 400


def test_bytes_above_ascii_in_a_value_are_kept() -> None:
    assert parse_request_head(request(b"X-A: caf\xe9\r\n")).get(b"x-a") == b"caf\xe9"


@pytest.mark.parametrize(
    "line",
    [
        b"GET  / HTTP/1.1",
        b"GET /  HTTP/1.1",
        b"GET\t/ HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b"get / HTTP/1.1",
        b"FROBNICATE / HTTP/1.1",
        b"GET / RTSP/1.0",
        b"GET / HTTP/1.2",
        b"GET / HTTP/3.0",
        b"GET / HTTP/1.1x",
        b"GET no-slash HTTP/1.1",
        b"GET * HTTP/1.1",
        b"GET ftp://a/b HTTP/1.1",
        b"GET /\xc3\xa9 HTTP/1.1",
        b"GET /\x01 HTTP/1.1",
        b"\x16\x03\x01\x02\x00\x01",
    ],
)
def test_request_lines_that_are_not_http_1_are_refused(line: bytes) -> None:
    assert refusal_of(request(line=line)) == 400


@pytest.mark.parametrize(
    "data", [b"PRI * HTTP/2.0\r\n\r\n", request(line=b"GET / HTTP/2.0"), b"GET /\r\n\r\n"]
)
def test_http_2_and_0_9_are_told_the_version_spoken_here(data: bytes) -> None:
    assert refusal_of(data) == 505


def test_connect_is_not_served() -> None:
    assert refusal_of(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n") == 405


def test_a_host_is_needed_once() -> None:
    assert refusal_of(request(host=b"")) == 400
    assert refusal_of(request(host=HOST + HOST)) == 400
    assert refusal_of(request(line=b"GET / HTTP/1.0", host=HOST + HOST)) == 400
    assert parse_request_head(request(line=b"GET / HTTP/1.0", host=b"")).minor == 0


@pytest.mark.parametrize("host", [b"a b", b"a/b", b"a@b", b"a,b", b"a?b", b"a\\b", b"a#b"])
def test_hosts_that_are_no_name_are_refused(host: bytes) -> None:
    assert refusal_of(request(host=b"Host: " + host + b"\r\n")) == 400


@pytest.mark.parametrize("host", [b"", b"a_b.c-d:80", b"[::1]:80", b"[fe80::1%25eth0]", b"1.2.3.4"])
def test_names_addresses_and_an_empty_host_are_taken(host: bytes) -> None:
    assert parse_request_head(request(host=b"Host: " + host + b"\r\n")).get(b"host") == host


@pytest.mark.parametrize(
    ("line", "headers", "keeps"),
    [
        (b"GET / HTTP/1.1", b"", True),
        (b"GET / HTTP/1.1", b"Connection: keep-alive\r\n", True),
        (b"GET / HTTP/1.1", b"Connection: close\r\n", False),
        (b"GET / HTTP/1.1", b"Connection: x, CLOSE\r\n", False),
        (b"GET / HTTP/1.1", b"Connection: close\r\nConnection: keep-alive\r\n", False),
        (b"GET / HTTP/1.0", b"", False),
        (b"GET / HTTP/1.0", b"Connection: keep-alive\r\n", False),
    ],
)
def test_who_keeps_the_connection(line: bytes, headers: bytes, keeps: bool) -> None:
    assert parse_request_head(request(headers, line)).closes is not keeps


def test_the_only_expectation_is_100_continue() -> None:
    expected = b"Expect: 100-Continue\r\nContent-Length: 1\r\n"
    assert parse_request_head(request(expected, b"POST / HTTP/1.1")).expects_continue
    assert not parse_request_head(request(expected, b"POST / HTTP/1.0")).expects_continue
    assert refusal_of(request(b"Expect: miracles\r\n")) == 417


@pytest.mark.parametrize(
    ("line", "headers", "upgrade"),
    [
        (b"GET / HTTP/1.1", b"Connection: Upgrade\r\nUpgrade: WebSocket\r\n", b"websocket"),
        (
            b"GET / HTTP/1.1",
            b"Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\n",
            b"websocket",
        ),
        (b"GET / HTTP/1.1", b"Upgrade: websocket\r\n", None),
        (b"GET / HTTP/1.1", b"Connection: upgrade\r\n", None),
        (b"GET / HTTP/1.1", b"Connection: Upgrade\r\nUpgrade: h2c\r\n", None),
        (b"GET / HTTP/1.1", b"Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n", None),
        (b"GET / HTTP/1.0", b"Connection: Upgrade\r\nUpgrade: websocket\r\n", None),
        (
            b"POST / HTTP/1.1",
            b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n",
            None,
        ),
    ],
)
def test_only_a_websocket_may_take_over(line: bytes, headers: bytes, upgrade: bytes | None) -> None:
    assert parse_request_head(request(headers, line)).upgrade == upgrade


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"abc-1.2:3/4=@+_", b"abc-1.2:3/4=@+_"),
        (b"a" * 129, None),
        (b"with space", None),
        (b"", None),
        (b'quote"', None),
    ],
)
def test_a_request_id_that_can_be_logged_is_kept(sent: bytes, kept: bytes | None) -> None:
    assert parse_request_head(request(b"X-Request-ID: " + sent + b"\r\n")).request_id == kept


def test_too_many_or_too_large_headers_are_431() -> None:
    many = b"".join(b"X-%d: 1\r\n" % number for number in range(HEADER_COUNT))
    assert refusal_of(request(many)) == 431
    assert refusal_of(request(b"X: " + b"a" * HEAD_BYTES + b"\r\n")) == 431


def test_a_long_request_line_is_414() -> None:
    line = b"GET /" + b"a" * REQUEST_LINE_BYTES + b" HTTP/1.1"
    assert refusal_of(request(line=line)) == 414
    with pytest.raises(BadRequest) as caught:
        check_unfinished_head(line)
    assert caught.value.status == 414


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\nHost", 400),
        (b"GET / HTTP/1.1\r\nHost: \0", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\tb", 400),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * HEAD_BYTES, 431),
    ],
)
def test_a_head_that_can_no_longer_be_good_is_refused_before_its_end(
    data: bytes, status: int
) -> None:
    with pytest.raises(BadRequest) as caught:
        check_unfinished_head(data)
    assert caught.value.status == status


@pytest.mark.parametrize("data", [b"", b"G", b"GET / HTTP/1.1\r", b"GET / HTTP/1.1\r\nHost: a\r"])
def test_a_head_that_may_still_become_good_is_waited_for(data: bytes) -> None:
    check_unfinished_head(data)


def answer(headers: bytes = b"", line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return line + b"\r\n" + headers + b"\r\n"


@pytest.mark.parametrize(
    ("data", "length", "chunked", "keeps"),
    [
        (answer(), None, False, True),
        (answer(b"Content-Length: 3\r\n"), 3, False, True),
        (answer(b"Transfer-Encoding: chunked\r\n"), None, True, True),
        (answer(b"Connection: close\r\n"), None, False, False),
        (answer(line=b"HTTP/1.0 200 OK"), None, False, False),
        (answer(b"Connection: keep-alive\r\n", b"HTTP/1.0 200 OK"), None, False, True),
    ],
)
def test_framing_of_answers(data: bytes, length: int | None, chunked: bool, keeps: bool) -> None:
    head = parse_response_head(data)
    assert (head.content_length, head.chunked, head.keep_alive) == (length, chunked, keeps)


def test_reason_phrases_are_kept_and_may_be_missing() -> None:
    assert parse_response_head(answer(line=b"HTTP/1.1 299 So So")).status_line == (
        b"HTTP/1.1 299 So So\r\n"
    )
    assert parse_response_head(answer(line=b"HTTP/1.1 200")).status_line == b"HTTP/1.1 200 \r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"garbage\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        answer(line=b"HTTP/2.0 200 OK"),
        answer(line=b"HTTP/0.9 200 OK"),
        answer(line=b"RTSP/1.0 200 OK"),
        answer(line=b"HTTP/1.1 099 Low"),
        answer(line=b"HTTP/1.1 2000 High"),
        answer(b"Content-Length: 3\r\nContent-Length: 3\r\n"),
        answer(b"Content-Length: +3\r\n"),
        answer(b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
        answer(b"Transfer-Encoding: gzip, chunked\r\n"),
        answer(b"Transfer-Encoding: identity\r\n"),
        answer(b"X: \0\r\n"),
        answer(b"X: a\r\n b\r\n"),
        answer(b"X : a\r\n"),
        answer(b"X: a\nY: b\r\n"),
        answer(b"X: " + b"a" * HEAD_BYTES + b"\r\n"),
    ],
)
def test_answers_that_two_parsers_could_read_in_two_ways_are_refused(data: bytes) -> None:
    with pytest.raises(BadResponse):
        parse_response_head(data)
