"""Backends in the style of 2024, unchanged, under the real server.

Each is found through PYWORKER_BACKENDS, speaks to a model server over HTTP, is watched through the
model's log and heard by an autoscaler. They are ours; what they use is what one used then.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from vast_pyworker.worker.fake_autoscaler import FakeAutoscaler

ROOT = Path(__file__).resolve().parents[2]
LEGACY = ROOT / "tests" / "data" / "legacy_backends"
TOKEN = "a master token"
LIMIT_S = 60.0
PROMPT = {"inputs": "once upon a time", "parameters": {"max_new_tokens": 12}}
DRAWING = {"prompt": "a fox", "width": 64, "height": 32, "steps": 2}


class ModelServer(BaseHTTPRequestHandler):
    """A small model: as many words as asked for, whole or one by one; a ``status`` if asked for."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = asked.get("status", 200)
        if self.path == "/generate_stream":
            self.stream(asked["parameters"]["max_new_tokens"])
        elif self.path == "/generate":
            self.answer(status, {"generated_text": "word " * asked["parameters"]["max_new_tokens"]})
        elif self.path == "/v1/chat":
            self.answer(status, {"results": [{"text": "word " * asked["max_new_tokens"]}]})
        else:
            self.answer(status, {"images": ["aGVsbG8="]})

    def do_GET(self) -> None:
        self.answer(200, {"model": "small"})

    def answer(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, words: int) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        for number in range(words):
            self.wfile.write(f'data: {{"token": "word {number}"}}\n'.encode())
            self.wfile.flush()
        self.close_connection = True

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@dataclass
class World:
    """One worker and what is around it."""

    url: str
    autoscaler: FakeAutoscaler
    log: Path
    process: subprocess.Popen[bytes]

    def post(self, path: str, body: Any) -> requests.Response:
        return requests.post(self.url + path, json=body, timeout=LIMIT_S)

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=LIMIT_S)

    def signed(self, body: dict[str, Any]) -> dict[str, Any]:
        """A body as one sent it in 2024: the grant's fields beside the model's."""
        grant = self.autoscaler.grant(self.url, "four")
        names = ("cost", "endpoint", "reqnum", "url", "signature")
        return {**{name: grant[name] for name in names}, **body}

    def write(self, line: str) -> None:
        """The model writes a line to its log."""
        with self.log.open("a") as log:
            log.write(line + "\n")

    def report(self, wanted: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """The first report that is as wanted."""
        heard = self.autoscaler.wait(lambda a: any(map(wanted, a.reports)), LIMIT_S)
        assert heard, f"no such report among {self.autoscaler.reports}"
        return next(report for report in self.autoscaler.reports if wanted(report))


@pytest.fixture
def model_server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), ModelServer)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def serve(model_server: str, tmp_path: Path) -> Any:
    """``with serve(name) as world``: the worker of that backend, as on an instance."""

    @contextmanager
    def served(backend: str, **settings: str) -> Iterator[World]:
        log = tmp_path / "model.log"
        log.touch()
        port = free_port()
        with FakeAutoscaler() as autoscaler, (tmp_path / "worker.log").open("wb") as output:
            environ = {
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "PYWORKER_BACKENDS": str(LEGACY),
                "PYWORKER_STATE": str(tmp_path / "state"),
                "PYWORKER_HOST": "127.0.0.1",
                "PUBLIC_IPADDR": "127.0.0.1",
                "CONTAINER_ID": "7",
                "MASTER_TOKEN": TOKEN,
                "REPORT_ADDR": autoscaler.url,
                "USE_SSL": "false",
                "AUTH_PORT": str(port),
                "MODEL_ADDR": model_server,
                "MODEL_LOG": str(log),
                "DRAIN_TIMEOUT": "2",
                **settings,
            }
            command = [sys.executable, "-m", "vast_pyworker.cli", "serve", backend]
            process = subprocess.Popen(
                command, cwd=tmp_path, env=environ, stdout=output, stderr=output
            )
            try:
                wait_for(lambda: is_alive(port, process), "an answer")
                yield World(f"http://127.0.0.1:{port}", autoscaler, log, process)
            finally:
                end(process)

    return served


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def is_alive(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the worker has ended"
    try:
        return requests.get(f"http://127.0.0.1:{port}/livez", timeout=5).ok
    except requests.ConnectionError:
        return False


def wait_for(true: Callable[[], Any], what: str) -> Any:
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        found = true()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"no {what} within {LIMIT_S:.0f} s")


