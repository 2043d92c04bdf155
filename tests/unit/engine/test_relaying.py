"""One relayed request against a model server that follows a script: every framing, every end."""

from __future__ import annotations

import asyncio
import json
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvloop

from vast_pyworker.engine import Exchange, Origin, RelayEnd, RelayPlan, Timeouts
from vast_pyworker.engine.client import ClientConnection
from vast_pyworker.engine.fake_transport import FakeTransport
from vast_pyworker.engine.fakes import (
    Message,
    Script,
    ScriptedServer,
    Wire,
    connect,
    whole,
)
from vast_pyworker.engine.framing import LAST_CHUNK, chunk
from vast_pyworker.engine.limits import HEAD_BYTES, Limits
from vast_pyworker.engine.relaying import Relaying
from vast_pyworker.engine.running import RunningServer
from vast_pyworker.engine.upstream import UpstreamConnection
from vast_pyworker.model import Outcome

SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
NDJSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET /relay HTTP/1.1\r\nHost: worker\r\n\r\n"


@dataclass
class Recorder:
    """A RelayObserver that keeps what it is told."""

    heads: list[int] = field(default_factory=list)
    progress: int = 0
    ends: queue.Queue[RelayEnd] = field(default_factory=queue.Queue)

    def on_head(self, status: int) -> None:
        self.heads.append(status)

    def on_progress(self) -> None:
        self.progress += 1

    def on_end(self, end: RelayEnd) -> None:
        self.ends.put(end)

    def end(self) -> RelayEnd:
        end = self.ends.get(timeout=10)
        assert self.ends.empty()
        return end


@dataclass
class Bench:
    """A worker before a scripted model server."""

    upstream: ScriptedServer
    server: RunningServer
    seen: Recorder
    stack: ExitStack

    def client(self) -> Wire:
        return self.stack.enter_context(connect(self.server.address))

    def ask(self, request: bytes = GET) -> Wire:
        wire = self.client()
        wire.send(request)
        return wire

    def clean(self) -> bool:
        """Whether nothing is in flight and no connection of a client is left."""
        return self.server.call(lambda: not self.server.server.connections)

    def idle(self) -> int:
        return self.server.call(lambda: sum(map(len, self.server.server.pools.values())))


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def new_loop(request: pytest.FixtureRequest) -> Any:
    return request.param


@contextmanager
def relaying(
    script: Script,
    *,
    new_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop,
    origin: str = "",
    limits: Limits | None = None,
    **plan: Any,
) -> Iterator[Bench]:
    seen = Recorder()
    with ExitStack() as stack:
        upstream = stack.enter_context(ScriptedServer(script))
        plan = {"method": "GET", "keep_tail": True, **plan}
        made = RelayPlan(Origin(origin or upstream.url), "/model", **plan)

        def relay(exchange: Exchange) -> None:
            exchange.relay(made, exchange.body, seen)

        def app(environ: Any, start_response: Any) -> list[bytes]:
            environ["pyworker.handler"] = relay
            return []

        server = stack.enter_context(RunningServer(app, limits=limits, new_loop=new_loop))
        yield Bench(upstream, server, seen, stack)


def wait_until(true: Callable[[], Any]) -> None:
    until = time.monotonic() + 10
    while not true():
        assert time.monotonic() < until
        time.sleep(0.005)


def sending(*pieces: bytes, close: bool = False) -> Script:
    def script(wire: Wire, request: Message) -> None:
        for piece in pieces:
            wire.send(piece)
        if close:
            wire.close()

    return script


@pytest.mark.parametrize(
    ("pieces", "close", "body"),
    [
        ([whole(b"hello")], False, b"hello"),
        ([PLAIN + b"Content-Length: 5\r\n\r\n", b"he", b"llo"], False, b"hello"),
        ([PLAIN + CHUNKED + chunk(b"hel"), chunk(b"lo") + LAST_CHUNK], False, b"hello"),
        ([PLAIN + CHUNKED + b"5\r\nhe", b"llo\r\n0", b"\r\n\r\n"], False, b"hello"),
        ([PLAIN + b"\r\nhel", b"lo"], True, b"hello"),
        ([b"HTTP/1.0 200 OK\r\n\r\nhello"], True, b"hello"),
        ([PLAIN + b"Content-Length: 0\r\n\r\n"], False, b""),
        ([b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + whole(b"hello")], False, b"hello"),
        ([b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", whole(b"hello")], False, b"hello"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n" * 5000 + whole(b"hello")], False, b"hello"),
    ],
)
def test_every_framing_of_an_answer_reaches_the_client(
    pieces: list[bytes], close: bool, body: bytes, new_loop: Any
) -> None:
    with relaying(sending(*pieces, close=close), new_loop=new_loop) as bench:
        wire = bench.ask()
        answer = wire.read_message()
        assert (answer.status, answer.body) == (200, body)
        assert bench.seen.end().outcome is Outcome.FINISHED
        wire.send(GET)
        assert wire.read_message().body == body


