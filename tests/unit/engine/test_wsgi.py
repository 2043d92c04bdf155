"""Applications called in threads: PEP 3333, lengths, streams, and clients that leave."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from wsgiref.validate import validator

import pytest
from flask import Flask, Response, request, stream_with_context

from vast_pyworker.engine import Limits
from vast_pyworker.engine.fakes import Message, Wire, connect
from vast_pyworker.engine.running import RunningServer
from vast_pyworker.engine.wsgi import ClientLeft, Flow, WSGIApp

Environ = dict[str, Any]
GET = b"GET /a%20b/%C3%A9?q=1%202 HTTP/1.1\r\nHost: worker:3000\r\n\r\n"


@contextmanager
def serving(app: Any, **options: Any) -> Iterator[Callable[[], Wire]]:
    with ExitStack() as stack:
        server = stack.enter_context(RunningServer(app, **options))
        yield lambda: stack.enter_context(connect(server.address))


def ask(app: Any, data: bytes = GET, **options: Any) -> Message:
    with serving(app, **options) as client:
        wire = client()
        wire.send(data)
        return wire.read_message(no_body=data.startswith(b"HEAD"))


def wait_until(true: Callable[[], Any]) -> None:
    until = time.monotonic() + 10
    while not true():
        assert time.monotonic() < until
        time.sleep(0.005)


def answering(*pieces: bytes, headers: tuple[tuple[str, str], ...] = ()) -> WSGIApp:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), *headers])
        return list(pieces)

    return app


def test_the_environment_is_what_pep_3333_says() -> None:
    seen: Environ = {}

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        seen.update(environ, body=environ["wsgi.input"].read())
        return answering(b"ok")(environ, start_response)  # type: ignore[return-value]

    ask(
        app,
        b"POST /a%20b/%C3%A9?q=1%202 HTTP/1.1\r\nHost: worker:3000\r\nContent-Type: text/x\r\n"
        b"Content-Length: 3\r\nX-Two: 1\r\nX-Two: 2\r\nX_Under: hidden\r\nX-High: \xe9\r\n\r\nabc",
    )
    expected = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b/\xc3\xa9",
        "QUERY_STRING": "q=1%202",
        "RAW_URI": "/a%20b/%C3%A9?q=1%202",
        "SERVER_NAME": "worker",
        "SERVER_PORT": "3000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "3",
        "HTTP_HOST": "worker:3000",
        "HTTP_X_TWO": "1,2",
        "HTTP_X_HIGH": "\xe9",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "body": b"abc",
    }
    assert {key: seen.get(key) for key in expected} == expected
    assert "HTTP_X_UNDER" not in seen
    assert seen["pyworker.request_id"] and seen["pyworker.exchange"]


def test_the_standard_librarys_validator_has_no_complaint() -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        environ["wsgi.input"].read(2)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"a", b"b"]

    answer = ask(
        validator(app),
        b"POST /x?y HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Type: text/x\r\n\r\nabcde",
    )
    assert answer.body == b"ab"


def test_a_chunked_request_has_a_length_in_the_end() -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        return answering(body)(environ, start_response)  # type: ignore[return-value]

    answer = ask(
        app,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    )
    assert answer.body == b"abc"


def test_a_large_body_is_read_from_disk() -> None:
    flask = Flask(__name__)

    @flask.post("/")
    def _size() -> str:
        return str(len(request.get_data()))

    size = 3_000_000
    with serving(flask) as client:
        wire = client()
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        wire.send(b"x" * size)
        assert wire.read_message().body == str(size).encode()


def test_an_answer_of_known_length_is_sent_whole_and_others_in_chunks() -> None:
    sized = ask(answering(b"hello", headers=(("Content-Length", "5"),)))
    assert (sized.body, sized.get("transfer-encoding")) == (b"hello", None)
    assert (sized.get("date") or "").endswith("GMT")
    pieces = ask(answering(b"hel", b"", b"lo", headers=(("Content-Length", "5"),)))
    assert (pieces.body, pieces.get("content-length")) == (b"hello", "5")
    chunked = ask(answering(b"hel", b"", b"lo"))
    assert (chunked.body, chunked.get("transfer-encoding")) == (b"hello", "chunked")


def test_an_application_may_be_a_generator() -> None:
    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("202 Accepted", [("Content-Type", "text/plain")])
        yield b"one"
        yield b"two"

    answer = ask(app)
    assert (answer.status, answer.body) == (202, b"onetwo")


def test_hop_by_hop_headers_of_an_application_are_not_sent() -> None:
    headers = (
        ("Connection", "close"),
        ("Transfer-Encoding", "gzip"),
        ("Keep-Alive", "x"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
    )
    answer = ask(answering(b"x", headers=headers))
    assert answer.all("transfer-encoding") == ["chunked"]
    assert answer.all("set-cookie") == ["a=1", "b=2"]
    assert answer.get("connection") is None and answer.get("keep-alive") is None


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b", "\u2603"])
def test_a_header_that_would_split_the_answer_is_500(
    value: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = ask(answering(b"x", headers=(("X-Echo", value),)))
    assert answer.status == 500
    assert answer.get("x-evil") is None


def test_more_bytes_than_announced_are_not_sent() -> None:
    for pieces in ((b"hello world",), (b"hel", b"lo world", b"!")):
        with serving(answering(*pieces, headers=(("Content-Length", "5"),))) as client:
            wire = client()
            wire.send(GET * 2)
            assert [wire.read_message().body for _ in range(2)] == [b"hello", b"hello"]


def test_fewer_bytes_than_announced_cut_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    for pieces in ((b"he",), (b"he", b"l"), ()):
        with pytest.raises((EOFError, ConnectionResetError)):
            ask(answering(*pieces, headers=(("Content-Length", "5"),)))
    assert "too early" in caplog.text


@pytest.mark.parametrize(
    ("method", "status"),
    [
        (b"GET", "204 No Content"),
        (b"GET", "304 Not Modified"),
        (b"HEAD", "304 Not Modified"),
        (b"HEAD", "200 OK"),
    ],
)
def test_answers_without_a_body_keep_the_connection(method: bytes, status: str) -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response(status, [("ETag", '"x"'), ("Content-Length", "4")])
        return [b"body"]

    with serving(app) as client:
        wire = client()
        wire.send(GET.replace(b"GET", method) * 2)
        for _ in range(2):
            answer = wire.read_message(no_body=True)
            assert answer.get("etag") == '"x"'
            assert answer.get("content-length") == ("4" if status == "200 OK" else None)


def test_head_of_a_stream_announces_no_length() -> None:
    answer = ask(answering(b"a", b"b"), GET.replace(b"GET", b"HEAD"))
    assert answer.get("content-length") is None


def test_http_1_0_gets_a_stream_until_close() -> None:
    with serving(answering(b"hel", b"lo")) as client:
        wire = client()
        wire.send(b"GET / HTTP/1.0\r\n\r\n")
        answer = wire.read_message()
        assert (answer.body, answer.get("connection")) == (b"hello", "close")
        assert answer.get("transfer-encoding") is None


def raising(kind: type[BaseException]) -> WSGIApp:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        raise kind("broken on purpose")

    return app


@pytest.mark.parametrize("kind", [RuntimeError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_an_application_that_raises_is_500_and_its_thread_lives_on(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    with serving(raising(kind), threads=1) as client:
        wire = client()
        for _ in range(3):
            wire.send(GET)
            assert wire.read_message().status == 500
    assert "broken on purpose" in caplog.text


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_a_stream_that_fails_halfway_is_cut(version: bytes, caplog: Any) -> None:
    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"one"
        told.wait(10)
        raise RuntimeError("broken on purpose")

    told = threading.Event()
    with serving(app) as client:
        wire = client()
        wire.send(GET.replace(b"1.1", version))
        wire.read_until(b"one")
        told.set()
        if version == b"1.1":
            assert wire.read_to_end() == b"\r\n"
        else:
            with pytest.raises(ConnectionResetError):
                wire.read_to_end()


def test_start_response_is_for_once_or_for_errors_before_the_answer() -> None:
    def twice(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        start_response("200 OK", [])
        return [b"x"]

    def replaced(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        try:
            raise ValueError("late")
        except ValueError as exc:
            start_response("418 Teapot", [], (ValueError, exc, exc.__traceback__))
        return [b"x"]

    assert ask(twice).status == 500
    assert ask(replaced).status == 418


def test_the_answer_is_closed_however_it_ends() -> None:
    class Pieces:
        def __init__(self, *pieces: bytes) -> None:
            self.pieces = pieces
            self.closed = threading.Event()

        def __iter__(self) -> Iterator[bytes]:
            yield from self.pieces
            if b"fail" in self.pieces:
                raise RuntimeError("broken on purpose")

        def close(self) -> None:
            self.closed.set()

    for pieces in (Pieces(b"a", b"b"), Pieces(b"fail")):

        def app(environ: Environ, start_response: Any, pieces: Pieces = pieces) -> Pieces:
            start_response("200 OK", [])
            return pieces

        with serving(app) as client:
            wire = client()
            wire.send(GET)
            assert pieces.closed.wait(10)


def test_a_stream_of_flask_is_closed_when_its_client_leaves() -> None:
    flask = Flask(__name__)
    closed, left_at = threading.Event(), [0.0]

    @flask.get("/stream")
    def _stream() -> Response:
        def pieces() -> Iterator[str]:
            try:
                for number in range(100_000):
                    yield f"data: {number}\n\n"
                    time.sleep(0.005)
            finally:
                left_at[0] = time.monotonic()
                closed.set()

        return Response(stream_with_context(pieces()), mimetype="text/event-stream")

    with serving(flask) as client:
        wire = client()
        wire.send(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        wire.read_until(b"data: 3")
        left = time.monotonic()
        wire.close()
        assert closed.wait(10)
        assert left_at[0] - left < 2


def test_each_piece_of_a_stream_is_sent_as_soon_as_it_is_there() -> None:
    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        for number in range(3):
            yield b"%d" % number
            assert told.wait(10)
            told.clear()

    told = threading.Event()
    with serving(app) as client:
        wire = client()
        wire.send(GET)
        for number in range(3):
            wire.read_until(b"1\r\n%d\r\n" % number)
            told.set()
        assert wire.read_exactly(5) == b"0\r\n\r\n"


def test_a_slow_client_holds_the_application_back() -> None:
    produced = [0]
    closed = threading.Event()

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            for _ in range(5000):
                produced[0] += 1
                yield b"x" * 65_000
        finally:
            closed.set()

    with serving(app) as client:
        wire = client()
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        wire.send(GET)
        wire.read_until(b"\r\n\r\n")
        before = -1
        while before != produced[0]:
            before = produced[0]
            time.sleep(0.2)
        assert produced[0] < 500
        wire.read_exactly(20_000_000)
        wait_until(lambda: produced[0] > before)
        wire.close()
        assert closed.wait(10)


def test_a_client_that_leaves_while_its_handler_waits_for_a_slow_client_frees_the_thread() -> None:
    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        while True:
            yield b"x" * 65_000

    def quick(environ: Environ, start_response: Any) -> Any:
        return (app if environ["PATH_INFO"] == "/long" else answering(b"ok"))(
            environ, start_response
        )

    with serving(quick, threads=1) as client:
        wire = client()
        wire.send(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
        wire.read_until(b"\r\n\r\n")
        time.sleep(0.3)
        wire.reset()
        second = client()
        second.send(GET)
        assert second.read_message().body == b"ok"


def test_a_client_that_left_before_its_stream_began_frees_the_thread() -> None:
    class Left:
        over = False

    exchange: Any = Left()
    flow = Flow(exchange)
    raised = threading.Event()

    def run_ahead() -> None:
        with pytest.raises(ClientLeft):
            while True:
                flow.wait()
        raised.set()

    thread = threading.Thread(target=run_ahead, daemon=True)
    thread.start()
    assert not raised.wait(0.1)
    exchange.over = True
    flow.begin()
    assert raised.wait(10)
    thread.join(10)


def test_requests_whose_client_left_while_they_waited_are_not_begun() -> None:
    seen: list[str] = []
    told, begun = threading.Event(), threading.Event()

    def app(environ: Environ, start_response: Any) -> Any:
        seen.append(environ["QUERY_STRING"])
        begun.set()
        told.wait(10)
        return answering(b"ok")(environ, start_response)

    with ExitStack() as stack:
        server = stack.enter_context(RunningServer(app, threads=1))
        wires = [stack.enter_context(connect(server.address)) for _ in range(3)]
        for number, wire in enumerate(wires):
            wire.send(b"GET /?%d HTTP/1.1\r\nHost: a\r\n\r\n" % number)
            assert begun.wait(10)
        wait_until(lambda: server.call(lambda: server._handlers.waiting) == 2)
        wires[1].close()
        wait_until(lambda: server.call(lambda: len(server.server.connections)) == 2)
        told.set()
        assert wires[2].read_message().body == b"ok"
    assert seen == ["0", "2"]


def test_a_full_queue_before_the_threads_is_503() -> None:
    told, begun = threading.Event(), threading.Event()

    def app(environ: Environ, start_response: Any) -> Any:
        begun.set()
        told.wait(10)
        return answering(b"ok")(environ, start_response)

    with ExitStack() as stack:
        limits = Limits(wsgi_queue=1)
        server = stack.enter_context(RunningServer(app, threads=1, limits=limits))
        wires = [stack.enter_context(connect(server.address)) for _ in range(3)]
        wires[0].send(GET)
        assert begun.wait(10)
        wires[1].send(GET)
        wait_until(lambda: server.call(lambda: server._handlers.waiting) == 1)
        wires[2].send(GET)
        answer = wires[2].read_message()
        assert (answer.status, answer.get("retry-after")) == (503, "1")
        told.set()
        assert [wire.read_message().body for wire in wires[:2]] == [b"ok", b"ok"]


def test_a_handler_left_for_the_loop_that_fails_is_500(caplog: pytest.LogCaptureFixture) -> None:
    def broken(exchange: Any) -> None:
        raise RuntimeError("broken on purpose")

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        environ["pyworker.handler"] = broken
        return []

    assert ask(app).status == 500
    assert "broken on purpose" in caplog.text


def test_flask_works_as_it_does_elsewhere() -> None:
    flask = Flask(__name__)

    @flask.route("/echo/<path:name>", methods=["GET", "POST"])
    def _echo(name: str) -> tuple[Any, int]:
        return {"name": name, "args": request.args, "json": request.get_json(silent=True)}, 201

    @flask.get("/file")
    def _file() -> Response:
        return Response(io.BytesIO(b"x" * 100_000), direct_passthrough=True)

    with serving(flask) as client:
        wire = client()
        wire.send(
            b"POST /echo/a%2Fb/%E2%82%AC?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n"
            b'Content-Type: application/json\r\n\r\n{"a":1}'
        )
        answer = wire.read_message()
        assert answer.status == 201
        assert b'"name":"a/b/\\u20ac"' in answer.body and b'"json":{"a":1}' in answer.body
        wire.send(b"GET /file HTTP/1.1\r\nHost: a\r\n\r\n")
        assert len(wire.read_message().body) == 100_000
        wire.send(b"OPTIONS /echo/x HTTP/1.1\r\nHost: a\r\n\r\n")
        assert set((wire.read_message().get("allow") or "").split(", ")) >= {"GET", "POST", "HEAD"}
        wire.send(b"DELETE /echo/x HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wire.read_message().status == 405
        wire.send(b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wire.read_message().status == 404