def end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class TestTextgen:
    """GenericBackend, GenericMetrics with its constructor last, GenericLogWatch with a test."""

    def test_a_signed_request_is_answered_by_the_model_once(self, serve):
        with serve("textgen") as world:
            body = world.signed(PROMPT)
            answer = world.post("/generate", body)
            assert answer.status_code == 200
            assert answer.json() == {"generated_text": "word " * 12}
            assert world.post("/generate", body).status_code == 401

    def test_an_unsigned_request_is_refused_on_an_instance_and_taken_where_it_is_welcome(
        self, serve
    ):
        with serve("textgen") as world:
            assert world.post("/generate", PROMPT).status_code == 401
        with serve("textgen", UNSECURED="true") as world:
            assert world.post("/generate", PROMPT).status_code == 200

    def test_a_stream_is_passed_on(self, serve):
        with serve("textgen") as world:
            answer = world.post("/generate_stream", world.signed(PROMPT))
            lines = answer.text.splitlines()
            assert lines[0] == 'data: {"token": "word 0"}'
            assert len(lines) == 12

    def test_the_models_own_errors_come_through(self, serve):
        with serve("textgen", UNSECURED="true") as world:
            assert world.post("/generate", {**PROMPT, "status": 422}).status_code == 422
            assert world.get("/info").json() == {"model": "small"}

    def test_what_the_log_says_is_reported_from_loading_to_load(self, serve):
        with serve("textgen") as world:
            world.write("starting model download")
            loading = world.report(lambda report: report.get("message") == "loading update")
            assert loading["id"] == 7
            assert loading["mtoken"] == TOKEN
            assert loading["disk_usage"] > 0
            world.write('{"level": "INFO", "message": "Setting max batch total tokens to 4096"}')
            world.report(lambda report: report.get("max_batch_tokens") == 4096)
            world.write('{"level": "INFO", "message": "Connected"}')
            loaded = world.report(lambda report: report.get("loaded"))
            assert loaded["max_perf"] == 250.0
            assert loaded["avg_latency"] == 0.75
            data = world.report(lambda report: report.get("message") == "data update")
            assert data["max_perf"] == 250.0
            assert data["max_capacity"] == 4096
            world.post("/generate", world.signed(PROMPT))
            load = 12 + len(PROMPT["inputs"]) / 4.0
            told = world.report(lambda report: report.get("cur_load") == load)
            assert told["num_requests_recieved"] == 1

    def test_an_error_in_the_log_is_reported_and_the_reports_go_on(self, serve):
        with serve("textgen") as world:
            world.write("starting model download")
            world.write('{"level": "ERROR", "message": "no memory"}')
            world.report(lambda report: report.get("error_msg") == "no memory")
            told = world.report(lambda report: report.get("error"))
            assert told["message"] == "data update"

    def test_failed_requests_do_not_pile_up_in_the_counters(self, serve):
        with serve("textgen", UNSECURED="true") as world:
            world.write('{"level": "INFO", "message": "Connected"}')
            for status in (500, 503, 422):
                world.post("/generate", {**PROMPT, "status": status})
            world.autoscaler.reports.clear()
            told = world.report(lambda report: report.get("message") == "data update")
            assert told["num_requests_working"] == 0
            assert told["cur_capacity"] == 0


