"""The engine beside gunicorn's own thread worker: the same application gives the same answers.

``gunicorn test_differential:build_app()`` serves the other side.
"""

from __future__ import annotations

import io
import os
import random
import string
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from flask import Flask, Response, abort, jsonify, make_response, redirect, request

from vast_pyworker.engine import Limits
from vast_pyworker.engine.fakes import Address, Message, Wire, connect
from vast_pyworker.engine.running import RunningServer

REQUESTS = 1000
ROOT = Path(__file__).resolve().parents[2]
METHODS = (
    *("GET", "POST") * 4,
    *("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "PROPFIND", "TRACE"),
)
COMPARED = ("content-type", "content-length", "location", "set-cookie", "x-own", "retry-after")


def build_app() -> Flask:
    app = Flask(__name__)
    app.logger.disabled = True

    @app.route("/echo", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    @app.route("/echo/<path:rest>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    def _echo(rest: str = "") -> Response:
        said = {
            "method": request.method,
            "path": request.path,
            "rest": rest,
            "query": request.query_string.decode("latin-1"),
            "args": request.args.to_dict(flat=False),
            "form": request.form.to_dict(flat=False),
            "headers": {name: request.headers.get(name) for name in ("X-Own", "Accept", "Cookie")},
            "type": request.content_type,
            "json": request.get_json(silent=True),
            "body": request.get_data().decode("latin-1"),
            "host": request.host,
            "url": request.url,
            "scheme": request.scheme,
            "peer": request.remote_addr,
        }
        answer = jsonify(said)
        answer.headers["X-Own"] = request.headers.get("X-Own", "none").encode().decode("latin-1")
        return answer

    @app.get("/stream/<int:count>")
    def _stream(count: int) -> Response:
        pieces = (f"data: {number}\n\n" for number in range(count))
        return Response(pieces, mimetype="text/event-stream")

    @app.get("/status/<int:status>")
    def _status(status: int) -> Response:
        return Response("" if status in (204, 304) else "said", status)

    @app.get("/cookies")
    def _cookies() -> Response:
        answer = make_response("baked")
        answer.set_cookie("a", "1")
        answer.set_cookie("b", "2", httponly=True)
        return answer

    @app.get("/file/<int:size>")
    def _file(size: int) -> Response:
        return Response(io.BytesIO(b"x" * size), direct_passthrough=True, content_type="a/b")

    @app.route("/redirect")
    def _redirect() -> object:
        return redirect("/echo?from=redirect")

    @app.route("/fail", methods=["GET", "POST"])
    def _fail() -> str:
        raise RuntimeError("broken on purpose")

    @app.post("/read/<int:size>")
    def _read_some(size: int) -> bytes:
        return request.stream.read(size)

    @app.get("/abort/<int:status>")
    def _abort(status: int) -> str:
        abort(status)

    return app


def requests() -> Iterator[tuple[str, bytes]]:
    """Methods and whole requests, the same in every run."""
    source = random.Random(20240601)
    for _ in range(REQUESTS):
        method = source.choice(METHODS)
        headers = _headers(source)
        body, framing = _body(source, method)
        line = f"{method} {_path(source)}{_query(source)} HTTP/1.1\r\nHost: worker:3000\r\n"
        yield method, (line + headers + framing + "\r\n").encode("latin-1") + body


def _path(source: random.Random) -> str:
    known = ("/echo", "/stream/3", "/stream/0", "/cookies", "/redirect", "/fail", "/none", "/")
    sized = (
        f"/status/{source.choice((200, 201, 204, 304, 404, 418, 500, 503))}",
        f"/file/{source.choice((0, 1, 70_000))}",
        f"/abort/{source.choice((400, 401, 404, 429, 503))}",
        f"/read/{source.choice((0, 5, 100))}",
    )
    text = "".join(source.choices(string.printable + "\u00e9\u20ac/%", k=source.randrange(12)))
    odd = (
        "/echo/" + quote(text),
        "/echo/a%2Fb",
        "/echo/%zz",
        "/echo//x",
        "/%65cho",
        "//echo",
        "/echo/%00",
    )
    return source.choice((*known, *sized, *odd, *odd, "/echo", "/echo"))


def _query(source: random.Random) -> str:
    pairs = [
        f"{quote(''.join(source.choices(string.printable, k=source.randrange(5))))}={number}"
        for number in range(source.randrange(4))
    ]
    return source.choice(("", "", "?", "?x", "?a=b&a=c&%20=+", "?" + "&".join(pairs)))


def _headers(source: random.Random) -> str:
    choices = (
        "X-Own: yes\r\n",
        "X-Own: caf\xe9\r\n",
        "X-Own:\r\n",
        "Accept: */*\r\n",
        "Cookie: a=1; b=2\r\n",
        "X_Own: hidden\r\n",
        "Accept-Encoding: gzip\r\n",
        "User-Agent: fuzz/1\r\n",
    )
    return "".join(source.sample(choices, source.randrange(4)))


def _body(source: random.Random, method: str) -> tuple[bytes, str]:
    if method in ("GET", "HEAD", "OPTIONS", "TRACE") and source.random() < 0.8:
        return b"", ""
    body = source.choice(
        (
            b"",
            b'{"a": [1, 2]}',
            b"{broken",
            b"a=1&b=2&a=3",
            source.randbytes(source.randrange(3000)),
        )
    )
    kind = source.choice(("", "application/json", "application/x-www-form-urlencoded", "a/b"))
    framing = f"Content-Type: {kind}\r\n" if kind else ""
    if source.random() < 0.5:
        return body, framing + f"Content-Length: {len(body)}\r\n"
    sent, left = b"", body
    while left:
        size = source.randrange(1, 1000)
        piece, left = left[:size], left[size:]
        sent += b"%x\r\n%b\r\n" % (len(piece), piece)
    return sent + b"0\r\n\r\n", framing + "Transfer-Encoding: chunked\r\n"


class Client:
    """One connection at a time, opened again where the server closed it."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._wire: Wire | None = None

    def ask(self, method: str, data: bytes) -> Message:
        wire = self._wire = self._wire or connect(self._address)
        wire.send(data)
        answer = wire.read_message(no_body=method == "HEAD")
        if (answer.get("connection") or "").lower() == "close":
            self.close()
        return answer

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None


@contextmanager
def gunicorn_threads(folder: Path) -> Iterator[Address]:
    log = folder / "gthread.log"
    command = [sys.executable, "-m", "gunicorn", "-k", "gthread", "--threads", "4"]
    command += ["-b", "127.0.0.1:0", "--keep-alive", "30", "--no-control-socket"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "test_differential:build_app()"],
            cwd=Path(__file__).parent,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        until = time.monotonic() + 30
        while "Booting worker" not in log.read_text():
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        url = log.read_text().split("Listening at: http://")[1].split()[0]
        host, _, port = url.partition(":")
        yield host, int(port)
    finally:
        process.terminate()
        process.wait(20)


def compared(answer: Message) -> dict[str, object]:
    """What a client may rely on; who framed it how is the server's business."""
    seen: dict[str, object] = {name: answer.all(name) for name in COMPARED}
    seen["allow"] = sorted((answer.get("allow") or "").split(", "))
    seen["status"] = answer.status
    seen["body"] = answer.body
    return seen


def test_a_thousand_requests_are_answered_as_gunicorn_answers_them(tmp_path: Path) -> None:
    statuses: dict[int, int] = {}
    with (
        gunicorn_threads(tmp_path) as theirs,
        RunningServer(build_app(), limits=Limits(idle_s=60)) as ours,
    ):
        clients = Client(theirs), Client(ours.address)
        for number, (method, data) in enumerate(requests()):
            expected, got = (compared(client.ask(method, data)) for client in clients)
            assert got == expected, f"request {number}: {data[:500]!r}"
            status = got["status"]
            assert isinstance(status, int)
            statuses[status] = statuses.get(status, 0) + 1
        for client in clients:
            client.close()
    assert sum(statuses.values()) == REQUESTS
    assert {200, 204, 302, 304, 404, 405, 500} <= set(statuses), statuses
