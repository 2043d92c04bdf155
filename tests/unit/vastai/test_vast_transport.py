from __future__ import annotations

import json
import logging
import random
import socket
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
from vast_rig import KEY, RESET, Clock, Longest, WireServer, closed_port, cut, http, kept

from vast_pyworker.engine.certificates import contexts
from vast_pyworker.engine.running import RunningServer
from vast_pyworker.errors import (
    BadAnswer,
    InvalidRequest,
    OutcomeUnknown,
    ProviderError,
    ProviderUnreachable,
    QuotaExceeded,
    RateLimited,
    SettingError,
)
from vast_pyworker.vastai.http import Endpoint, Timeouts, Transport
from vast_pyworker.vastai.pacing import Pacing

READ = Endpoint("GET", "/things/{id}/")
WRITE = Endpoint("PUT", "/asks/{id}/")
OK = http(200, {"success": True})

Build = Callable[..., Transport]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def build(clock: Clock) -> Iterator[Build]:
    built: list[Transport] = []

    def build(url: str, key: str | None = KEY, read_s: float = 5.0, **more: object) -> Transport:
        transport = Transport(
            key,
            url,
            pacing=Pacing.off(clock.now, clock.sleep),
            timeouts=Timeouts(5, read_s, 60),
            sleep=clock.sleep,
            wall=clock.now,
            rng=Longest(),
            **{"now": clock.now, **more},  # type: ignore[arg-type]
        )
        built.append(transport)
        return transport

    yield build
    for each in built:
        each.close()


def test_a_call_carries_the_key_in_one_header_and_nowhere_else(build: Build) -> None:
    with WireServer(OK) as server:
        answer = build(server.url).call(
            READ, {"id": "a/b"}, query={"owner": "me", "limit": 25, "f": {"a": [1]}}
        )
    head = server.requests[0].decode()
    assert answer == {"success": True}
    assert head.startswith("GET /api/v0/things/a%2Fb/?owner=me&limit=25&f=%7B%22a%22%3A%5B1%5D%7D ")
    assert f"Authorization: Bearer {KEY}\r\n" in head
    assert head.count(KEY) == 1
    assert "vast-pyworker/" in head


def test_a_version_is_part_of_the_path_and_of_the_key(build: Build) -> None:
    endpoint = Endpoint("GET", "/instances/", version=1)
    with WireServer(OK) as server:
        build(server.url).call(endpoint)
    assert server.requests[0].startswith(b"GET /api/v1/instances/ ")
    assert endpoint.key == "GET /api/v1/instances/"
    assert WRITE.key == "PUT /asks/{id}/"


def test_a_change_has_a_body_always_and_a_read_only_if_given(build: Build) -> None:
    with WireServer(OK) as server:
        transport = build(server.url)
        transport.call(Endpoint("DELETE", "/x/"), effect="idempotent")
        transport.call(Endpoint("GET", "/x/"))
        transport.call(Endpoint("GET", "/x/"), json={"a": 1})
    bodies = [each.partition(b"\r\n\r\n")[2] for each in server.requests]
    assert bodies == [b"{}", b"", b'{"a": 1}']


def test_without_a_key_there_is_no_header(build: Build) -> None:
    with WireServer(OK) as server:
        build(server.url, key=None).call(READ, {"id": 1})
    assert b"authorization" not in server.requests[0].lower()