@pytest.mark.parametrize(
    "pieces",
    [
        [PLAIN + b"Content-Length: 5\r\n\r\n", b"hello"],
        [PLAIN + CHUNKED + chunk(b"hel"), chunk(b"lo") + LAST_CHUNK],
        [PLAIN + b"\r\nhel", b"lo"],
    ],
    ids=["length", "chunks", "close"],
)
def test_a_client_of_http_1_0_gets_no_chunks(pieces: list[bytes]) -> None:
    with relaying(sending(*pieces, close=True)) as bench:
        wire = bench.ask(b"GET /relay HTTP/1.0\r\n\r\n")
        answer = wire.read_message()
        assert (answer.body, answer.get("transfer-encoding")) == (b"hello", None)
        assert answer.get("connection") == "close"
        assert wire.gone()


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_answers_without_a_body_end_with_their_head(status: bytes) -> None:
    head = b"HTTP/1.1 " + status + b'\r\nETag: "x"\r\nContent-Length: 5\r\n\r\n'
    with relaying(sending(head)) as bench:
        wire = bench.ask()
        for _ in range(2):
            assert wire.read_message().get("etag") == '"x"'
            assert bench.seen.end().outcome is Outcome.FINISHED
            wire.send(GET)


def test_the_answer_to_head_has_a_length_and_no_body() -> None:
    with relaying(sending(PLAIN + b"Content-Length: 5\r\n\r\n"), method="HEAD") as bench:
        wire = bench.ask(GET.replace(b"GET", b"HEAD"))
        for _ in range(2):
            assert wire.read_message(no_body=True).get("content-length") == "5"
            wire.send(GET.replace(b"GET", b"HEAD"))
        assert bench.upstream.opened == 1


def test_a_head_that_should_answer_a_get_is_refused_and_not_waited_for() -> None:
    with relaying(sending(PLAIN + b"Content-Length: 5\r\n\r\n"), method="HEAD") as bench:
        assert bench.ask().read_message().status == 502


def test_a_relay_for_a_client_that_has_left_is_not_begun() -> None:
    seen, called = Recorder(), threading.Event()
    with ScriptedServer(sending(whole(b"hello"))) as upstream:
        plan = RelayPlan(Origin(upstream.url), "/", method="GET")

        def late(exchange: Exchange) -> None:
            exchange.on_gone = lambda: exchange.relay(plan, b"", seen)
            called.set()

        def app(environ: Any, start_response: Any) -> list[bytes]:
            environ["pyworker.handler"] = late
            return []

        with RunningServer(app) as server, connect(server.address) as wire:
            wire.send(GET)
            assert called.wait(10)
            wire.close()
            assert seen.end().outcome is Outcome.CANCELLED
        assert upstream.opened == 0


@pytest.mark.parametrize(
    "answer", [whole(b"hello"), PLAIN + CHUNKED + chunk(b"hello") + LAST_CHUNK]
)
def test_a_body_that_came_for_a_head_is_kept_from_the_client(answer: bytes) -> None:
    with relaying(sending(answer), method="GET") as bench:
        wire = bench.ask(GET.replace(b"GET", b"HEAD"))
        assert wire.read_message(no_body=True).status == 200
        wire.send(GET)
        assert wire.read_message().body == b"hello"


