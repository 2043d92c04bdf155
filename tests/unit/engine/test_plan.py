"""Addresses of model servers, and requests as they go there."""

from __future__ import annotations

import pytest

from vast_pyworker.engine import Origin, RelayPlan
from vast_pyworker.engine.head import RequestHead, parse_request_head
from vast_pyworker.errors import BackendError, SettingError

ORIGIN = Origin("http://model:5001")


def head(headers: bytes = b"", target: bytes = b"/") -> RequestHead:
    return parse_request_head(
        b"POST " + target + b" HTTP/1.1\r\nHost: worker\r\n" + headers + b"\r\n"
    )


@pytest.mark.parametrize(
    ("url", "host", "port", "header", "prefix"),
    [
        ("http://127.0.0.1:5001", "127.0.0.1", 5001, "127.0.0.1:5001", ""),
        ("http://model", "model", 80, "model", ""),
        ("http://model:80/api/", "model", 80, "model:80", "/api"),
        ("http://[::1]:5001", "::1", 5001, "[::1]:5001", ""),
        ("unix:/run/model.sock", "localhost", 80, "localhost", ""),
    ],
)
def test_addresses_are_read(url: str, host: str, port: int, header: str, prefix: str) -> None:
    origin = Origin(url)
    assert (origin.host, origin.port, origin.host_header, origin.prefix) == (
        host,
        port,
        header,
        prefix,
    )
    assert str(origin) == url
    assert origin.unix_path == ("/run/model.sock" if url.startswith("unix") else None)


def test_https_is_checked_against_the_systems_certificates() -> None:
    origin = Origin("https://model")
    assert origin.tls is not None and origin.tls.check_hostname
    assert origin.port == 443


@pytest.mark.parametrize(
    "url", ["model:5001", "ftp://model", "http://", "http://model:x", "http://caf\u00e9", "/x"]
)
def test_what_is_no_address_is_one_sentence(url: str) -> None:
    with pytest.raises(SettingError) as caught:
        Origin(url)
    assert url in str(caught.value)


def test_a_request_is_rendered_with_its_length_and_id() -> None:
    plan = RelayPlan(ORIGIN, "generate", headers=((b"Content-Type", b"application/json"),))
    asked = head(b"Content-Type: text/x\r\nAccept: a\r\nContent-Length: 9\r\n", b"/x?q=1")
    assert plan.render(asked, b"{}", b"id") == (
        b"POST /generate?q=1 HTTP/1.1\r\nHost: model:5001\r\nAccept: a\r\n"
        b"Content-Type: application/json\r\nX-Request-ID: id\r\nContent-Length: 2\r\n\r\n{}"
    )
    assert plan.render(asked, b"other", b"id2").endswith(b"Content-Length: 5\r\n\r\nother")


def test_a_body_that_is_empty_is_announced_where_one_is_expected() -> None:
    post, get = RelayPlan(ORIGIN, "/"), RelayPlan(ORIGIN, "/", method="GET")
    assert b"Content-Length: 0\r\n" in post.render(head(), b"", b"id")
    assert b"Content-Length" not in get.render(head(), b"", b"id")
    assert b"Content-Length: 1\r\n" in get.render(head(), b"x", b"id")


def test_the_key_of_vasts_client_does_not_go_to_the_model_server() -> None:
    plan = RelayPlan(ORIGIN, "/x")
    for query, sent in (
        (b"?api_key=k", b"/x"),
        (b"?a=1&api_key=k&b=2", b"/x?a=1&b=2"),
        (b"?my_api_key=1", b"/x?my_api_key=1"),
    ):
        line, _, _ = plan.render(head(target=b"/y" + query), b"", b"id").partition(b"\r\n")
        assert line == b"POST " + sent + b" HTTP/1.1"


def test_a_query_of_the_plan_stands_and_a_prefix_comes_first() -> None:
    plan = RelayPlan(Origin("http://model/api/"), "/generate?own=1")
    assert plan.render(head(target=b"/x?q=1"), b"", b"id").startswith(
        b"POST /api/generate?own=1 HTTP/1.1\r\n"
    )


def test_only_shared_plans_are_remembered_beside_a_head() -> None:
    asked = head(b"X-Test: remembered\r\n")
    once, shared = RelayPlan(ORIGIN, "/", shared=False), RelayPlan(ORIGIN, "/")
    once.render(asked, b"", b"id")
    assert once not in asked.memo
    shared.render(asked, b"", b"id")
    assert shared in asked.memo


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("/a b", b"/a%20b"),
        ("/caf\u00e9/\u2603", b"/caf%C3%A9/%E2%98%83"),
        ("/a%20b?x=%31&y=[1]", b"/a%20b?x=%31&y=[1]"),
        ("/x HTTP/1.1\r\nX-Evil: 1", b"/x%20HTTP/1.1%0D%0AX-Evil:%201"),
        ("/a#b", b"/a%23b"),
    ],
)
def test_a_target_cannot_leave_its_line(target: str, sent: bytes) -> None:
    line = RelayPlan(ORIGIN, target).render(head(), b"", b"id").split(b"\r\n")[0]
    assert line == b"POST " + sent + b" HTTP/1.1"


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET / HTTP/1.1\r\nX", ()),
        ("", ()),
        ("POST", ((b"X-A", b"1\r\nX-Evil: 1"),)),
        ("POST", ((b"X-A\r\nX-Evil", b"1"),)),
        ("POST", ((b"X A", b"1"),)),
        ("POST", ((b"X-A", b"1\0"),)),
    ],
)
def test_methods_and_headers_that_would_split_the_request_are_refused(
    method: str, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    with pytest.raises(BackendError):
        RelayPlan(ORIGIN, "/", method=method, headers=headers)


def test_a_websocket_is_asked_on_for() -> None:
    asked = parse_request_head(
        b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: k\r\n\r\n"
    )
    sent = RelayPlan(ORIGIN, "/ws", method="GET").render(asked, b"", b"id")
    assert b"\r\nSec-WebSocket-Key: k\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" in sent