def test_a_netrc_does_not_replace_the_key(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with WireServer(OK) as server:
        build(server.url).call(READ, {"id": 1})
        build(server.url, key=None).call(READ, {"id": 1})
    assert f"Bearer {KEY}".encode() in server.requests[0]
    assert b"authorization" not in server.requests[1].lower()


@pytest.mark.parametrize("key", ["two\nlines", "sp ace", "umläut", "a\x00b"])
def test_a_key_that_no_header_can_hold_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(SettingError) as raised:
        Transport(key, "http://127.0.0.1:1")
    assert key not in str(raised.value)


def test_white_space_around_a_key_is_not_part_of_it(build: Build) -> None:
    with WireServer(OK) as server:
        build(server.url, key=f" {KEY}\n").call(READ, {"id": 1})
    assert f"Bearer {KEY}\r\n".encode() in server.requests[0]


@pytest.mark.parametrize(
    "url", ["", "h", "ftp://h", "http://", "https://u:pw@h", "http://h:x", "http://[a"]
)
def test_an_address_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(SettingError) as raised:
        Transport(KEY, url)
    assert "pw" not in str(raised.value)


@pytest.mark.parametrize("behind", ["/", "/api/v0", "/api/v0/"])
def test_what_stands_behind_the_address_does_no_harm(build: Build, behind: str) -> None:
    with WireServer(OK) as server:
        build(server.url + behind).call(READ, {"id": 1})
    assert server.requests[0].startswith(b"GET /api/v0/things/1/ ")


def test_the_key_is_in_no_text(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = http(400, {"error": "x", "msg": f"what is {KEY}?"})
    with WireServer(http(503, KEY.encode()), echo) as server:
        transport = build(server.url)
        with pytest.raises(InvalidRequest) as raised:
            transport.call(READ, {"id": 1})
    assert KEY not in f"{raised.value}{raised.value!r}{transport!r}{transport}"
    assert KEY not in caplog.text
    assert "503" in caplog.text  # or there would be nothing to see


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
@pytest.mark.parametrize("effect", ["read", "idempotent"])
def test_what_may_be_repeated_outlives_a_gateway(
    build: Build, clock: Clock, status: int, effect: str
) -> None:
    with WireServer(http(status, b"<html>"), http(status, b""), OK) as server:
        assert build(server.url).call(WRITE, {"id": 1}, effect=effect)  # type: ignore[arg-type]
    assert len(server.requests) == 3
    assert clock.slept == [0.5, 1.0]


@pytest.mark.parametrize("broken", [RESET, cut(OK), http(200, b'{"success": tr'), b"junk\r\n\r\n"])
def test_what_may_be_repeated_outlives_a_broken_answer(build: Build, broken: bytes) -> None:
    with WireServer(broken, OK) as server:
        assert build(server.url).call(READ, {"id": 1}) == {"success": True}


def test_tries_end_and_say_that_nothing_is_known(build: Build, clock: Clock) -> None:
    with WireServer(http(502, b"")) as server, pytest.raises(ProviderUnreachable) as raised:
        build(server.url).call(READ, {"id": 1})
    assert len(server.requests) == 5
    assert raised.value.status == 502


def test_backing_off_is_jittered_over_its_whole_length(clock: Clock) -> None:
    with WireServer(http(502, b"")) as server:
        transport = Transport(
            KEY,
            server.url,
            pacing=Pacing.off(clock.now, clock.sleep),
            now=clock.now,
            sleep=clock.sleep,
            rng=random.Random(5),
        )
        for _ in range(4):
            with pytest.raises(ProviderUnreachable):
                transport.call(READ, {"id": 1})
        transport.close()
    assert min(clock.slept) < 0.25
    assert max(clock.slept) <= 4.0
    assert len(set(clock.slept)) == len(clock.slept)


def test_a_gateway_that_names_a_wait_is_obeyed(build: Build, clock: Clock) -> None:
    with WireServer(http(503, b"", "Retry-After: 9"), OK) as server:
        build(server.url).call(READ, {"id": 1})
    assert clock.slept == [9.0]


def test_a_wait_beyond_the_deadline_is_not_begun(build: Build, clock: Clock) -> None:
    with (
        WireServer(http(503, b"", "Retry-After: 900")) as server,
        pytest.raises(ProviderUnreachable),
    ):
        build(server.url).call(READ, {"id": 1})
    assert clock.slept == []


@pytest.mark.parametrize("effect", ["read", "idempotent", "once"])
@pytest.mark.parametrize(
    ("refusal", "wait_s"),
    [
        (http(429, b"API requests too frequent", "Retry-After: 7"), 7.0),
        (http(429, {"detail": "API requests too frequent endpoint threshold=4.5"}), 4.5),
        (http(429, {"error": "HTTPTooManyRequests", "msg": "m", "retry_after": 3}), 3.0),
        (http(429, b"", f"Retry-After: {formatdate(1011, usegmt=True)}"), 11.0),
    ],
)
def test_too_many_is_waited_out_also_for_a_create(
    build: Build, clock: Clock, effect: str, refusal: bytes, wait_s: float
) -> None:
    with WireServer(refusal, OK) as server:
        assert build(server.url).call(WRITE, {"id": 1}, effect=effect)  # type: ignore[arg-type]
    assert clock.waited == pytest.approx(wait_s)


def test_too_many_is_no_failed_try(build: Build, clock: Clock) -> None:
    refusal = http(429, b"API requests too frequent: endpoint threshold=2.0")
    with WireServer(*[refusal] * 9, OK) as server:
        assert build(server.url).call(READ, {"id": 1})
    assert clock.waited == pytest.approx(18.0)


def test_a_threshold_once_stated_is_kept_to_without_being_told_again(
    build: Build, clock: Clock
) -> None:
    refusal = http(429, {"detail": "API requests too frequent endpoint threshold=4.5"})
    with WireServer(refusal, OK) as server:
        transport = build(server.url)
        for _ in range(3):
            transport.call(READ, {"id": 1})
    assert len(server.requests) == 4
    assert clock.waited == pytest.approx(13.5)


def test_too_many_with_no_wait_at_all_ends_at_the_deadline(build: Build, clock: Clock) -> None:
    refusal = http(429, b"API requests too frequent: threshold=0.0", "Retry-After: 0")
    with WireServer(refusal) as server, pytest.raises(RateLimited):
        build(server.url).call(READ, {"id": 1})
    assert len(server.requests) < 100


@pytest.mark.parametrize("broken", [b'{"success":false,"err', b""])
def test_a_refusal_that_broke_off_is_asked_for_again(build: Build, broken: bytes) -> None:
    with WireServer(http(404, broken), OK) as server:
        assert build(server.url).call(READ, {"id": 1})


def test_a_page_of_a_proxy_is_not_asked_for_again(build: Build) -> None:
    with WireServer(http(404, b"<html>Not found</html>")) as server, pytest.raises(BadAnswer):
        build(server.url).call(READ, {"id": 1})
    assert len(server.requests) == 1


def test_too_many_until_the_deadline_says_how_long_it_would_take(
    build: Build, clock: Clock
) -> None:
    with (
        WireServer(http(429, b"", "Retry-After: 100")) as server,
        pytest.raises(RateLimited) as raised,
    ):
        build(server.url).call(READ, {"id": 1})
    assert raised.value.retry_after_s == 100
    assert clock.slept == []


def test_a_turn_that_comes_after_the_deadline_is_not_waited_for(clock: Clock) -> None:
    with WireServer(OK) as server:
        pacing = Pacing({READ.key: 50.0}, clock.now, clock.sleep)
        transport = Transport(KEY, server.url, pacing=pacing, now=clock.now, sleep=clock.sleep)
        transport.call(READ, {"id": 1})
        with pytest.raises(RateLimited) as raised:
            transport.call(READ, {"id": 1}, deadline_s=10)
        transport.close()
    assert raised.value.retry_after_s == pytest.approx(50)
    assert len(server.requests) == 1


def test_a_spent_quota_is_not_waited_for(build: Build, clock: Clock) -> None:
    spent = http(429, {"error": "search_quota_exceeded", "msg": "m"}, "X-RateLimit-Reset: 5000")
    with WireServer(spent) as server, pytest.raises(QuotaExceeded) as raised:
        build(server.url).call(READ, {"id": 1})
    assert raised.value.resets_at == 5000
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "ambiguous",
    [
        RESET,
        cut(OK),
        http(200, b""),
        http(200, b"{"),
        http(200, b"<html>"),
        http(500, {"error": "x", "msg": "m"}),
        http(502, b""),
        http(504, b""),
        http(408, b""),
        http(404, b"<html>"),
        http(303, b"", "Location: /elsewhere/"),
        http(302, b"", "Location: https://elsewhere.test/"),
    ],
)
def test_what_must_not_happen_twice_is_sent_once_and_left_open(
    build: Build, ambiguous: bytes
) -> None:
    with WireServer(ambiguous, OK) as server, pytest.raises(OutcomeUnknown) as raised:
        build(server.url).call(WRITE, {"id": 1}, effect="once", label="a/1")
    assert len(server.requests) == 1
    assert raised.value.label == "a/1"
    assert "a/1" in str(raised.value)


def test_a_create_that_times_out_is_left_open(build: Build) -> None:
    def silent(connection: socket.socket) -> None:
        connection.settimeout(5)
        connection.recv(1)  # until the client gives up

    with WireServer(silent) as server, pytest.raises(OutcomeUnknown) as raised:
        build(server.url, read_s=0.2).call(WRITE, {"id": 1}, effect="once", label="x")
    assert "timed out" in str(raised.value)


def test_a_create_does_not_take_a_connection_that_may_be_closed_already(build: Build) -> None:
    with WireServer(kept(200, {"success": True})) as server:
        transport = build(server.url)
        for _ in range(20):
            transport.call(READ, {"id": 1})
            transport.call(WRITE, {"id": 1}, effect="once", label="x")


def test_a_clear_refusal_of_a_create_is_itself(build: Build) -> None:
    with (
        WireServer(http(400, {"error": "invalid_args", "msg": "m"})) as server,
        pytest.raises(InvalidRequest),
    ):
        build(server.url).call(WRITE, {"id": 1}, effect="once", label="x")


@pytest.mark.parametrize("effect", ["read", "idempotent", "once"])
def test_where_nobody_listens_nothing_was_done(build: Build, clock: Clock, effect: str) -> None:
    transport = build(f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(ProviderUnreachable) as raised:
        transport.call(WRITE, {"id": 1}, effect=effect, label="x")  # type: ignore[arg-type]
    assert "refused" in str(raised.value)
    assert len(clock.slept) == 4


def test_where_no_address_is_known_nothing_was_done(build: Build) -> None:
    with pytest.raises(ProviderUnreachable):
        build("http://no-such-host.invalid").call(WRITE, {"id": 1}, effect="once", label="x")


def test_a_certificate_nobody_vouches_for_gets_neither_key_nor_request(
    build: Build, tmp_path: Path
) -> None:
    seen: list[str] = []

    def app(environ: object, start_response: object) -> list[bytes]:
        seen.append("asked")
        return []

    with RunningServer(app, tls=contexts(tmp_path)[0]) as server:
        transport = build(f"https://127.0.0.1:{server.address[1]}")
        with pytest.raises(ProviderUnreachable):
            transport.call(WRITE, {"id": 1}, effect="once", label="x")
    assert seen == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_on_the_same_server_keeps_method_body_and_key(build: Build, status: int) -> None:
    with WireServer(http(status, b"", "Location: /api/v0/x/"), OK) as server:
        build(server.url).call(Endpoint("PUT", "/x"), json={"a": 1}, effect="once", label="x")
    assert server.requests[1].startswith(b"PUT /api/v0/x/ ")
    assert server.requests[1].endswith(b'{"a": 1}')
    assert KEY.encode() in server.requests[1]


def test_a_redirect_to_another_server_does_not_get_the_key(build: Build) -> None:
    with WireServer(OK) as other:
        for to in (f"{other.url}/x", f"//127.0.0.1:{other.url.rpartition(':')[2]}/x"):
            with WireServer(http(302, b"", f"Location: {to}")) as server:
                with pytest.raises(BadAnswer) as raised:
                    build(server.url).call(READ, {"id": 1})
                assert "redirected" in str(raised.value)
                assert len(server.requests) == 1
        assert other.requests == []


def test_a_redirect_to_itself_ends(build: Build) -> None:
    with (
        WireServer(
            http(301, b"", "Location: /api/v0/things/2/"),
            http(301, b"", "Location: /api/v0/things/1/"),
            http(301, b"", "Location: /api/v0/things/2/"),
            http(301, b"", "Location: /api/v0/things/1/"),
        ) as server,
        pytest.raises(BadAnswer),
    ):
        build(server.url).call(READ, {"id": 1})
    assert len(server.requests) <= 5


def test_cookies_are_not_kept(build: Build) -> None:
    with WireServer(http(200, {}, "Set-Cookie: session=1"), OK) as server:
        transport = build(server.url)
        transport.call(READ, {"id": 1})
        transport.call(READ, {"id": 1})
    assert b"cookie" not in server.requests[1].lower()


def test_an_answer_without_end_is_cut(build: Build) -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                connection.sendall(b"x" * 65536)
        except OSError:
            return

    with WireServer(endless) as server:
        found = build(server.url).fetch(server.url, timeout_s=5, max_body_bytes=100_000)
    assert "longer than" in str(found)


def test_an_answer_that_drips_does_not_hold_a_call_for_ever(build: Build) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        try:
            while True:
                connection.sendall(b" ")
                time.sleep(0.02)
        except OSError:
            return

    with WireServer(drip) as server:
        transport = build(server.url, read_s=0.2, now=time.monotonic)
        with pytest.raises(OutcomeUnknown) as raised:
            transport.call(WRITE, {"id": 1}, effect="once", label="x")
    assert "too slowly" in str(raised.value)


@pytest.mark.parametrize("body", [{"a": float("nan")}, {"a": object()}])
def test_a_body_that_is_no_json_is_refused_before_anything_is_sent(
    build: Build, body: object
) -> None:
    with pytest.raises(InvalidRequest):
        build(f"http://127.0.0.1:{closed_port()}").call(WRITE, {"id": 1}, json=body, effect="once")


def test_every_error_is_of_the_tree(build: Build) -> None:
    answers = [http(status, b"\xff\x00") for status in (400, 401, 403, 404, 409, 410, 418, 451)]
    for answer in answers:
        with WireServer(answer) as server, pytest.raises(ProviderError):
            build(server.url).call(READ, {"id": 1})


def test_a_list_is_an_answer_too(build: Build) -> None:
    with WireServer(http(200, json.dumps([1]).encode())) as server:
        assert build(server.url).call(READ, {"id": 1}) == [1]