def test_headers_of_the_hop_stay_there_and_all_others_are_kept() -> None:
    head = (
        b"HTTP/1.1 201 Made It\r\nDate: then\r\nServer: model/1\r\nSet-Cookie: a=1\r\n"
        b"Set-Cookie: b=2\r\nConnection: keep-alive, X-Hop, Content-Length\r\nX-Hop: secret\r\n"
        b"Keep-Alive: timeout=5\r\nProxy-Authenticate: x\r\nTrailer: y\r\nX-Kept: \xe9\r\n"
        b"Content-Length: 2\r\n\r\nok"
    )
    asked = (
        b"POST /relay?q=1&q=2 HTTP/1.1\r\nHost: worker\r\nConnection: X-Mine, keep-alive\r\n"
        b"X-Mine: secret\r\nKeep-Alive: 1\r\nTE: trailers\r\nProxy-Authorization: x\r\n"
        b"Upgrade: h2c\r\nProxy-Connection: x\r\nAuthorization: Bearer key\r\nCookie: c=1\r\n"
        b"Accept: text/plain\r\nAccept: application/json\r\nX-Request-ID: abc\r\n"
        b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
        b"Accept-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
    )
    with relaying(sending(head), method="POST", headers=((b"X-Set", b"by plan"),)) as bench:
        answer = bench.ask(asked).read_message()
        assert answer.first == "HTTP/1.1 201 Made It"
        assert answer.headers == (
            ("date", "then"),
            ("server", "model/1"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("x-kept", "\xe9"),
            ("content-length", "2"),
            ("x-request-id", "abc"),
        )
        request = bench.upstream.requests.get(timeout=10)
        assert request.first == "POST /model?q=1&q=2 HTTP/1.1"
        assert request.body == b"hi"
        assert request.headers == (
            ("host", bench.upstream.url.removeprefix("http://")),
            ("accept", "text/plain"),
            ("accept", "application/json"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("x-set", "by plan"),
            ("x-request-id", "abc"),
            ("content-length", "2"),
        )


def test_connections_to_the_model_server_are_used_again(new_loop: Any) -> None:
    with relaying(sending(whole(b"hello")), new_loop=new_loop) as bench:
        wire = bench.client()
        for _ in range(10):
            wire.send(GET)
            assert wire.read_message().body == b"hello"
        assert bench.upstream.opened == 1
        assert bench.idle() == 1


def test_answers_of_one_length_are_not_taken_for_each_other() -> None:
    marks = iter([b"one", b"one", b"two", b"two", b"one"])

    def script(wire: Wire, request: Message) -> None:
        mark = next(marks)
        wire.send(PLAIN + b"Content-Length: 3\r\nX-Mark: " + mark + b"\r\n\r\n" + mark)

    with relaying(script) as bench:
        wire, seen = bench.client(), []
        for _ in range(5):
            wire.send(GET)
            answer = wire.read_message()
            seen.append((answer.get("x-mark"), answer.body))
            assert bench.seen.end().tail == answer.body
        assert seen == [(m, m.encode()) for m in ("one", "one", "two", "two", "one")]
        assert bench.upstream.opened == 1


def test_a_request_is_let_go_of_once_its_answer_comes_in_pieces() -> None:
    ended = threading.Event()

    def script(wire: Wire, request: Message) -> None:
        wire.send(SSE + CHUNKED + chunk(b"data: 1\n\n"))
        assert ended.wait(10)
        wire.send(LAST_CHUNK)

    prompt = b"a prompt of its own"
    with relaying(script, method="POST") as bench:
        head = b"POST /relay HTTP/1.1\r\nHost: worker\r\nContent-Length: %d\r\n\r\n"
        wire = bench.ask(head % len(prompt) + prompt)
        wire.read_until(b"data: 1")
        (relayed,) = bench.server.call(lambda: bench.server.server.relayings)
        assert isinstance(relayed, Relaying)
        assert relayed._request == b"" == relayed._exchange.body
        assert "prompt" not in repr(relayed._exchange) + repr(relayed)
        ended.set()
        wire.read_until(LAST_CHUNK)
        assert bench.seen.end().outcome is Outcome.FINISHED
        assert bench.idle() == 1


@pytest.mark.parametrize(
    "answer",
    [
        whole(b"hello") + b"HTTP/1.1 200 OK\r\n\r\n",
        PLAIN + CHUNKED + chunk(b"hello") + LAST_CHUNK + b"more",
        PLAIN + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ],
    ids=["excess", "excess after chunks", "asks to close", "http/1.0"],
)
def test_a_connection_that_cannot_be_trusted_is_not_used_again(answer: bytes) -> None:
    with relaying(sending(answer)) as bench:
        wire = bench.client()
        for number in (1, 2):
            wire.send(GET)
            assert wire.read_message().body == b"hello"
            wait_until(lambda number=number: bench.upstream.opened == number)
        assert bench.idle() == 0


def test_an_answer_that_nobody_asked_for_closes_the_connection() -> None:
    more = threading.Event()

    def script(wire: Wire, request: Message) -> None:
        wire.send(whole(b"hello"))
        more.wait(10)
        wire.send(whole(b"poison"))

    with relaying(script) as bench:
        wire = bench.ask()
        assert wire.read_message().body == b"hello"
        more.set()
        wait_until(lambda: bench.idle() == 0)
        wire.send(GET)
        assert wire.read_message().body == b"hello"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_pooled_connection_that_had_died_is_replaced_once(method: str) -> None:
    def script(wire: Wire, request: Message) -> None:
        if bench.upstream.opened == 1 and bench.upstream.requests.qsize() == 2:
            wire.reset()
        else:
            wire.send(whole(b"hello"))

    with relaying(script, method=method) as bench:
        wire = bench.client()
        for _ in range(2):
            wire.send(GET)
            assert wire.read_message().body == b"hello"
            assert bench.seen.end().outcome is Outcome.FINISHED
        assert bench.upstream.opened == 2


def test_a_death_within_the_answer_is_not_tried_again() -> None:
    def script(wire: Wire, request: Message) -> None:
        if bench.upstream.requests.qsize() == 1:
            wire.send(whole(b"hello"))
        else:
            wire.send(b"HTTP/1.1 200 OK\r\n")
            wire.close()

    with relaying(script) as bench:
        wire = bench.ask()
        wire.read_message()
        wire.send(GET)
        assert wire.read_message().status == 502
        assert bench.upstream.requests.qsize() == 2


def test_a_second_death_is_told_to_the_client() -> None:
    def script(wire: Wire, request: Message) -> None:
        if bench.upstream.requests.qsize() == 1:
            wire.send(whole(b"hello"))
        else:
            wire.close()

    with relaying(script) as bench:
        wire = bench.ask()
        wire.read_message()
        wire.send(GET)
        assert wire.read_message().status == 502
        assert bench.upstream.requests.qsize() == 3


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b"HTTP/1.1 200"],
        [b"HTTP/1.1 100 Continue\r\n\r\n"],
        [b"SSH-2.0-OpenSSH_9.2\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nX: " + b"a" * HEAD_BYTES * 2],
        [b"HTTP/1.1 200 OK\r\nX: " + b"a" * HEAD_BYTES + b"\r\n\r\n"],
        [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nxx"],
        [PLAIN + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"],
        [PLAIN + b"Content-Length: 5\r\n" + CHUNKED + b"5\r\nhello"],
        [PLAIN + CHUNKED + b"not a size\r\n"],
        [PLAIN + CHUNKED + b"5\r\nhello world"],
    ],
)
def test_a_model_server_that_breaks_off_or_talks_nonsense_is_502(
    pieces: list[bytes], new_loop: Any
) -> None:
    with relaying(sending(*pieces, close=True), new_loop=new_loop) as bench:
        wire = bench.ask()
        answer = wire.read_message()
        assert answer.status == 502
        assert json.loads(answer.body)["error"].endswith(".")
        end = bench.seen.end()
        assert end.outcome is Outcome.FAILED and end.error
        assert not wire.gone(0.05)


def test_a_model_server_that_is_not_there_is_502(new_loop: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        origin = f"http://127.0.0.1:{free.getsockname()[1]}"
    with relaying(sending(), origin=origin, new_loop=new_loop) as bench:
        answer = bench.ask().read_message()
        assert answer.status == 502
        assert origin in json.loads(answer.body)["error"]
        assert bench.seen.end().status is None


@contextmanager
def deaf() -> Iterator[str]:
    """An address where connections are never accepted: its queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_model_server_that_does_not_accept_is_504(new_loop: Any) -> None:
    timeouts = Timeouts(connect_s=0.3)
    with (
        deaf() as origin,
        relaying(sending(), origin=origin, timeouts=timeouts, new_loop=new_loop) as bench,
    ):
        answer = bench.ask().read_message()
        assert (answer.status, "connect" in json.loads(answer.body)["error"]) == (504, True)
        assert bench.seen.end().outcome is Outcome.FAILED


def test_a_client_that_leaves_while_we_dial_is_noticed(new_loop: Any) -> None:
    with deaf() as origin, relaying(sending(), origin=origin, new_loop=new_loop) as bench:
        wire = bench.ask()
        wait_until(lambda: bench.server.call(lambda: bench.server.server.relayings))
        wire.close()
        assert bench.seen.ends.get(timeout=1).outcome is Outcome.CANCELLED
        wait_until(bench.clean)


def silent_after(*pieces: bytes) -> tuple[Script, threading.Event, list[float]]:
    """A script that sends ``pieces`` and then nothing; the event tells that the worker has left."""
    gone, when = threading.Event(), [0.0]

    def script(wire: Wire, request: Message) -> None:
        for piece in pieces:
            wire.send(piece)
        if wire.gone(20):
            when[0] = time.monotonic()
            gone.set()
        wire.close()

    return script, gone, when


@pytest.mark.parametrize(
    ("pieces", "timeouts"),
    [
        ([], Timeouts(first_byte_s=0.3)),
        ([b"HTTP/1.1 200 OK\r\n"], Timeouts(first_byte_s=0.3)),
        ([b"HTTP/1.1 100 Continue\r\n\r\n"], Timeouts(first_byte_s=0.3)),
        ([], Timeouts(first_byte_s=0, total_s=0.3)),
    ],
)
def test_a_model_server_that_gives_no_answer_is_504_and_left(
    pieces: list[bytes], timeouts: Timeouts
) -> None:
    script, gone, _ = silent_after(*pieces)
    with relaying(script, timeouts=timeouts) as bench:
        assert bench.ask().read_message().status == 504
        assert gone.wait(1)


@pytest.mark.parametrize("timeouts", [Timeouts(silence_s=0.3), Timeouts(total_s=0.4)])
def test_a_stream_that_falls_silent_ends_in_an_error_frame(timeouts: Timeouts) -> None:
    script, gone, _ = silent_after(SSE + CHUNKED + chunk(b"data: 1\n\n"))
    with relaying(script, timeouts=timeouts) as bench:
        wire = bench.ask()
        answer = wire.read_message()
        assert answer.body.startswith(b"data: 1\n\n\n\nevent: error\ndata: {")
        assert gone.wait(1)
        assert wire.gone()


def test_a_stream_that_goes_on_is_never_silent_and_its_progress_is_told() -> None:
    def script(wire: Wire, request: Message) -> None:
        wire.send(SSE + CHUNKED)
        for _ in range(20):
            wire.send(chunk(b": still here\n\n"))
            time.sleep(0.08)
        wire.send(LAST_CHUNK)

    with relaying(script, timeouts=Timeouts(silence_s=1.2)) as bench:
        assert len(bench.ask().read_message().body) == 20 * 14
        assert bench.seen.end().outcome is Outcome.FINISHED
        assert 2 <= bench.seen.progress <= 20


IN_NO_TIME = Limits(comment_s=0.01)


@pytest.mark.parametrize("sent", [b"", chunk(b"data: 1\n\n"), chunk(b"data: 1\r\n\r\n")])
def test_between_events_a_silent_stream_is_kept_alive_by_comments(sent: bytes) -> None:
    script, _, _ = silent_after(SSE + CHUNKED + sent)
    timeouts = Timeouts(silence_s=1.2)
    with relaying(script, timeouts=timeouts, limits=IN_NO_TIME) as bench:
        body = bench.ask().read_message().body
        payload = sent[sent.find(b"\r\n") + 2 : -2] if sent else b""
        assert body.startswith(payload + b":\n\n:\n\n")
        assert b"event: error" in body, "a comment is no progress of the model server's"
        assert bench.seen.progress <= 1


@pytest.mark.parametrize(
    "sent",
    [
        SSE + CHUNKED + chunk(b"data: 1\n"),
        SSE + CHUNKED + chunk(b"data: 1\n\n") + b"5\r\nda",
        SSE + b"Content-Encoding: gzip\r\n" + CHUNKED + chunk(b"data: 1\n\n"),
        SSE + b"Content-Length: 90\r\n\r\ndata: 1\n\n\r\n",
        NDJSON + CHUNKED + chunk(b"{}\n\n"),
    ],
)
def test_elsewhere_nothing_of_ours_gets_into_a_stream(sent: bytes) -> None:
    script, _, _ = silent_after(sent)
    with relaying(script, timeouts=Timeouts(silence_s=0.8), limits=IN_NO_TIME) as bench:
        wire = bench.ask()
        told = b""
        with suppress(EOFError, OSError):
            told = wire.read_to_end()
        assert b":\n\n" not in told


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([SSE + CHUNKED + chunk(b"data: 1\n\n")], b"data: 1\n\n\n\nevent: error\ndata: "),
        ([SSE + CHUNKED + chunk(b"data: 1\n\n"), b"5\r\nda"], b"data: 1\n\nda\n\nevent: error\n"),
        ([SSE + CHUNKED], b"\n\nevent: error\n"),
        ([SSE + CHUNKED + chunk(b"data: 1\n\n") + b"junk"], b"data: 1\n\n\n\nevent: error\n"),
        ([NDJSON + CHUNKED + chunk(b'{"a": 1}\n')], b'{"a": 1}\n{"error": '),
        ([NDJSON + CHUNKED, chunk(b'{"a": 1}\n') + chunk(b'{"a"')], b'{"a": 1}\n{"a"\n{"error": '),
        ([NDJSON + CHUNKED], b'{"error": '),
    ],
)
def test_a_stream_that_breaks_off_ends_in_a_frame_of_its_own_kind(
    pieces: list[bytes], expected: bytes, new_loop: Any
) -> None:
    with relaying(sending(*pieces, close=True), new_loop=new_loop) as bench:
        wire = bench.ask()
        answer = wire.read_message()
        assert answer.status == 200
        assert answer.body.startswith(expected), answer.body
        assert answer.body.endswith(b"\n")
        assert bench.seen.end().outcome is Outcome.FAILED
        assert wire.gone()


@pytest.mark.parametrize("wait_s", [0.0, 0.3])
def test_the_line_end_before_an_error_line_is_known_long_after(wait_s: float) -> None:
    def script(wire: Wire, request: Message) -> None:
        wire.send(NDJSON + CHUNKED + chunk(b'{"a": 1}\n'))
        time.sleep(wait_s)
        wire.reset()

    with relaying(script) as bench:
        lines = bench.ask().read_message().body.splitlines()
        assert [sorted(json.loads(line)) for line in lines] == [["a"], ["error"]]


@pytest.mark.parametrize(
    "pieces",
    [
        [PLAIN + b"Content-Length: 50\r\n\r\n", b"hello"],
        [PLAIN + CHUNKED + chunk(b"hello")],
        [PLAIN + CHUNKED + b"50\r\nhello"],
        [SSE + b"Content-Length: 50\r\n\r\n", b"data: 1\n\n"],
    ],
)
def test_an_answer_that_breaks_off_is_cut_so_that_the_client_notices(
    pieces: list[bytes], new_loop: Any
) -> None:
    with relaying(sending(*pieces, close=True), new_loop=new_loop) as bench:
        wire = bench.ask()
        with pytest.raises((EOFError, ConnectionResetError)):
            wire.read_message()
        end = bench.seen.end()
        assert (end.outcome, end.status) == (Outcome.FAILED, 200)


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_an_answer_until_close_that_is_reset_does_not_pass_for_whole(version: bytes) -> None:
    def script(wire: Wire, request: Message) -> None:
        wire.send(PLAIN + b"\r\nhello")
        told.wait(10)
        wire.reset()

    told = threading.Event()
    with relaying(script) as bench:
        wire = bench.ask(b"GET /relay HTTP/" + version + b"\r\nHost: a\r\n\r\n")
        wire.read_until(b"hello")
        told.set()
        if version == b"1.1":
            assert wire.read_to_end() == b"\r\n"  # the end of the chunk, and no last one
        else:
            with pytest.raises(ConnectionResetError):
                wire.read_to_end()
        assert bench.seen.end().outcome is Outcome.FAILED


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [PLAIN + b"Content-Length: 50\r\n\r\nhello"],
        [SSE + CHUNKED + chunk(b"data: 1\n\n")],
    ],
    ids=["unary", "length", "stream"],
)
@pytest.mark.parametrize("way", ["close", "reset", "end_sending"])
def test_the_model_server_is_left_as_soon_as_the_client_is_gone(
    pieces: list[bytes], way: str, new_loop: Any
) -> None:
    script, gone, when = silent_after(*pieces)
    with relaying(script, new_loop=new_loop) as bench:
        wire = bench.ask()
        bench.upstream.requests.get(timeout=10)
        if pieces:
            wire.read_until(b"\r\n\r\n")
        left = time.monotonic()
        getattr(wire, way)()
        assert gone.wait(5)
        assert when[0] - left < 1
        assert bench.seen.end().outcome is Outcome.CANCELLED
        wait_until(bench.clean)
        assert bench.idle() == 0


@pytest.mark.parametrize(
    ("last", "outcome"),
    [
        (b"data: [DONE]\n\n", Outcome.FINISHED),
        (b"data:[DONE]\r\n\r\n", Outcome.FINISHED),
        (b'data: {"content": "[DONE]"}\n\n', Outcome.CANCELLED),
    ],
)
def test_who_hangs_up_at_the_last_event_has_had_all_of_the_answer(
    last: bytes, outcome: Outcome
) -> None:
    """OpenAI's clients do, before the last chunk, which has nothing in it, can be here."""
    usage = b'data: {"usage": 1}\n\n'
    script, gone, _ = silent_after(SSE + CHUNKED + chunk(usage), chunk(last))
    with relaying(script) as bench:
        wire = bench.ask()
        wire.read_until(chunk(last))
        wire.close()
        assert gone.wait(5)
        end = bench.seen.end()
        assert (end.outcome, end.status) == (outcome, 200)
        assert usage + last in end.tail
        wait_until(bench.clean)


def test_a_client_that_leaves_during_a_long_upload_to_the_model_server_is_noticed() -> None:
    started, over = threading.Event(), threading.Event()

    def accept() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.recv(100)
            started.set()
            over.wait(10)

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    thread = threading.Thread(target=accept)
    thread.start()
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with listener, relaying(sending(), origin=origin, method="POST") as bench:
        body = b"x" * 20_000_000
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        wire = bench.ask(b"POST /relay HTTP/1.1\r\nHost: a\r\n" + length + body)
        assert started.wait(10)
        wire.close()
        assert bench.seen.ends.get(timeout=2).outcome is Outcome.CANCELLED
        over.set()
        thread.join(10)


def test_an_early_answer_to_a_large_request_spoils_the_connection() -> None:
    def accept() -> None:
        nonlocal opened
        for _ in range(2):
            sock, _ = listener.accept()
            opened += 1
            kept.append(sock)
            sock.recv(100)
            sock.sendall(whole(b"no", status="413 Too Large"))

    opened, kept = 0, []
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    thread = threading.Thread(target=accept)
    thread.start()
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with listener, relaying(sending(), origin=origin, method="POST") as bench:
        body = b"x" * 20_000_000
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        wire = bench.client()
        for _ in range(2):
            wire.send(b"POST /relay HTTP/1.1\r\nHost: a\r\n" + length + body)
            assert wire.read_message().status == 413
        assert opened == 2
        thread.join(10)
        for sock in kept:
            sock.close()


def test_a_slow_client_slows_the_model_server_down(new_loop: Any) -> None:
    piece = chunk(b"x" * 65_000)
    sent = [0]
    stop = threading.Event()

    def script(wire: Wire, request: Message) -> None:
        wire.sock.settimeout(0.1)
        wire.send(PLAIN + CHUNKED)
        while sent[0] < 3000 and not stop.is_set():
            try:
                wire.send(piece)
            except TimeoutError:
                stalled.set()
                return wire.close()
            sent[0] += 1
        wire.send(LAST_CHUNK)

    stalled = threading.Event()
    with relaying(script, new_loop=new_loop) as bench:
        wire = bench.client()
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        wire.send(GET)
        assert stalled.wait(20)
        assert sent[0] < 1000
        unsent = bench.server.call(
            lambda: sum(connection.unsent for connection in bench.server.server.connections)
        )
        assert unsent < 2_000_000


def test_a_client_that_leaves_without_having_read_is_noticed(new_loop: Any) -> None:
    piece = chunk(b"x" * 65_000)
    cut_off = threading.Event()

    def script(wire: Wire, request: Message) -> None:
        wire.send(PLAIN + CHUNKED)
        try:
            while True:
                wire.send(piece)
        except OSError:
            cut_off.set()
            raise

    with relaying(script, new_loop=new_loop) as bench:
        wire = bench.client()
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        wire.send(GET)
        connections = bench.server.server.connections
        wait_until(lambda: bench.server.call(lambda: any(c.write_paused for c in connections)))
        wire.end_sending()
        assert bench.seen.ends.get(timeout=2).outcome is Outcome.CANCELLED
        assert cut_off.wait(2)


def test_the_silence_of_a_slow_client_is_not_the_model_servers() -> None:
    body = b"0123456789" * 2_000_000
    with relaying(sending(whole(body)), timeouts=Timeouts(silence_s=0.5)) as bench:
        wire = bench.ask()
        time.sleep(1.5)
        assert wire.read_message().body == body


def test_a_large_answer_to_a_slow_client_is_whole_and_the_connection_used_again(
    new_loop: Any,
) -> None:
    body = b"0123456789" * 2_000_000
    with relaying(sending(whole(body)), new_loop=new_loop) as bench:
        wire = bench.client()
        for _ in range(2):
            wire.send(GET)
            time.sleep(0.2)  # until everything between the two ends is full
            assert wire.read_message().body == body
        assert bench.upstream.opened == 1


def test_a_connection_whose_last_piece_filled_a_slow_client_is_read_again() -> None:
    class Full(FakeTransport):
        def write(self, data: Any) -> None:
            super().write(data)
            client.pause_writing()

    with relaying(sending()) as bench:
        plan, server = RelayPlan(Origin("http://127.0.0.1:1"), "/"), bench.server.server

        def run() -> bool:
            pool = server.pools[plan.origin]
            connection, transport = UpstreamConnection(pool), FakeTransport()
            connection.connection_made(transport)
            pool.idle.append(connection)
            client.connection_made(Full())
            server.native = {("GET", "/x"): lambda e: e.relay(plan, b"", bench.seen)}
            client.data_received(GET.replace(b"/relay", b"/x"))
            connection.data_received(PLAIN + b"Content-Length: 5\r\n\r\nhel")
            connection.data_received(b"lo")
            client.connection_lost(None)
            return pool.idle == [connection] and transport.reading

        client = bench.server.call(lambda: ClientConnection(server))
        assert bench.server.call(run)
        assert bench.seen.end().outcome is Outcome.FINISHED


def test_the_tail_of_an_answer_is_kept_where_it_is_wanted() -> None:
    usage = b'data: {"usage": {"total_tokens": 5}}\n\n'
    pieces = [SSE + CHUNKED, *(chunk(b"data: x\n\n") for _ in range(20)), chunk(usage), LAST_CHUNK]
    with relaying(sending(*pieces)) as bench:
        bench.ask().read_message()
        end = bench.seen.end()
        assert usage in end.tail
    with relaying(sending(*pieces), keep_tail=False) as bench:
        bench.ask().read_message()
        assert bench.seen.end().tail == b""


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("200 OK", Outcome.FINISHED),
        ("404 Not Found", Outcome.FINISHED),
        ("429 Too Many Requests", Outcome.FAILED),
        ("500 Internal Server Error", Outcome.FAILED),
    ],
)
def test_errors_of_the_model_server_are_passed_on_as_they_are(
    status: str, outcome: Outcome
) -> None:
    with relaying(sending(whole(b'{"detail": 1}', status=status))) as bench:
        answer = bench.ask().read_message()
        assert (answer.first, answer.body) == (f"HTTP/1.1 {status}", b'{"detail": 1}')
        assert bench.seen.end().outcome is outcome


