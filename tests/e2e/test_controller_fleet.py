"""A controller, a market of processes and our own workers: rented, routed to, killed, drained.

Everything is a process with real sockets; the model server alone is the tests' own.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests
from fleet_support import Fleet, Group, running_fleet
from soak_parts.services import ROOT, wait_until

from vast_pyworker.worker.fake_model import FakeModel

pytest.importorskip("vastai", reason="the official client is not installed: vastai==1.9.1")
pytestmark = pytest.mark.official
BENCHMARK = {"prompt": "x" * 40, "max_tokens": 40, "script": {"delay_s": 0.5}}
SETTLED_S = 4.0
"""A grant given just before a drain may arrive so much later; the drain waits for it."""


class OurFleet(Fleet):
    """With the model behind all of its workers."""

    model: FakeModel

    def settle(self, count: int = 1) -> list[dict[str, Any]]:
        """``count`` workers of ``signed``, all ready."""
        self.controller.scale("signed", count)
        return self.controller.await_ready("signed", count)

    def begin(self, name: str, **payload: Any) -> Answering:
        """A request of the official client that the model holds until ``release``."""
        script = {"name": name, "hold": 0, **payload.pop("script", {})}
        return Answering(lambda: self.ask("signed", "/generate", {**payload, "script": script}))

    def await_held(self, name: str) -> None:
        assert self.model.wait(lambda model: model.state_of(name) == "running", 20), name


class Answering:
    """A request under way on a thread of its own."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        self._ask = ask
        self._answer: Any = None
        self._thread = threading.Thread(target=self._run, name="request", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def answer(self, limit_s: float = 40.0) -> Any:
        self._thread.join(limit_s)
        assert self.is_over, "it was not answered"
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer

    def _run(self) -> None:
        try:
            self._answer = self._ask()
        except BaseException as exc:
            self._answer = exc


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OurFleet]:
    folder = tmp_path_factory.mktemp("fleet")
    payloads = folder / "payloads.jsonl"
    payloads.write_text(json.dumps(BENCHMARK) + "\n")
    with ExitStack() as stack:
        model = stack.enter_context(FakeModel())
        env = {
            "PYWORKER_BACKENDS": str(ROOT / "tests/peers/backends"),
            "MODEL_SERVER_URL": model.url,
            "BENCHMARK_PAYLOADS": str(payloads),
            "BENCHMARK_RUNS": "1",
            "BENCHMARK_CONCURRENCY": "1",
        }
        signed = Group(
            "signed",
            "scripted",
            keys={"policy": "target", "policy_options": {"backlog_s": 1, "down_window_s": 2}},
            tables={"pace": {"cooldown_down_s": 1}, "deadlines": {"drain_s": 4, "lease_s": 15}},
            env=env,
        )
        hello = Group("hello", tables={"deadlines": {"drain_s": 4}})
        found = stack.enter_context(running_fleet(folder, hello, signed))
        fleet = OurFleet(found.market, found.controller)
        fleet.model = model
        fleet.controller.await_ready("hello", 1)
        fleet.controller.await_ready("signed", 1)
        yield fleet


def test_a_backend_without_grants_is_rented_joins_and_is_routed_to(fleet: OurFleet) -> None:
    url = fleet.controller.route("hello")["url"]
    assert requests.post(f"{url}/increment", json={"amount": 3}, timeout=10).status_code == 200
    assert requests.get(f"{url}/value", timeout=10).json() == {"value": 3}
    (member,) = fleet.controller.members("hello")
    assert member["url"] == url and member["stage"] == "ready" and member["usd_per_hour"] > 0


def test_a_grant_is_good_for_its_own_worker_alone(fleet: OurFleet) -> None:
    first, second = fleet.settle(2)
    grant = fleet.controller.route("signed")
    others = {first["url"], second["url"]} - {grant["url"]}

    def status(url: str, auth: Any) -> int:
        body = {"auth_data": auth, "payload": {"prompt": "hi"}}
        with requests.post(f"{url}/generate", json=body, timeout=10) as answer:
            return answer.status_code

    assert status(grant["url"], grant) == 200
    assert status(grant["url"], {**grant, "signature": "AAAA"}) == 401
    assert status(others.pop(), grant) == 401
    with pytest.raises(requests.HTTPError, match="401"):
        fleet.controller.route("signed", key=fleet.controller.endpoint_key("hello"))


def test_the_official_client_asks_streams_and_lists_workers(fleet: OurFleet) -> None:
    async def play(endpoint: Any) -> list[Any]:
        answer = await endpoint.request("/generate", {"script": {"pieces": 2}}, cost=8)
        payload = {"stream": True, "script": {"kind": "sse", "pieces": 4, "pause_s": 0.02}}
        stream = await endpoint.request("/generate", payload, stream=True)
        events = [event["choices"][0]["text"] async for event in stream["response"]]
        return [answer, events, await endpoint.get_workers()]

    answer, events, workers = fleet.run(play, "signed")
    assert (answer["ok"], answer["status"]) == (True, 200) and answer["request_idx"] > 0
    assert answer["response"]["choices"] == [{"text": "word word "}]
    assert events == [f"word{number} " for number in range(4)]
    known = {each["id"] for each in fleet.controller.members("signed")}
    assert {each.id for each in workers} == known
    assert all(each.status == "idle" and each.perf > 50 for each in workers)


