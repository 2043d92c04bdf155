"""A controller, a market and Vast's own worker, ``vastai`` 1.9.1, in the instances.

Its reports are taken, it becomes ready, it accepts our grants, and it tells us what has ended.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from fleet_support import Fleet, Group, running_fleet
from soak_parts.services import ROOT, wait_until

from vast_pyworker.worker.fake_model import FakeModel

pytest.importorskip("vastai", reason="the official client is not installed: vastai==1.9.1")
pytestmark = pytest.mark.official
WORKER = ROOT / "tests/e2e/official_worker.py"
ONSTART = f"""\
#!/bin/bash
echo "model is loaded" > model.log
echo 100 > .has_benchmark
exec {shlex.quote(sys.executable)} {shlex.quote(str(WORKER))}
"""


@pytest.fixture(scope="module")
def model() -> Iterator[FakeModel]:
    with FakeModel() as model:
        yield model


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, model: FakeModel) -> Iterator[Fleet]:
    group = Group(
        "theirs",
        "official",
        keys={"min_instances": 2},
        tables={"deadlines": {"drain_s": 2}},
        env={"MODEL_SERVER_URL": model.url},
        onstart=ONSTART,
    )
    with ExitStack() as stack:
        fleet = stack.enter_context(running_fleet(tmp_path_factory.mktemp("official"), group))
        fleet.controller.await_ready("theirs", 2, limit_s=90)
        yield fleet


def workers(fleet: Fleet) -> list[dict[str, Any]]:
    rows = fleet.controller.get("/api/v0/endptjobs/")["results"]
    number = next(each["id"] for each in rows if each["endpoint_name"] == "theirs")
    found: list[dict[str, Any]] = fleet.controller.post("/get_endpoint_workers/", {"id": number})
    return found


def test_their_reports_are_taken_and_say_what_they_can_do(fleet: Fleet) -> None:
    found = workers(fleet)
    assert [each["perf"] for each in found] == [100.0, 100.0]
    assert {each["status"] for each in found} == {"idle"}
    assert fleet.controller.get("/strangers")["strangers"] == []


def test_their_client_asks_and_streams(fleet: Fleet, model: FakeModel) -> None:
    async def play(endpoint: Any) -> list[Any]:
        answer = await endpoint.request("/generate", {"script": {"pieces": 2}}, cost=8)
        payload = {"stream": True, "script": {"kind": "sse", "pieces": 3}}
        stream = await endpoint.request("/generate", payload, stream=True)
        return [answer, [event async for event in stream["response"]]]

    answer, events = fleet.run(play, "theirs")
    assert (answer["status"], answer["response"]["choices"]) == (200, [{"text": "word word "}])
    assert len(events) == 3
    assert answer["url"] in {each["url"] for each in fleet.controller.members("theirs")}


def test_a_grant_of_ours_is_checked_by_them(fleet: Fleet) -> None:
    grant = fleet.controller.route("theirs")
    import requests

    def status(auth: Any) -> int:
        body = {"auth_data": auth, "payload": {"script": {}}}
        with requests.post(f"{grant['url']}/generate", json=body, timeout=10) as answer:
            return answer.status_code

    assert status(grant) == 200
    assert status({**grant, "signature": "AAAA"}) == 401


def test_a_session_with_them(fleet: Fleet) -> None:
    async def play(endpoint: Any) -> list[Any]:
        session = await endpoint.session(cost=50, lifetime=30)
        answer = await session.request("/generate", {"script": {}})
        was_open = await session.is_open()
        await session.close()
        return [answer["status"], was_open]

    assert fleet.run(play, "theirs") == [200, True]


def test_a_worker_of_theirs_that_is_full_is_asked_again(fleet: Fleet, model: FakeModel) -> None:
    """It answers 429 while more waits than it does in its time, and their client comes back."""

    async def play(endpoint: Any) -> list[Any]:
        heavy = {"load": 2000, "script": {"name": "heavy", "hold": 0}}
        held = [endpoint.request("/generate", heavy, timeout=40) for _ in range(2)]
        await asyncio.to_thread(model.wait, lambda model: len(model.seen) >= before + 2, 20)
        refused = await endpoint.request("/generate", {"script": {}}, retry=False, timeout=20)
        later = endpoint.request("/generate", {"script": {}}, timeout=40)
        await asyncio.sleep(0)
        model.release("heavy")
        return [
            refused["status"],
            *[each["status"] for each in [*[await h for h in held], await later]],
        ]

    before = len(model.seen)
    assert fleet.run(play, "theirs") == [429, 200, 200, 200]


def test_a_model_of_theirs_that_fails_once_is_asked_again(fleet: Fleet, model: FakeModel) -> None:
    name = {"name": "fails once", "status": 503}
    answer = fleet.ask("theirs", "/generate", {"script": name}, retry=False, timeout=20)
    assert answer["status"] == 503
    assert fleet.ask("theirs", "/generate", {"script": {}}, timeout=20)["status"] == 200


def test_who_was_at_a_killed_worker_of_theirs_is_answered_by_the_other(
    fleet: Fleet, model: FakeModel
) -> None:
    def kill() -> int:
        assert model.wait(lambda model: model.state_of("orphan") == "running", 20)
        member = wait_until(lambda: next(_busy(fleet), None), "worker with a request")
        for process in fleet.market.processes(member["id"]):
            os.kill(process.pid, signal.SIGKILL)
        model.wait(lambda m: sum(each.script.name == "orphan" for each in m.seen) == 2, 30)
        model.release("orphan")
        return int(member["id"])

    async def play(endpoint: Any) -> list[Any]:
        payload = {"script": {"name": "orphan", "hold": 0}}
        asked = asyncio.ensure_future(endpoint.request("/generate", payload, timeout=50))
        killed = await asyncio.to_thread(kill)
        return [killed, await asked]

    killed, answer = fleet.run(play, "theirs")
    urls = {each["id"]: each["url"] for each in fleet.controller.members("theirs")}
    assert answer["status"] == 200 and answer["url"] != urls.get(killed)
    fleet.controller.post(f"/instances/{killed}/drop", {"reason": "its worker was killed"})
    fleet.controller.await_ready("theirs", 2, limit_s=90)


def _busy(fleet: Fleet) -> Iterator[dict[str, Any]]:
    return (each for each in fleet.controller.members("theirs") if each["in_flight"])


def test_what_has_ended_is_counted_no_more(fleet: Fleet, model: FakeModel) -> None:
    """Work that they were sent stands at them until they say that it is over."""
    before = len(model.seen)
    for _ in range(4):
        answer = fleet.ask("theirs", "/generate", {"script": {}}, cost=700)
        assert answer["status"] == 200
    assert len(model.seen) == before + 4
    wait_until(
        lambda: all(each.get("cur_load") == 0 for each in workers(fleet)), "end of the load", 15
    )


def test_the_end_of_the_controller_ends_them(fleet: Fleet) -> None:
    assert fleet.end_all() == 0
    assert fleet.market.instances == 0
    wait_until(lambda: not fleet.market.processes(), "end of all processes")
