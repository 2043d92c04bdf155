"""What Vast's own client was measured to do, row by row, with a whole controller behind it.

The workers are processes on a market that answer as each row wants (``rogue_worker``).
"""

from __future__ import annotations

import asyncio
import itertools
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from fleet_support import Fleet, Group, Relayed, relaying, running_fleet
from route_stub import certify

pytest.importorskip("vastai", reason="the official client is not installed: vastai==1.9.1")
pytestmark = pytest.mark.official
ROGUE = Path(__file__).with_name("rogue_worker.py")
TIMEOUTS = (TimeoutError, asyncio.TimeoutError)


def rogues(name: str, env: dict[str, str] | None = None, **keys: Any) -> Group:
    onstart = f"#!/bin/bash\nexec {shlex.quote(sys.executable)} {shlex.quote(str(ROGUE))}\n"
    return Group(name, "rogue", keys=keys, env=env or {}, onstart=onstart)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("matrix")
    certify(folder)  # by an authority that the controller does not hand out
    pair = {"CERT": str(folder / "worker.crt"), "CERT_KEY": str(folder / "worker.key")}
    groups = (
        rogues("rogue"),
        rogues("untrusted", pair),
        rogues("from-none", min_instances=0, policy="target"),
        rogues("never", min_instances=0, max_instances=0),
    )
    with running_fleet(folder, *groups) as fleet:
        fleet.controller.await_ready("rogue", 1)
        yield fleet


@pytest.fixture
def relayed(fleet: Fleet) -> Iterator[Relayed]:
    """What no client may ever get is looked for in every answer."""
    with relaying(fleet.controller.url) as relayed:
        yield relayed
    granted = [each for each in relayed if "url" in each]
    assert all(each["url"] for each in granted), "a url of nothing is a hot loop"
    assert all(each["request_idx"] for each in relayed if each["_status"] == 200)


class Row:
    """A request that gets ``answers`` one after another, and the routes that it took."""

    def __init__(self, fleet: Fleet, relayed: Relayed, name: str) -> None:
        self._fleet, self._relayed, self._name = fleet, relayed, name

    def ask(self, *answers: int | str, **options: Any) -> Any:
        payload = {"name": self._name, "answers": answers}
        return self._fleet.ask("rogue", "/any", payload, by=self._relayed.url, **options)


@pytest.fixture
def row(fleet: Fleet, relayed: Relayed, request: pytest.FixtureRequest) -> Row:
    return Row(fleet, relayed, request.node.name)


def test_no_url_until_a_worker_was_rented_and_then_one(fleet: Fleet, relayed: Relayed) -> None:
    answer = fleet.ask("from-none", "/any", {}, by=relayed.url, cost=8, timeout=40)
    assert answer["status"] == 200 and answer["url"] == relayed.urls[0]
    assert len(relayed) >= 3 and len(relayed.urls) == 1 and len(relayed.idxs) == 1
    assert all(each["_status"] == 200 and each["status"] for each in relayed if "url" not in each)


def test_500_twice_and_then_200(row: Row, relayed: Relayed) -> None:
    assert row.ask(500, 500, 200, timeout=30)["response"]["turn"] == 3
    assert len(relayed.urls) == 3 and len(relayed.idxs) == 1


def test_500_without_retries(row: Row, relayed: Relayed) -> None:
    answer = row.ask(500, retry=False)
    assert (answer["ok"], answer["status"], len(relayed)) == (False, 500, 1)


def test_as_many_tries_as_the_caller_allows(fleet: Fleet, relayed: Relayed) -> None:
    async def play(endpoint: Any) -> Any:
        payload = {"name": "two tries", "answers": [500]}
        return await endpoint.client.queue_endpoint_request(
            endpoint, "/any", payload, max_retries=2, timeout=30
        )

    answer = fleet.run(play, "rogue", by=relayed.url)
    assert (answer["ok"], answer["status"]) == (False, 500)
    assert len(relayed.urls) == 2 and len(relayed.idxs) == 1


def test_429_and_then_200(row: Row, relayed: Relayed) -> None:
    assert row.ask(429, 200, timeout=30)["status"] == 200
    assert len(relayed.urls) == 2 and len(relayed.idxs) == 1


@pytest.mark.parametrize("status", [401, 410, 422, 498, 499])
def test_what_is_final_is_routed_once(row: Row, relayed: Relayed, status: int) -> None:
    assert row.ask(status, timeout=30)["status"] == status
    assert len(relayed) == 1


def test_bytes_come_as_bytes(row: Row) -> None:
    answer = row.ask("image")
    assert (answer["status"], answer["content_type"]) == (200, "image/png")
    assert answer["response"].startswith(b"\x89PNG")


@pytest.mark.parametrize("trouble", ["garbage", "drop"])
def test_a_worker_that_cannot_be_understood_is_no_hot_loop(
    row: Row, relayed: Relayed, trouble: str
) -> None:
    with pytest.raises(TIMEOUTS):
        row.ask(trouble, timeout=4)
    assert_tamed(relayed)