def test_a_session_stays_with_its_worker_until_it_is_closed(fleet: OurFleet) -> None:
    async def play(endpoint: Any) -> list[Any]:
        session = await endpoint.session(cost=50, lifetime=30)
        answers = [await session.request("/generate", {"script": {}}) for _ in range(3)]
        was_open = await session.is_open()
        await session.close()
        with pytest.raises(Exception, match="session does not exist"):
            await endpoint.get_session(session.session_id, session.auth_data)
        return [was_open, [each["status"] for each in answers], {each["url"] for each in answers}]

    was_open, statuses, urls = fleet.run(play, "signed")
    assert was_open and statuses == [200, 200, 200] and len(urls) == 1


def test_full_workers_are_asked_again_until_they_have_room(fleet: OurFleet) -> None:
    fleet.settle(2)

    def ask() -> Any:
        return fleet.ask("signed", "/alone", {"script": {"name": "full", "hold": 0}}, timeout=40)

    asked = [Answering(ask) for _ in range(6)]  # two workers take one each and let one wait
    wait_until(lambda: _metric(fleet, "rejected") >= 1, "refusal")
    assert not any(each.is_over for each in asked)
    fleet.model.release("full")
    assert [each.answer()["status"] for each in asked] == [200] * 6


def _metric(fleet: OurFleet, outcome: str) -> float:
    """Requests of an outcome, over all workers of the group."""
    total = 0.0
    for member in fleet.controller.members("signed"):
        text = requests.get(f"{member['url']}/metrics", timeout=10).text
        lines = [line for line in text.splitlines() if line.startswith("pyworker_requests_total{")]
        total += sum(float(line.split()[-1]) for line in lines if f'outcome="{outcome}"' in line)
    return total


def test_who_was_at_a_killed_worker_is_answered_by_another(fleet: OurFleet) -> None:
    fleet.settle(2)
    asked = fleet.begin("orphan")
    fleet.await_held("orphan")
    victim = _busy(fleet)
    for process in fleet.market.processes(victim["id"]):
        os.kill(process.pid, signal.SIGKILL)
    fleet.model.wait(lambda model: sum(e.script.name == "orphan" for e in model.seen) == 2, 20)
    fleet.model.release("orphan")
    answer = asked.answer()
    assert answer["status"] == 200 and answer["url"] != victim["url"]
    fleet.controller.post(f"/instances/{victim['id']}/drop", {"reason": "its worker was killed"})
    wait_until(lambda: victim["id"] not in _ids(fleet), "end of the dead one")
    assert len(fleet.controller.await_ready("signed", 2)) == 2


def test_a_drain_loses_no_request(fleet: OurFleet) -> None:
    fleet.settle(2)
    script = {"kind": "sse", "pieces": 4, "hold": 2}
    asked = fleet.begin("stream", stream=True, script=script)
    fleet.await_held("stream")
    victim = _busy(fleet)
    fleet.controller.post(f"/instances/{victim['id']}/drain", {"seconds": 60})
    others = []
    until = time.monotonic() + SETTLED_S
    while time.monotonic() < until:
        others.append(fleet.ask("signed", "/generate", {"prompt": "hi", "max_tokens": 1}, cost=1))
    assert {each["status"] for each in others} == {200}
    assert victim["url"] not in {each["url"] for each in others}
    assert not asked.is_over and victim["id"] in _ids(fleet)
    fleet.model.release("stream")
    assert asked.answer()["status"] == 200
    assert fleet.model.state_of("stream") == "answered"
    wait_until(lambda: victim["id"] not in _ids(fleet), "end of the drained one")


def test_more_workers_come_with_the_load_and_go_after_it(fleet: OurFleet) -> None:
    capacity = fleet.settle(2)[0]["perf"]
    held = [fleet.begin("load", max_tokens=int(capacity)) for _ in range(3)]
    for_load = wait_until(lambda: len(_held(fleet)) == 3 and _held(fleet), "load at the workers")
    assert all(each.payload["max_tokens"] == int(capacity) for each in for_load)
    fleet.controller.scale("signed", None)
    fleet.controller.await_ready("signed", 3)
    assert "load" in fleet.controller.get("/groups/signed")["reason"]
    assert not any(each.is_over for each in held)
    fleet.model.release("load")
    assert [each.answer()["status"] for each in held] == [200] * 3
    fleet.controller.await_ready("signed", 1, limit_s=90)


def test_the_end_of_the_controller_leaves_nothing_in_the_market(fleet: OurFleet) -> None:
    assert fleet.market.instances >= 2
    assert fleet.end_all() == 0
    assert fleet.market.instances == 0 and fleet.market.usd_spent > 0
    wait_until(lambda: not fleet.market.processes(), "end of all processes")
    assert "have not ended" not in fleet.controller.log


def _held(fleet: OurFleet) -> list[Any]:
    """The requests that the model holds now."""
    return [each for each in fleet.model.seen if each.state == "running"]


def _busy(fleet: OurFleet) -> dict[str, Any]:
    """The one that says that it works on a request."""

    def found() -> dict[str, Any] | None:
        members = fleet.controller.members("signed")
        return next((each for each in members if each["in_flight"]), None)

    member: dict[str, Any] = wait_until(found, "worker with a request")
    return member


def _ids(fleet: OurFleet) -> list[int]:
    return [each["id"] for each in fleet.controller.members("signed")]