def test_an_observer_that_fails_costs_its_request_no_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(Recorder):
        def on_end(self, end: RelayEnd) -> None:
            raise RuntimeError("broken observer")

    with ScriptedServer(sending(whole(b"hello"))) as upstream:
        plan = RelayPlan(Origin(upstream.url), "/", method="GET")

        def app(environ: Any, start_response: Any) -> list[bytes]:
            environ["pyworker.handler"] = lambda exchange: exchange.relay(plan, b"", Broken())
            return []

        with RunningServer(app) as server, connect(server.address) as wire:
            for _ in range(2):
                wire.send(GET)
                assert wire.read_message().body == b"hello"
        assert "broken observer" in caplog.text


def test_pipelined_requests_are_relayed_one_after_the_other() -> None:
    def script(wire: Wire, request: Message) -> None:
        wire.send(PLAIN + CHUNKED + chunk(request.body) + LAST_CHUNK)

    with relaying(script, method="POST") as bench:
        wire = bench.client()
        count = 400
        wire.send(
            b"".join(
                b"POST /relay HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n%03d" % number
                for number in range(count)
            )
        )
        assert [wire.read_message().body for _ in range(count)] == [
            b"%03d" % n for n in range(count)
        ]
        assert bench.upstream.opened == 1


def test_a_native_relay_of_a_websocket_carries_bytes_both_ways(new_loop: Any) -> None:
    def script(wire: Wire, request: Message) -> None:
        assert request.get("upgrade") == "websocket"
        assert request.get("sec-websocket-key") == "abc"
        wire.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: xyz\r\n\r\nearly"
        )
        while data := wire.read_some():
            wire.send(data.upper())
            if b"bye" in data:
                wait_until(lambda: bench.seen.progress)
                return wire.close()

    asked = (
        b"GET /relay HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
        b"Upgrade: WebSocket\r\nSec-WebSocket-Key: abc\r\n\r\nfirst"
    )
    with relaying(script, new_loop=new_loop) as bench:
        wire = bench.ask(asked)
        answer = wire.read_message()
        assert (answer.status, answer.get("upgrade")) == (101, "websocket")
        assert answer.get("sec-websocket-accept") == "xyz"
        assert wire.read_exactly(5) == b"early"
        assert wire.read_exactly(5) == b"FIRST"
        large = b"x" * 3_000_000
        sender = threading.Thread(target=wire.send, args=(large,))
        sender.start()
        assert wire.read_exactly(len(large)) == large.upper()
        sender.join(10)
        wire.send(b"\r\nbye")
        assert wire.read_to_end() == b"\r\nBYE"
        end = bench.seen.end()
        assert (end.outcome, end.status) == (Outcome.FINISHED, 101)