def test_a_certificate_of_nobody_is_no_hot_loop(fleet: Fleet, relayed: Relayed) -> None:
    (member,) = fleet.controller.await_ready("untrusted", 1)
    assert member["url"].startswith("https:")
    with pytest.raises(TIMEOUTS):
        fleet.ask("untrusted", "/any", {}, by=relayed.url, timeout=4)
    assert_tamed(relayed)


def assert_tamed(relayed: Relayed) -> None:
    """A few calls, and never two grants without a pause between them."""
    assert 2 <= len(relayed) <= 16  # 1,971 without us
    assert len(relayed.idxs) == 1
    turns = ["url" in each for each in relayed]
    assert (True, True) not in set(itertools.pairwise(turns))


def test_a_key_and_an_endpoint_that_are_wrong_are_final(fleet: Fleet, relayed: Relayed) -> None:
    foreign = fleet.controller.endpoint_key("never")

    async def play(endpoint: Any) -> Any:
        made = type(endpoint)(endpoint.client, "rogue", endpoint.id, foreign)
        return await made.request("/any", {}, timeout=20)

    begun = time.monotonic()
    with pytest.raises(RuntimeError, match="401"):
        fleet.run(play, "rogue", by=relayed.url)
    assert [each["_status"] for each in relayed] == [401] and time.monotonic() - begun < 10
    with pytest.raises(Exception, match="nowhere"):
        fleet.ask("nowhere", "/any", {})


def test_never_ready_is_a_timeout_after_a_few_polls(fleet: Fleet, relayed: Relayed) -> None:
    with pytest.raises(TIMEOUTS):
        fleet.ask("never", "/any", {}, by=relayed.url, timeout=3)
    assert not relayed.urls and 2 <= len(relayed) <= 5 and len(relayed.idxs) == 1
    (waiting,) = fleet.controller.get("/queues/never")["waiting"]
    assert waiting["request_idx"] in relayed.idxs


def test_a_provider_that_is_away_is_no_trouble_of_clients(fleet: Fleet, relayed: Relayed) -> None:
    """What passes is never a status that their client takes for final."""
    fleet.market.suffer({"kind": "error_before", "calls": ["*"], "params": {"status": 503}})
    try:
        assert fleet.ask("rogue", "/any", {}, by=relayed.url, timeout=20)["status"] == 200
        with pytest.raises(TIMEOUTS):
            fleet.ask("never", "/any", {}, by=relayed.url, timeout=3)
        assert {each["_status"] for each in relayed} == {200}
    finally:
        fleet.market.suffer()


def test_their_other_client_asks_by_the_same_address(fleet: Fleet) -> None:
    from vastai import AsyncClient

    here = fleet.controller.url

    class LocalClient(AsyncClient):  # type: ignore[misc]
        SSL_CERT_URL = here + "/static/jvastai_root.cer"

    async def main() -> Any:
        async with LocalClient(fleet.controller.admin_key, vast_server=here) as client:
            found = client.serverless(autoscaler_url=here)
            endpoint = await found.get_endpoint("rogue")
            return await endpoint.request("/any", {}, timeout=20)

    assert asyncio.run(asyncio.wait_for(main(), 60))["status"] == 200


def test_a_report_of_somebody_else_is_not_believed(fleet: Fleet) -> None:
    (member,) = fleet.controller.members("rogue")
    url = fleet.controller.url + "/worker_status/"
    known = {"id": member["id"], "mtoken": "guessed", "error_msg": "it is mine now", "url": ""}
    assert requests.post(url, json=known, timeout=10).status_code == 401
    assert requests.post(url, json={**known, "id": 77}, timeout=10).status_code == 200
    assert requests.post(url, json={"id": "no"}, timeout=10).status_code == 422
    assert {member["id"], 77} == {
        each["id"] for each in fleet.controller.get("/strangers")["strangers"]
    }
    assert fleet.controller.members("rogue")[0]["error"] == ""


def test_a_closed_port_is_no_hot_loop_and_another_worker_answers(
    fleet: Fleet, relayed: Relayed
) -> None:
    """The last of its worker: its port stays closed, and its reports go on."""
    (shut,) = fleet.controller.members("rogue")
    assert fleet.ask("rogue", "/any", {"answers": ["close"]})["status"] == 200
    with pytest.raises(TIMEOUTS):
        fleet.ask("rogue", "/any", {}, by=relayed.url, timeout=4)
    assert_tamed(relayed)
    fleet.controller.scale("rogue", 2)
    fleet.controller.await_ready("rogue", 2)
    relayed.clear()
    for _ in range(3):
        answer = fleet.ask("rogue", "/any", {}, by=relayed.url, timeout=30)
        assert answer["status"] == 200 and answer["url"] != shut["url"]
