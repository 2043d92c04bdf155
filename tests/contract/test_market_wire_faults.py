"""What goes wrong on the wire, each as a client meets it, and what the world is like after it."""

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


def create(market: Site, label: str = "mine") -> requests.Response:
    path = f"/api/v0/asks/{market.offer(num_gpus={'eq': 1})['id']}/"
    return market.call("PUT", path, {"image": "i", "disk": 5, "label": label})


def labels(market: Site) -> list[str]:
    return [row["label"] for row in market.json("GET", "/api/v1/instances/")["instances"]]


def test_latency_is_slept_and_then_all_is_well(market: Site) -> None:
    market.fault("latency", "create", seconds=2.5)
    assert create(market).json()["success"] is True
    assert market.slept == [2.5]


@pytest.mark.parametrize("form", ["detail", "msg", "text", "bucket"])
def test_too_many_does_nothing(market: Site, form: str) -> None:
    market.fault("too_many", "create", form=form, threshold_s=4.5, retry_after_s=2)
    answer = create(market)
    assert answer.status_code == 429 and answer.headers["Retry-After"] == "2"
    assert "API requests too frequent" in answer.text
    assert labels(market) == []
    assert create(market).status_code == 200


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_error_before_did_nothing_and_one_after_did_it(market: Site, status: int) -> None:
    market.fault("error_before", "create", status=status)
    before = create(market)
    assert before.status_code == status
    assert labels(market) == []
    market.fault("error_after", "create", status=status)
    after = create(market)
    assert (after.status_code, after.content) == (status, before.content)
    assert labels(market) == ["mine"]


def test_a_reset_before_did_nothing_and_one_after_did_it(market: Site) -> None:
    market.fault("reset_before", "create")
    with pytest.raises(requests.ConnectionError):
        create(market)
    assert labels(market) == []
    market.fault("reset_after", "create")
    with pytest.raises(requests.ConnectionError):
        create(market)
    assert labels(market) == ["mine"]


def test_other_connections_outlive_a_reset(market: Site) -> None:
    with requests.Session() as kept:
        kept.headers["Authorization"] = "Bearer market"
        assert kept.get(f"{market.url}/api/v1/instances/", timeout=10).status_code == 200
        market.fault("reset_before", "show")
        with pytest.raises(requests.ConnectionError):
            market.call("GET", "/api/v0/instances/5/")
        assert kept.get(f"{market.url}/api/v1/instances/", timeout=10).status_code == 200


def test_refused_with_200_does_nothing(market: Site) -> None:
    number = market.running()
    market.fault("refused_200", "destroy", error="busy", msg="Later.")
    answer = market.call("DELETE", f"/api/v0/instances/{number}/", {})
    assert answer.status_code == 200
    assert answer.json() == {"success": False, "error": "busy", "msg": "Later."}
    assert market.show(number) is not None


def test_truncated_json_did_it(market: Site) -> None:
    market.fault("truncated", "create", keep=0.6)
    answer = create(market)
    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        answer.json()
    assert labels(market) == ["mine"]


def test_truncated_never_leaves_the_whole(market: Site) -> None:
    market.fault("truncated", "user", keep=1.0)
    with pytest.raises(requests.JSONDecodeError):
        market.call("GET", "/api/v0/users/current").json()


def test_not_json_is_a_page(market: Site) -> None:
    market.fault("not_json", "create")
    answer = create(market)
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "text/html"
    assert labels(market) == ["mine"]


def test_null_fields_of_a_row_and_of_rows(market: Site) -> None:
    number = market.running()
    whole = market.show(number)
    market.fault("null_fields", "show", fields=["gpu_name", "id", "absent"])
    row = market.show(number)
    assert row == {**whole, "gpu_name": None, "id": None}
    market.fault("null_fields", "list", share=0.5)
    (listed,) = market.json("GET", "/api/v1/instances/")["instances"]
    nulled = [name for name in whole if whole[name] is not None and listed[name] is None]
    assert len(nulled) > 10 and listed["id"] == number


def test_null_fields_of_an_answer_without_rows(market: Site) -> None:
    market.fault("null_fields", "create", fields=["new_contract"])
    assert create(market).json()["new_contract"] is None
    assert labels(market) == ["mine"]


def test_a_stale_list_is_as_it_was_some_time_ago(market: Site) -> None:
    assert labels(market) == []
    market.market.advance(100)
    create(market, "first")
    assert labels(market) == ["first"]
    market.market.advance(100)
    create(market, "second")
    market.fault("stale_list", "list", age_s=60)
    assert labels(market) == ["first"]
    market.fault("stale_list", "list", age_s=150)
    assert labels(market) == []
    assert labels(market) == ["first", "second"]


def pages(market: Site, size: int = 2) -> list[list[int]]:
    found: list[list[int]] = []
    token: str | None = ""
    while token is not None:
        params = {"limit": str(size), "after_token": token}
        page = market.json("GET", "/api/v1/instances/", params=params)
        found.append([row["id"] for row in page["instances"]])
        token = page["next_token"]
    return found


