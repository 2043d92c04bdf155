"""Renting over real sockets: from the search to the end, in the shapes of the real service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from market_site import Site, site


@pytest.fixture
def market() -> Iterator[Site]:
    with site() as made:
        yield made


def test_offers_are_found_under_all_their_paths(market: Site) -> None:
    query = {"num_gpus": {"eq": "1"}, "limit": 3}
    plain = market.json("POST", "/api/v0/bundles/", query)
    body = {"select_cols": ["*"], "q": query}
    assert market.json("PUT", "/api/v0/search/asks/", body) == plain
    asked = {"q": json.dumps(query)}
    assert market.json("GET", "/api/v0/bundles/", params=asked, key=None) == plain
    assert len(plain["offers"]) == 3


def test_an_instance_from_create_to_destroy(market: Site) -> None:
    made = market.rent(label="job1", env={"-p 8080:80": "1", "A": "1"})
    assert set(made) >= {"success", "new_contract", "instance_api_key"}
    number = made["new_contract"]
    market.market.advance(3600)
    row = market.show(number)
    assert (row["label"], row["actual_status"]) == ("job1", "running")
    assert isinstance(row["start_date"], float) and isinstance(row["extra_env"], list)
    path = f"/api/v0/instances/{number}/"
    assert market.json("PUT", path, {"label": "job2"}) == {"success": True}
    assert market.json("PUT", path, {"state": "stopped"}) == {"success": True}
    assert market.show(number)["ports"] is None
    assert market.json("PUT", path, {"state": "running"}) == {"success": True}
    assert market.json("DELETE", path)["success"] is True
    assert market.json("GET", path) == {"instances": None}
    gone = market.call("DELETE", path, {})
    assert (gone.status_code, gone.json()["error"]) == (404, "no_such_instance")
    assert gone.json()["msg"] == f"Instance {number} not found."


def test_the_old_list_is_gone_and_says_where_to_go(market: Site) -> None:
    answer = market.call("GET", "/api/v0/instances/")
    assert answer.status_code == 410
    assert answer.json() == {
        "success": False,
        "error": "deprecated_endpoint",
        "msg": "/api/v0/instances/ is deprecated. Use /api/v1/instances/ instead.",
    }
    assert market.call("GET", "/api/v0/instances/", key=None).status_code == 401


def test_the_list_is_paged_to_its_end(market: Site) -> None:
    numbers = [market.rent(label=f"l{n % 2}")["new_contract"] for n in range(7)]
    found: list[int] = []
    token: str | None = ""
    while token is not None:
        params = {"limit": "3", "order_by": '[{"col": "id", "dir": "asc"}]', "after_token": token}
        page = market.json("GET", "/api/v1/instances/", params=params)
        assert page["total_instances"] == 7
        assert token or page["label_counts"] == {"l0": 4, "l1": 3}
        assert page["instances_found"] == len(page["instances"])
        found += [row["id"] for row in page["instances"]]
        token = page["next_token"]
    assert found == numbers


def test_many_are_created_stopped_and_destroyed_at_once(market: Site) -> None:
    body = {"num_gpus": {"eq": 1}, "rentable": {"eq": True}, "limit": 20}
    offers = market.json("POST", "/api/v0/bundles/", body)["offers"]
    by_machine = {row["machine_id"]: row["id"] for row in offers}
    asks = list(by_machine.values())[:3]
    made = market.json("POST", "/api/v0/asks/bulk/", {"ids": asks, "image": "i", "disk": 5})
    assert made["success"] is True and len(made["created"]) == 3 and made["failed"] == []
    ids = made["created"]
    assert market.json("PUT", "/api/v0/instances/", {"state": "stopped", "ids": ids})["success"]
    gone = market.json("DELETE", "/api/v0/instances/", {"instance_ids": ids})
    assert gone["success"] is True
    assert market.json("GET", "/api/v1/instances/")["instances"] == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "'ids' parameter"),
        ({"ids": []}, "no ask ids provided"),
        ({"ids": list(range(65))}, "max is 64"),
    ],
)
def test_a_bulk_create_without_its_ids(market: Site, body: dict[str, Any], said: str) -> None:
    answer = market.call("POST", "/api/v0/asks/bulk/", {"image": "i", **body})
    assert answer.status_code == 400 and said in answer.json()["msg"]


def test_search_and_create_in_one(market: Site) -> None:
    query = {"num_gpus": {"eq": 1}, "rentable": {"eq": True}, "order": [["dph_total", "asc"]]}
    body = {"image": "i", "disk": 5, "q": query}
    made = market.json("PUT", "/api/v0/launch_instance/", body)
    assert market.show(made["new_contract"])["image_uuid"] == "i"
    none = market.json("PUT", "/api/v0/launch_instance/", {**body, "q": {"num_gpus": {"eq": 999}}})
    assert none["success"] is False and isinstance(none["message"], str)


def test_nothing_is_rented_for_a_negative_price_or_a_disk_that_is_too_large(market: Site) -> None:
    offer = market.offer(num_gpus={"eq": 1})
    path = f"/api/v0/asks/{offer['id']}/"
    for fields in ({"price": -1}, {"disk": -5}, {"disk": "large"}, {"price": "cheap"}):
        answer = market.call("PUT", path, {"image": "i", "disk": 5, **fields})
        assert answer.status_code == 400, answer.text
    assert market.json("GET", "/api/v1/instances/")["total_instances"] == 0
    made = market.json("PUT", path, {"image": "i", "disk": 1e6})
    assert market.show(made["new_contract"])["disk_space"] <= offer["disk_space"]


def test_a_template_is_launched_by_its_hash(market: Site) -> None:
    body = {"name": "n", "image": "repo/img", "tag": "v1", "env": "-e A=1 -p 8000:8000"}
    template = market.json("POST", "/api/v0/template/", body)["template"]
    made = market.rent(image=None, template_hash_id=template["hash_id"], env={"A": "2"})
    row = market.show(made["new_contract"])
    assert row["template_hash_id"] == template["hash_id"]
    assert row["image_uuid"].startswith("repo/img")
    assert ["A", "2"] in row["extra_env"]
    path = f"/api/v0/asks/{market.offer()['id']}/"
    unknown = market.call("PUT", path, {"template_hash_id": "no-such", "disk": 5})
    assert unknown.status_code == 400 and "no-such" in unknown.json()["msg"]


@pytest.mark.parametrize("number", [True, 1.5, "x", [], {}, -1, 10**30])
def test_a_template_that_is_named_wrongly(market: Site, number: Any) -> None:
    for named in ({"template_id": number}, {"template_hash_id": number}):
        answer = market.call("PUT", "/api/v0/asks/5/", {"image": "i", **named})
        assert 400 <= answer.status_code < 500


def test_log_and_command_results_are_not_there_at_once(market: Site) -> None:
    number = market.running()
    asked = market.json("PUT", f"/api/v0/instances/request_logs/{number}/", {"tail": "50"})
    assert asked["success"] is True
    answers = [requests.get(asked["result_url"], timeout=10) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [404, 200, 200]
    assert answers[1].headers["Content-Type"].startswith("text/plain")
    path = f"/api/v0/instances/command/{number}/"
    refused = market.call("PUT", path, {"command": "ls"})
    assert refused.status_code == 400 and "only avail on stopped" in refused.json()["msg"]
    market.call("PUT", f"/api/v0/instances/{number}/", {"state": "stopped"})
    done = market.json("PUT", path, {"command": "ls"})
    assert set(done) == {"success", "writeable_path", "result_url", "msg"}
