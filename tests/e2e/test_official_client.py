"""Vast's own client, ``vastai`` 1.9.1, uses our worker; only who routes it there is a stub."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from route_stub import RouteStub, certify, listening
from worker_support import ROOT, RunningWorker

from vast_pyworker.worker.fake_model import FakeModel

vastai = pytest.importorskip("vastai", reason="the official client is not installed: vastai==1.9.1")
pytestmark = pytest.mark.official


@dataclass
class Scene:
    """A worker, its model, who routes clients to it, and clients."""

    worker: RunningWorker
    model: FakeModel
    stub: RouteStub

    def queued(self, route: str) -> int:
        return int(self.worker.status["requests"]["routes"][route]["queued"])

    def run(self, play: Callable[[Any], Awaitable[Any]], endpoint: str = "demo") -> Any:
        """What ``play`` returns for an endpoint of the official client."""
        stub = self.stub

        class LocalServerless(vastai.Serverless):  # type: ignore[name-defined, misc]
            SSL_CERT_URL = stub.url + "/static/jvastai_root.cer"

        async def main() -> Any:
            async with LocalServerless(
                "account-key", autoscaler_url=stub.url, webserver_url=stub.url
            ) as client:
                return await play(await client.get_endpoint(endpoint))

        return asyncio.run(asyncio.wait_for(main(), 30))


@pytest.fixture(scope="module", params=["http", "https"])
def scene(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp(request.param)
    stub = RouteStub(certify(folder))
    with FakeModel() as model, listening(stub):
        extra = {
            "PYWORKER_BACKENDS": str(ROOT / "tests/peers/backends"),
            "MODEL_SERVER_URL": model.url,
            "CONTAINER_ID": "7",
            "MASTER_TOKEN": "master-token-of-a-test",
            "REPORT_ADDR": stub.url,
            "USE_SSL": str(request.param == "https").lower(),
            "PYWORKER_CERT": str(folder / "worker.crt"),
            "PYWORKER_KEY": str(folder / "worker.key"),
        }
        tls = ssl.create_default_context(cadata=stub.ca_pem.decode())
        worker = RunningWorker(
            folder, "scripted", extra, tls=tls if request.param == "https" else None
        )
        stub.worker_url = worker.url
        try:
            worker.start().await_key()
            yield Scene(worker, model, stub)
        finally:
            worker.stop()


def test_a_unary_request(scene: Scene) -> None:
    async def play(endpoint: Any) -> Any:
        payload = {"prompt": "hi", "max_tokens": 8, "script": {"pieces": 2}}
        return await endpoint.request("/generate", payload, cost=8, timeout=20)

    result = scene.run(play)
    assert (result["ok"], result["status"]) == (True, 200)
    assert result["response"]["choices"] == [{"text": "word word "}]
    assert result["url"] == scene.stub.worker_url
    sent = scene.model.seen[-1]
    assert sent.payload["prompt"] == "hi" and "auth_data" not in sent.payload
    assert "authorization" not in sent.headers, "the endpoint's key is not the model's business"
    assert sent.path == "/generate", "nor in the query, where their client sends it as well"


def test_a_stream(scene: Scene) -> None:
    async def play(endpoint: Any) -> list[Any]:
        payload = {"stream": True, "script": {"kind": "sse", "pieces": 4, "pause_s": 0.02}}
        result = await endpoint.request("/generate", payload, stream=True, timeout=20)
        return [event async for event in result["response"]]

    events = scene.run(play)
    assert [event["choices"][0]["text"] for event in events] == [f"word{n} " for n in range(4)]


def test_a_session_from_its_beginning_to_its_end(scene: Scene) -> None:
    async def play(endpoint: Any) -> list[Any]:
        session = await endpoint.session(cost=50, lifetime=30, on_close_route="/closed")
        routed = len(scene.stub.routed)
        result = await session.request("/generate", {"script": {"tokens": 3}})
        again = await endpoint.get_session(session.session_id, session.auth_data)
        was_open = await session.is_open()
        await session.close()
        with pytest.raises(Exception, match="session does not exist"):
            await endpoint.get_session(session.session_id, session.auth_data)
        return [result["status"], was_open, again.lifetime, len(scene.stub.routed) - routed]

    status, was_open, lifetime_s, routed = scene.run(play)
    assert (status, was_open, lifetime_s) == (200, True, 30)
    assert routed == 0, "requests of a session go straight to its worker"
    assert scene.model.wait(lambda model: model.seen[-1].path == "/closed"), "its callback"


def test_a_request_in_a_session_that_is_over(scene: Scene) -> None:
    async def play(endpoint: Any) -> Any:
        session = await endpoint.session(cost=50, lifetime=30)
        auth, number = session.auth_data, session.session_id
        await session.close()
        session.open, session.session_id, session.auth_data = True, number, auth
        await session.request("/generate", {})

    with pytest.raises(ValueError, match="closed session"):
        scene.run(play)


def test_a_wrong_signature(scene: Scene) -> None:
    async def play(endpoint: Any) -> Any:
        return await endpoint.request("/generate", {"prompt": "hi"}, timeout=20)

    asked = len(scene.model.seen)
    result = scene.run(play, "forged")
    assert (result["ok"], result["status"]) == (False, 401)
    assert "signature" in result["response"]["error"]
    assert len(scene.model.seen) == asked


def test_a_full_queue(scene: Scene) -> None:
    async def play(endpoint: Any) -> Any:
        held = [endpoint.request("/alone", {"script": {"name": "held", "hold": 0}})]
        await _until(lambda: scene.model.find("held"))
        held.append(endpoint.request("/alone", {"script": {"name": "queued"}}))
        await _until(lambda: scene.queued("/alone") == 1)
        full = await endpoint.request("/alone", {}, retry=False, timeout=20)
        scene.model.release("held")
        return full, [(await each)["status"] for each in held]

    full, others = scene.run(play)
    assert full["status"] == 429
    assert full["response"]["queue_depth"] == 1 and "estimated_wait_s" in full["response"]
    assert others == [200, 200]


async def _until(true: Callable[[], object]) -> None:
    while not await asyncio.to_thread(true):
        await asyncio.sleep(0.01)