def test_a_tunnel_is_read_no_faster_than_its_other_side_takes(new_loop: Any) -> None:
    told = threading.Event()

    def script(wire: Wire, request: Message) -> None:
        wire.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        told.wait(10)
        got = 0
        while not told.is_set() or got < sent[0]:
            got += len(wire.read_some())
        wire.send(b"%d" % got)

    asked = b"GET /relay HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    sent = [0]
    with relaying(script, new_loop=new_loop) as bench:
        wire = bench.ask(asked)
        assert wire.read_message().status == 101
        wire.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while sent[0] < 100_000_000:
                sent[0] += wire.sock.send(b"x" * 65_536)
        told.set()
        wire.sock.settimeout(10)
        assert wire.read_some() == b"%d" % sent[0]


def test_a_tunnel_ends_on_both_sides_when_the_client_leaves() -> None:
    script, gone, _ = silent_after(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    asked = b"GET /relay HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    with relaying(script) as bench:
        wire = bench.ask(asked)
        assert wire.read_message().status == 101
        wire.close()
        assert gone.wait(2)
        assert bench.seen.end().outcome is Outcome.FINISHED
        wait_until(bench.clean)


def test_a_refused_upgrade_is_an_ordinary_answer() -> None:
    asked = b"GET /relay HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    with relaying(sending(whole(b"no", status="403 Forbidden"))) as bench:
        wire = bench.ask(asked)
        assert wire.read_message().body == b"no"
        wire.send(GET)
        assert wire.read_message().status == 403