@pytest.mark.parametrize(("page", "left"), [(1, [1, 2]), (2, [0, 2]), (3, [0, 1])])
def test_a_missing_page_is_left_out_unseen(market: Site, page: int, left: list[int]) -> None:
    for _ in range(6):
        market.rent()
    whole = pages(market)
    assert [len(each) for each in whole] == [2, 2, 2]
    fault = {"kind": "missing_page", "calls": ["list"], "params": {"page": page}}
    market.call("POST", "/market/faults", fault)
    found = [each for each in pages(market) if each]
    assert found == [whole[number] for number in left]


def test_an_empty_list_says_so_in_every_field(market: Site) -> None:
    market.rent()
    market.fault("empty_list", "list")
    answer = market.json("GET", "/api/v1/instances/")
    assert answer["instances"] == [] and answer["next_token"] is None
    assert (answer["instances_found"], answer["total_instances"]) == (0, 0)
    assert answer["label_counts"] == {}
    market.fault("empty_list", "search")
    assert market.json("POST", "/api/v0/bundles/", {"limit": 3}) == {"offers": []}


def test_duplicate_rows_of_a_list(market: Site) -> None:
    numbers = [market.rent()["new_contract"] for _ in range(3)]
    market.fault("duplicate", "list", share=0)
    found = [row["id"] for row in market.json("GET", "/api/v1/instances/")["instances"]]
    assert len(found) == 4 and sorted(set(found)) == numbers


def test_a_duplicate_of_any_other_call_is_acted_on_twice(market: Site) -> None:
    market.fault("duplicate", "template_create")
    body = {"name": "n", "image": "i"}
    assert market.json("POST", "/api/v0/template/", body)["success"] is True
    market.fault("duplicate", "create")
    create(market)
    assert 1 <= len(labels(market)) <= 2
    number = market.rent()["new_contract"]
    market.fault("duplicate", "destroy")
    assert market.json("DELETE", f"/api/v0/instances/{number}/", {})["success"] is True


def test_lists_other_than_instances_are_struck_too(market: Site) -> None:
    market.json("POST", "/api/v0/endptjobs/", {"endpoint_name": "n"})
    market.json("POST", "/api/v0/ssh/", {"ssh_key": "ssh-rsa AAAA"})
    market.fault("empty_list", "endpoints")
    assert market.json("GET", "/api/v0/endptjobs/")["results"] == []
    market.fault("empty_list", "account_ssh")
    assert market.json("GET", "/api/v0/ssh/") == []


def test_a_ledger_lacks_a_page_is_stale_or_empty(market: Site) -> None:
    days = {"select_filters": '{"day": {"gte": 0, "lte": 1e10}}'}

    def charges() -> Any:
        page = market.json("GET", "/api/v0/charges/", params=days)
        return len(page["results"]), page["count"], page["total"]

    market.running()
    assert charges() == (1, 1, 1)
    market.fault("missing_page", "charges")
    assert charges() == (0, 0, 1)
    market.fault("empty_list", "charges")
    assert charges() == (0, 0, 0)
    market.running()
    market.fault("stale_list", "charges", age_s=0)
    assert charges() == (2, 2, 2)
    market.fault("stale_list", "charges", age_s=1e9)
    assert charges() == (1, 1, 1)


def test_rows_that_are_no_list_of_what_is_there_are_left_alone(market: Site) -> None:
    body = {"ids": [market.offer(num_gpus={"eq": 1})["id"]], "image": "i", "disk": 5}
    for kind in ("stale_list", "missing_page", "empty_list"):
        market.fault(kind, "bulk_create")
    assert len(market.json("POST", "/api/v0/asks/bulk/", body)["results"]) == 1


def test_refusals_are_not_tampered_with(market: Site) -> None:
    for kind in ("null_fields", "empty_list", "duplicate", "stale_list", "missing_page"):
        market.fault(kind, "list")
    answer = market.call("GET", "/api/v1/instances/", key="nobody")
    assert (answer.status_code, answer.json()["msg"]) == (404, "Invalid user key")


def test_several_faults_at_once_befall_one_call(market: Site) -> None:
    market.rent()
    market.fault("latency", "list", seconds=1)
    market.fault("null_fields", "list", fields=["label"])
    market.fault("truncated", "list", keep=0.9)
    text = market.call("GET", "/api/v1/instances/").text
    assert market.slept == [1.0]
    with pytest.raises(ValueError):
        json.loads(text)
    assert '"label":null' in text


def test_the_same_seed_strikes_the_same_fields() -> None:
    def struck() -> Any:
        with site(seed=5) as market:
            number = market.running()
            fault = {"kind": "null_fields", "calls": ["show"], "params": {"share": 0.4}}
            market.call("POST", "/market/faults", fault)
            return [market.show(number) for _ in range(3)]

    assert struck() == struck()