class TestChat:
    """Keywords by **kwargs, metrics from a sister directory, an import inside a handler."""

    def test_a_request_is_answered_with_what_the_backend_picks_out(self, serve):
        with serve("chat") as world:
            answer = world.post("/api/v1/generate", {"prompt": "hello", "max_new_tokens": 2})
            assert (answer.status_code, answer.text) == (200, "word word ")

    def test_a_request_that_the_metrics_cannot_count_is_a_500_and_the_worker_lives(self, serve):
        with serve("chat") as world:
            assert world.post("/api/v1/generate", {"prompt": "hello"}).status_code == 500
            answer = world.post("/api/v1/generate", {"prompt": "hello", "max_new_tokens": 1})
            assert answer.status_code == 200


class TestPicture:
    """GenericMetrics with its constructor first, a log watch that measures nothing."""

    def test_a_drawing_comes_back_and_its_work_is_reported(self, serve):
        with serve("picture") as world:
            world.write("Loading weights [abc] from model.safetensors")
            world.write("Model loaded in 1.5s")
            loaded = world.report(lambda report: report.get("loaded"))
            assert "max_perf" not in loaded
            assert world.post("/sdapi/v1/txt2img", world.signed(DRAWING)).ok
            told = world.report(lambda report: report.get("cur_load") == 64 * 32 * 2)
            assert told["cur_perf"] > 0
            assert told["num_requests_working"] == 0

    def test_a_slow_request_in_the_log_is_overload(self, serve):
        with serve("picture") as world:
            world.write("Model loaded in 1.5s")
            world.write("POST /sdapi/v1/txt2img took 45.2")
            assert world.report(lambda report: report.get("overloaded"))["overloaded"] is True


class TestCounter:
    """A class that takes *args and no base, and tells the autoscaler by itself."""

    def test_every_method_reaches_its_handler(self, serve):
        with serve("counter") as world:
            assert (
                requests.put(world.url + "/count", json={"count": 4}, timeout=60).status_code == 204
            )
            assert world.get("/count?twice=1").json() == {"count": 4, "twice": "1"}
            assert requests.delete(world.url + "/count", timeout=60).status_code == 204
            assert world.get("/count").json() == {"count": 0, "twice": None}

    def test_what_it_notifies_arrives_as_it_was_sent(self, serve):
        with serve("counter") as world:
            loaded = world.report(lambda report: report.get("max_perf") == 0.5)
            assert loaded == {"id": 7, "mtoken": TOKEN, "loadtime": 0.25, "max_perf": 0.5}
            world.get("/count")
            told = world.report(lambda report: report.get("num_requests_recieved") == 1)
            assert told["cur_load"] == 0.1
            assert world.post("/fail", {}).status_code == 503
            world.report(lambda report: report.get("error_msg") == "told to fail")

    def test_a_thread_that_never_ends_does_not_keep_the_worker_from_ending(self, serve):
        with serve("counter") as world:
            world.process.send_signal(signal.SIGTERM)
            assert world.process.wait(30) == 0


def test_the_routes_of_2024_for_the_log_watch_want_the_master_token(serve):
    with serve("textgen") as world:
        body = {"loadtime": 1.0, "max_perf": 2.0}
        assert world.post("/report_loaded", body).status_code == 401
        assert world.post("/report_loaded", {**body, "mtoken": "mtoken"}).status_code == 401
        assert world.post("/report_loaded", {**body, "mtoken": TOKEN}).status_code == 200
        told = world.report(lambda report: report.get("max_perf") == 2.0)
        assert told["loadtime"] == 1.0


def test_the_token_is_in_no_log(serve, tmp_path):
    with serve("textgen") as world:
        world.write('{"level": "INFO", "message": "Connected"}')
        world.report(lambda report: report.get("message") == "data update")
        world.post("/generate", world.signed(PROMPT))
    said = (tmp_path / "worker.log").read_text()
    assert TOKEN not in said
    assert PROMPT["inputs"] not in said
