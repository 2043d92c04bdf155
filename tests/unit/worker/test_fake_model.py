"""The fake model server does what a script in a payload says, on real sockets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from vast_pyworker.worker.fake_model import FakeModel


@pytest.fixture
def model() -> Iterator[FakeModel]:
    with FakeModel() as each:
        yield each


def ask(model: FakeModel, **script: Any) -> requests.Response:
    return requests.post(f"{model.url}/x", json={"script": script}, timeout=20)


def test_a_whole_answer_with_its_usage(model: FakeModel) -> None:
    answer = ask(model, name="a", pieces=2, tokens=9, headers={"X-Own": "1"})
    assert answer.json()["choices"] == [{"text": "word word "}]
    assert answer.json()["usage"]["total_tokens"] == 9
    assert answer.headers["X-Own"] == "1"
    assert model.wait(lambda each: each.state_of("a") == "answered")
    assert requests.post(f"{model.url}/x", data=b"no JSON", timeout=20).status_code == 200


def test_an_error(model: FakeModel) -> None:
    assert ask(model, status=429).status_code == 429


def test_streams_of_each_kind(model: FakeModel) -> None:
    events = ask(model, kind="sse", tokens=3).text.strip().split("\n\n")
    assert len(events) == 3 + 2 and events[-1] == "data: [DONE]"
    lines = [json.loads(line) for line in ask(model, kind="ndjson", tokens=3).text.splitlines()]
    assert (len(lines), lines[-1]["eval_count"]) == (4, 3)
    assert ask(model, kind="bytes").text == "word0 word1 word2 "
    assert model.tokens_total == 9


@pytest.mark.parametrize("kind", ["unary", "sse"])
def test_an_answer_that_breaks_off(model: FakeModel, kind: str) -> None:
    with pytest.raises(requests.RequestException):
        ask(model, name="a", kind=kind, then="die")
    assert model.wait(lambda each: each.state_of("a") == "died")
    with pytest.raises(requests.ConnectionError):
        ask(model, pieces=0, then="die")


def test_a_held_answer_is_released_by_name(model: FakeModel) -> None:
    answers: list[int] = []
    thread = threading.Thread(
        target=lambda: answers.append(ask(model, name="a", hold=0).status_code)
    )
    thread.start()
    assert model.wait(lambda each: each.running == 1)
    assert answers == []
    model.release("a")
    thread.join(20)
    assert answers == [200]


def test_a_client_that_leaves_is_seen(model: FakeModel) -> None:
    script = {"name": "a", "kind": "sse", "then": "hang"}
    body = {"script": script}
    with requests.post(f"{model.url}/x", json=body, stream=True, timeout=20) as answer:
        assert answer.raw.read(5)
    assert model.wait(lambda each: each.state_of("a") == "gone")


def test_health_metrics_and_redirect(model: FakeModel) -> None:
    model.health = 503
    assert requests.get(f"{model.url}/health", timeout=20).status_code == 503
    model.health = None
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{model.url}/health", timeout=0.1)
    model.gauges["own"] = 4.5
    assert "own 4.5\n" in requests.get(f"{model.url}/metrics", timeout=20).text
    moved = requests.get(f"{model.url}/redirect", timeout=20, allow_redirects=False)
    assert moved.status_code == 302


def test_it_starts_again_on_its_port(model: FakeModel) -> None:
    port = model.port
    model.stop()
    with pytest.raises(requests.ConnectionError):
        ask(model)
    model.start()
    assert model.port == port and ask(model).status_code == 200


def test_a_crash_is_what_its_owner_makes_of_it() -> None:
    crashed = threading.Event()
    with FakeModel(crash=crashed.set) as model:
        ask(model, then="crash")
    assert crashed.is_set()
