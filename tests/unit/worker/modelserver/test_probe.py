"""Health checks against real servers, and what many of them amount to."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from vast_pyworker.worker.fakes import OK, REFUSED, TIMED_OUT, UNWELL
from vast_pyworker.worker.modelserver.asking import address_of, fetch, post_json
from vast_pyworker.worker.modelserver.probe import (
    Pulse,
    Verdict,
    health_probe,
    port_probe,
    with_health_hook,
)

TIMEOUT_S = 10.0


class Handler(BaseHTTPRequestHandler):
    """``/STATUS`` answers with that status; what was posted is kept."""

    posted: ClassVar[list[bytes]]

    def do_GET(self):
        self._answer(int(self.path.strip("/") or 200), b"body of the answer")

    def do_POST(self):
        self.posted.append(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(200, b"{}")

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    class Kept(Handler):
        posted: ClassVar = []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Kept)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join(TIMEOUT_S)
    server.server_close()


def url_of(server, path="/"):
    return f"http://127.0.0.1:{server.server_port}{path}"


@contextmanager
def raw_server(talk):
    """A server of one connection, which ``talk`` is handed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            with connection:
                talk(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/health"
        thread.join(TIMEOUT_S)


@pytest.fixture
def closed_port():
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize("status", [200, 204, 302])
def test_a_good_answer_is_well(server, status):
    result = health_probe(url_of(server, f"/{status}"), TIMEOUT_S)()
    assert (result.verdict, result.status, result.ok) == (Verdict.OK, status, True)
    assert result.port_open is True
    assert result.seconds > 0


@pytest.mark.parametrize("status", [404, 500, 503])
def test_a_bad_status_is_told(server, status):
    result = health_probe(url_of(server, f"/{status}"), TIMEOUT_S)()
    assert (result.verdict, result.status) == (Verdict.BAD_STATUS, status)
    assert result.detail == f"its health check says {status}"
    assert result.port_open is True


def test_a_closed_port_refuses(closed_port):
    result = health_probe(f"http://127.0.0.1:{closed_port}/health", TIMEOUT_S)()
    assert result.verdict is Verdict.REFUSED
    assert result.port_open is False


def test_a_server_that_is_silent_times_out():
    release = threading.Event()
    with raw_server(lambda connection: release.wait(TIMEOUT_S)) as url:
        result = health_probe(url, 0.1)()
        release.set()
    assert result.verdict is Verdict.TIMEOUT
    assert result.port_open is None
    assert "0.1 s" in result.detail


def test_a_server_that_drips_times_out_all_the_same():
    done = threading.Event()

    def drip(connection):
        connection.settimeout(TIMEOUT_S)
        while not done.wait(0.02):
            try:
                connection.send(b"H" if done.is_set() else b"X")
            except OSError:
                return

    with raw_server(drip) as url:
        result = health_probe(url, 0.3)()
        done.set()
    assert result.verdict in (Verdict.TIMEOUT, Verdict.BROKEN)
    assert result.seconds < TIMEOUT_S


def test_a_connection_that_is_cut_is_broken():
    with raw_server(lambda connection: connection.recv(1)) as url:
        result = health_probe(url, TIMEOUT_S)()
    assert result.verdict is Verdict.BROKEN
    assert "broke" in result.detail


def test_an_answer_that_is_no_http_is_broken():
    with raw_server(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")) as url:
        assert health_probe(url, TIMEOUT_S)().verdict is Verdict.BROKEN


def test_an_open_port_is_enough_where_no_more_is_known(server, closed_port):
    assert port_probe(url_of(server), TIMEOUT_S)().ok
    refused = port_probe(f"http://127.0.0.1:{closed_port}", TIMEOUT_S)()
    assert refused.verdict is Verdict.REFUSED


def test_a_unix_socket_is_probed_and_absent_it_refuses(tmp_path):
    path = tmp_path / "model.sock"
    url = f"unix:{path}:/health"
    assert health_probe(url, TIMEOUT_S)().verdict is Verdict.REFUSED
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve():
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(65536).startswith(b"GET /health HTTP/1.1\r\n")
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        assert health_probe(url, TIMEOUT_S)().ok
        thread.join(TIMEOUT_S)


def test_a_server_that_answers_and_closes_at_once_is_well(tmp_path):
    path, rounds = tmp_path / "model.sock", 500
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve():
            for _ in range(rounds):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        probe = health_probe(f"unix:{path}:/health", TIMEOUT_S)
        assert [result.detail for result in (probe() for _ in range(rounds)) if not result.ok] == []
        thread.join(TIMEOUT_S)


def test_proxies_of_the_environment_are_not_asked(server, monkeypatch, closed_port):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port}")
    assert health_probe(url_of(server, "/200"), TIMEOUT_S)().ok


def test_the_backends_own_word_counts_once_the_server_is_well(server):
    well = health_probe(url_of(server, "/200"), TIMEOUT_S)
    ill = health_probe(url_of(server, "/503"), TIMEOUT_S)
    assert with_health_hook(well, lambda: True)().ok
    assert with_health_hook(None, lambda: True)().ok
    assert with_health_hook(well, lambda: False)().verdict is Verdict.BAD_STATUS
    assert with_health_hook(ill, lambda: True)().status == 503


def test_a_health_hook_that_raises_is_unwell(server):
    def hook():
        raise ValueError("queue.json is empty")

    result = with_health_hook(None, hook)()
    assert result.verdict is Verdict.BROKEN
    assert "queue.json is empty" in result.detail


def test_a_page_is_fetched_and_a_bad_one_raises(server):
    assert fetch(address_of(url_of(server, "/200")), TIMEOUT_S) == b"body of the answer"
    with pytest.raises(ConnectionError, match="404"):
        fetch(address_of(url_of(server, "/404")), TIMEOUT_S)


def test_json_is_posted(server):
    assert post_json(address_of(url_of(server, "/report_loaded")), b'{"a":1}', TIMEOUT_S) == 200
    assert server.RequestHandlerClass.posted == [b'{"a":1}']


def noted(*answers, advancing=False, every_s=10.0):
    pulse = Pulse(patience_s=60.0)
    for number, answer in enumerate(answers):
        pulse.note(answer, number * every_s, advancing=advancing)
    return pulse


def test_failures_count_in_a_row_and_a_success_ends_them():
    pulse = noted(REFUSED, UNWELL, TIMED_OUT)
    assert (pulse.failures, pulse.successes) == (3, 0)
    pulse.note(OK, 40.0, advancing=False)
    assert (pulse.failures, pulse.successes, pulse.failures_total) == (0, 1, 3)


def test_a_slow_server_that_gets_work_done_does_not_fail():
    assert noted(*[TIMED_OUT] * 100, advancing=True).failures == 0
    assert noted(*[TIMED_OUT] * 3, advancing=False).failures == 3


def test_a_server_that_says_no_while_it_works_is_believed_after_a_while():
    assert noted(*[UNWELL] * 6, advancing=True).failures == 0
    assert noted(*[UNWELL] * 9, advancing=True).failures == 3


def test_a_closed_port_fails_whatever_else_moves():
    assert noted(REFUSED, REFUSED, REFUSED, advancing=True).failures == 3


def test_another_process_begins_without_a_past():
    pulse = noted(REFUSED, REFUSED)
    pulse.forget()
    assert (pulse.failures, pulse.last) == (0, None)
    assert pulse.failures_total == 2
