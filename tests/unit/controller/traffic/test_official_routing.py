"""Vast's own client, ``vastai`` 1.9.1, is routed by us: the measured rows that concern routing.

Workers are scripted: what they answer is the row, where the client goes next is ours.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from board_server import (
    BoardServer,
    ScriptedWorker,
    eventually,
    new_board,
    report,
    working,
)
from desk import place

vastai = pytest.importorskip("vastai", reason="the official client is not installed: vastai==1.9.1")
pytestmark = pytest.mark.official


class Scene:
    """A controller's side with real sockets; ``routes`` are the answers it gave to /route/."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.board = new_board()
        self.routes: list[dict[str, Any]] = []
        self.board.route = self._noting(self.board.route)  # type: ignore[method-assign]
        self.server = stack.enter_context(BoardServer(self.board))

    def _noting(self, route: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        def noted(*args: Any) -> dict[str, Any]:
            answer = route(*args)
            self.routes.append(answer)
            return answer

        return noted

    def worker(self, *script: int | str) -> tuple[ScriptedWorker, str]:
        worker = ScriptedWorker(*script)
        return worker, self._stack.enter_context(working(worker))

    def publish(self, *worker_ids: int) -> None:
        self.board.publish({each: place(each) for each in worker_ids})

    def run(self, play: Callable[[Any], Awaitable[Any]]) -> Any:
        """What ``play`` returns for the endpoint of the official client."""

        async def main() -> Any:
            url = self.server.url
            client = vastai.Serverless("account", autoscaler_url=url, webserver_url=url)
            client._ssl_context = ssl.create_default_context()
            async with client:
                return await play(await client.get_endpoint("demo"))

        return asyncio.run(asyncio.wait_for(main(), 30))

    def request(self, **options: Any) -> Any:
        async def play(endpoint: Any) -> Any:
            return await endpoint.request("/generate", {"prompt": "hi"}, **options)

        return self.run(play)

    @property
    def idxs(self) -> set[int]:
        return {answer["request_idx"] for answer in self.routes}

    @property
    def urls(self) -> list[str]:
        return [answer["url"] for answer in self.routes if "url" in answer]


@pytest.fixture
def scene() -> Iterator[Scene]:
    with ExitStack() as stack:
        yield Scene(stack)


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_no_url_twice_and_then_one(scene: Scene) -> None:
    worker, url = scene.worker(200)
    scene.publish(1)

    def become_ready() -> None:
        assert eventually(lambda: len(scene.routes) >= 2)
        report(scene.server, 1, url)

    becoming = threading.Thread(target=become_ready)
    becoming.start()
    answer = scene.request(cost=8, timeout=20)
    becoming.join()
    assert answer["ok"] and answer["response"] == {"ok": True}
    assert len(scene.routes) >= 3 and len(scene.idxs) == 1 and len(scene.urls) == 1
    assert worker.seen[0]["auth_data"] == scene.routes[-1]


def test_500_twice_and_then_200(scene: Scene) -> None:
    worker, url = scene.worker(500, 500, 200)
    scene.publish(1)
    report(scene.server, 1, url)
    assert scene.request(timeout=20)["ok"]
    assert len(scene.routes) == 3 and len(scene.urls) == 3 and len(scene.idxs) == 1
    assert len(worker.seen) == 3
    assert scene.board.endpoint_workers("demo")[0]["cur_load"] == 100  # one placement, not three


def test_429_and_then_another_worker(scene: Scene) -> None:
    full, full_url = scene.worker(429)
    _, free_url = scene.worker(200)
    scene.publish(1, 2)
    report(scene.server, 1, full_url)
    report(scene.server, 2, free_url, cur_load=50)

    async def play(endpoint: Any) -> Any:
        asked = asyncio.ensure_future(endpoint.request("/generate", {}, timeout=20))
        await asyncio.to_thread(eventually, lambda: bool(full.seen))
        await asyncio.to_thread(report, scene.server, 1, full_url, cur_load=500)
        return await asked

    assert scene.run(play)["ok"]
    assert scene.urls == [full_url, free_url] and len(scene.idxs) == 1


def test_what_is_final_to_the_client_is_routed_once(scene: Scene) -> None:
    _, url = scene.worker(422)
    scene.publish(1)
    report(scene.server, 1, url)
    assert scene.request(timeout=20)["status"] == 422
    assert len(scene.routes) == 1


@pytest.mark.parametrize("trouble", ["closed", "garbage", "drop"])
def test_a_hot_loop_is_tamed(scene: Scene, trouble: str) -> None:
    url = closed_port() if trouble == "closed" else scene.worker(trouble)[1]
    scene.publish(1)
    report(scene.server, 1, url)
    with pytest.raises((TimeoutError, asyncio.TimeoutError)):
        scene.request(timeout=3)
    assert 2 <= len(scene.routes) <= 12  # 1,971 without us
    assert len(scene.idxs) == 1
    turns = ["url" in answer for answer in scene.routes]
    assert (True, True) not in set(zip(turns, turns[1:]))  # noqa: B905, RUF007


def test_who_cannot_reach_a_worker_is_sent_to_another(scene: Scene) -> None:
    _, good = scene.worker(200)
    bad = closed_port()
    scene.publish(1, 2)
    report(scene.server, 1, bad)
    report(scene.server, 2, good, cur_load=50)
    assert scene.request(timeout=20)["ok"]
    assert scene.urls == [bad, good] and len(scene.routes) == 3 and len(scene.idxs) == 1


def test_a_worker_that_is_never_ready_is_a_timeout_and_a_few_polls(scene: Scene) -> None:
    scene.publish(1)
    with pytest.raises((TimeoutError, asyncio.TimeoutError)):
        scene.request(timeout=2)
    assert scene.urls == [] and len(scene.idxs) == 1 and len(scene.routes) >= 2
    load = scene.board.load("demo", time.monotonic())
    assert load.queued == 100


def test_a_key_that_is_wrong_is_told_to_the_caller(scene: Scene) -> None:
    scene.board.may_route = lambda key, endpoint: False
    with pytest.raises(RuntimeError, match="401"):
        scene.request(timeout=5)
