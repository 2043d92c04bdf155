"""Ending a session without TLS, beside a worker that serves TLS: that, and nothing else."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from worker_rig import API_KEY, JSON, LIMIT_S, Answer, Call, wait_until, worker_of

from vast_pyworker.engine.certificates import contexts
from vast_pyworker.engine.running import RunningServer
from vast_pyworker.settings import Settings
from vast_pyworker.worker import forward
from vast_pyworker.worker.app import create_app
from vast_pyworker.worker.traffic.plain_http import PlainHttp, only_session_end, plain_port

KEY = {"Authorization": f"Bearer {API_KEY}"}


@pytest.mark.parametrize(
    ("environ", "port"),
    [
        ({}, None),
        ({"USE_SSL": "true"}, None),
        ({"CONTAINER_ID": "1"}, None),
        ({"WORKER_HTTP_PORT": "4000"}, None),
        ({"USE_SSL": "true", "CONTAINER_ID": "1"}, 3001),
        ({"USE_SSL": "true", "CONTAINER_ID": "1", "WORKER_PORT": "81"}, 82),
        ({"USE_SSL": "true", "WORKER_HTTP_PORT": "4000"}, 4000),
        ({"USE_SSL": "true", "CONTAINER_ID": "1", "WORKER_HTTP_PORT": "4000"}, 4000),
    ],
)
def test_where_it_is_served(environ: dict[str, str], port: int | None) -> None:
    settings = Settings.from_env(environ)
    assert plain_port(settings) == port
    assert (PlainHttp.of(create_app(worker_of({}, "http://127.0.0.1:9")), settings) is None) == (
        port is None
    )


def test_a_worker_on_a_socket_has_no_port_beside_it() -> None:
    settings = Settings.from_env(
        {"USE_SSL": "true", "CONTAINER_ID": "1", "PYWORKER_HOST": "unix:/run/worker"}
    )
    assert PlainHttp.of(create_app(worker_of({}, "http://127.0.0.1:9")), settings) is None


class Beside:
    """A worker that serves TLS, and the plain server beside it."""

    def __init__(self, tls: RunningServer, client: ssl.SSLContext, plain: PlainHttp) -> None:
        self.tls, self.client, self.plain = tls, client, plain

    def by_tls(self, method: str, path: str, body: Any = None) -> Answer:
        host, port = self.tls.address
        assert isinstance(port, int)
        connection = http.client.HTTPSConnection(
            str(host), port, timeout=LIMIT_S, context=self.client
        )
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, JSON | KEY)
        response = connection.getresponse()
        answer = Answer(response.status, dict(response.getheaders()), response.read())
        connection.close()
        return answer

    def plainly(self, method: str, path: str, body: Any = None) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        return Call(self.plain.address, method, path, data, JSON | KEY).read()


@contextmanager
def beside(folder: Path) -> Iterator[Beside]:
    worker = worker_of({"POST": {"generate": forward("/generate")}}, "http://127.0.0.1:9")
    app = create_app(worker)
    server, client = contexts(folder)
    plain = PlainHttp(app, "127.0.0.1", 0)
    with RunningServer(app, tls=server) as running:
        running.call(lambda: plain.start(running.loop))
        try:
            yield Beside(running, client, plain)
        finally:
            running.call(plain.drain)
            plain.stop()


def test_a_session_opened_by_tls_is_ended_plainly(tmp_path: Path) -> None:
    with beside(tmp_path) as here:
        opened = here.by_tls("POST", "/session/create", {"auth_data": {}, "payload": {}})
        assert opened.status == 201
        body = {"session_id": opened.json["session_id"], "session_auth": {"not": "its own"}}
        assert here.plainly("POST", "/session/end", body).status == 401
        ended = here.plainly("POST", "/session/end", {**body, "session_auth": {}})
        assert ended.json == {"ended": True, "removed_session": body["session_id"]}
        assert here.by_tls("POST", "/session/health", body).json == {"ok": False}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/session/end"),
        ("POST", "/session/create"),
        ("POST", "/session/get"),
        ("POST", "/generate"),
        ("GET", "/livez"),
        ("GET", "/pyworker/status"),
        ("POST", "/pyworker/update"),
        ("POST", "/session/end/"),
        ("POST", "//session/end"),
        ("DELETE", "/pyworker/requests/x"),
    ],
)
def test_nothing_else_is_served(tmp_path: Path, method: str, path: str) -> None:
    with beside(tmp_path) as here:
        answer = here.plainly(method, path, {} if method == "POST" else None)
        assert answer.status == 404
        assert answer.json == {"error": "Only POST /session/end is served without TLS."}


def test_it_hears_no_more_once_the_worker_drains(tmp_path: Path) -> None:
    with beside(tmp_path) as here:
        here.tls.call(here.plain.drain)
        wait_until(lambda: is_deaf(here.plain), "end of listening")
        assert here.by_tls("GET", "/livez").status == 200


@pytest.mark.parametrize("port", [None, 65536])
def test_a_port_that_cannot_be_had_is_one_warning(
    caplog: pytest.LogCaptureFixture, port: int | None
) -> None:
    app = create_app(worker_of({}, "http://127.0.0.1:9"))
    with socket.create_server(("127.0.0.1", 0)) as taken, RunningServer(app) as running:
        plain = PlainHttp(app, "127.0.0.1", port or taken.getsockname()[1])
        running.call(lambda: plain.start(running.loop))
        running.call(plain.drain)
        plain.stop()
        host, at = running.address
        assert Call((str(host), int(at)), "GET", "/livez").read().status == 200
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "set WORKER_HTTP_PORT" in caplog.text


def test_a_port_that_becomes_free_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    """At a reload the worker before has it until its last request is answered."""
    app = create_app(worker_of({}, "http://127.0.0.1:9"))
    with socket.create_server(("127.0.0.1", 0)) as taken, RunningServer(app) as running:
        plain = PlainHttp(app, "127.0.0.1", taken.getsockname()[1], retry_s=0.01)
        running.call(lambda: plain.start(running.loop))
        taken.close()
        wait_until(lambda: hasattr(plain, "address"), "the port")
        wait_until(lambda: not is_deaf(plain), "listening")
        assert Call(plain.address, "GET", "/").read().status == 404
        running.call(plain.drain)
        plain.stop()
    assert len(caplog.records) == 1


def is_deaf(plain: PlainHttp) -> bool:
    try:
        socket.create_connection(plain.address, 1.0).close()
    except OSError:
        return True
    return False


def test_the_guard_stands_before_any_application() -> None:
    told: list[str] = []

    def start(status: str, headers: Any, exc_info: Any = None) -> Any:
        told.append(status)

    guarded = only_session_end(lambda environ, start_response: [b"inside"])
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/session/end"}
    assert list(guarded(environ, start)) == [b"inside"]
    assert list(guarded({**environ, "REQUEST_METHOD": "PUT"}, start)) != [b"inside"]
    assert told == ["404 Not Found"]
