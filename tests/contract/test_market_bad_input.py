"""Values that cannot be, over a real socket: refused by name, never a traceback, no change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from bad_input import LIST, SEARCH, kept_market, object_of, refused
from market_site import Site, site


@pytest.fixture
def market() -> Iterator[Site]:
    with site() as made:
        yield made


@pytest.fixture(scope="module")
def kept() -> Iterator[Site]:
    with kept_market() as made:
        yield made


# Filters that cannot be read, and fields that are not known


BAD_SEARCHES: list[tuple[Any, str]] = [
    ({"num_gpus": 5}, "must be dict of conditions"),
    ({"num_gpus": None}, "must be dict of conditions"),
    ({"num_gpus": {"like": 1}}, "like is not a valid operator"),
    ({"num_gpus": {"eq": [1]}}, "num_gpus has an invalid value"),
    ({"gpu_name": {"in": "RTX 4090"}}, "gpu_name needs a list of values"),
    ({"dph_total": {"lt": "cheap"}}, "dph_total has an invalid value"),
    ({"colour": {"eq": "red"}}, "colour is not a valid search key"),
    ({"order": "dph_total"}, "order must be a list"),
    ({"order": [["colour", "asc"]]}, "colour is not a valid search key"),
    ({"limit": "many"}, "limit has an invalid value"),
    ({"type": "free"}, "type must be"),
    ({"allocated_storage": -1}, "allocated_storage has an invalid value"),
    ({"select_cols": 5}, "select_cols must be a list"),
]


@pytest.mark.parametrize(("query", "said"), BAD_SEARCHES)
def test_a_malformed_search_is_400(kept: Site, query: Any, said: str) -> None:
    answers = [refused(kept, "POST", SEARCH, query, key=None)]
    if "select_cols" not in query:  # which elsewhere stands beside the query
        launch = {"image": "i", "disk": 5, "q": query}
        answers += [
            refused(kept, "PUT", "/api/v0/search/asks/", {"q": query, "select_cols": ["*"]}),
            refused(kept, "GET", SEARCH, params={"q": json.dumps(query)}),
            refused(kept, "PUT", "/api/v0/launch_instance/", launch),
        ]
    for answer in answers:
        assert answer.status_code == 400, answer.text
        assert object_of(answer)["error"] == "invalid_request" and said in answer.json()["msg"]


BAD_LISTS = [
    ("select_filters", "{", "not valid JSON"),
    ("select_filters", "[]", "must be dict of conditions"),
    ("select_filters", '{"label": 5}', "must be dict of conditions"),
    ("select_filters", '{"label": {"like": "x"}}', "like is not a valid operator"),
    ("select_filters", '{"id": {"eq": "x"}}', "id has an invalid value"),
    ("select_filters", '{"label": {"in": "x"}}', "label needs a list"),
    ("select_filters", '{"dph_total": {"lt": 1}}', "dph_total is not a valid search key"),
    ("order_by", '[{"col": "colour"}]', "colour is not a valid search key"),
    ("order_by", "[5]", "order must be a list"),
    ("limit", '"x"', "limit"),
    ("select_cols", "5", "select_cols"),
    ("after_token", "e30=", ""),
]


@pytest.mark.parametrize(("name", "text", "said"), BAD_LISTS)
def test_a_malformed_list_is_400(kept: Site, name: str, text: str, said: str) -> None:
    answer = refused(kept, "GET", LIST, params={name: text})
    assert answer.status_code == 400 and said in object_of(answer)["msg"]
    code = "invalid_token" if name == "after_token" else "invalid_request"
    assert answer.json()["error"] == code


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/v0/users/current?owner=me", None, 422),
        ("PUT", "/api/v0/users/", {"colour": 1}, 400),
        (
            "PUT",
            "/api/v0/instances/accept-price-increase/",
            {"pending_price_increase_id": 1, "colour": 1},
            400,
        ),
        ("POST", "/api/v0/template/", {"name": "n", "image": "i", "colour": 1}, 400),
        ("GET", '/api/v0/template/?select_filters={"colour":{"eq":1}}', None, 400),
    ],
)
def test_an_unknown_field_is_named(
    kept: Site, method: str, path: str, body: Any, status: int
) -> None:
    answer = refused(kept, method, path, body)
    assert answer.status_code == status
    said = object_of(answer)["msg"]
    assert "colour" in said or "owner: Extra inputs are not permitted" in said


# Numbers that cannot be


BAD_CREATES: list[tuple[dict[str, Any], str]] = [
    *[({"price": price}, "invalid_price") for price in (-1, 0, 0.0001, 129, 1e9, "cheap", True)],
    *[({"disk": disk}, "invalid_args") for disk in (-1, 0, "large", True, [])],
    ({"env": "-e A=1"}, "invalid_args"),
    ({"env": {"A": [1]}}, "invalid_args"),
    ({"label": "x" * 1025}, "invalid_args"),
    ({"onstart": "x" * 4049}, "invalid_args"),
    ({"runtype": "fly"}, "invalid_args"),
    ({"args": 5}, "invalid_args"),
]


@pytest.mark.parametrize(("fields", "code"), BAD_CREATES)
def test_nothing_is_rented_on_terms_that_cannot_be(
    kept: Site, fields: dict[str, Any], code: str
) -> None:
    offer = kept.offer(num_gpus={"eq": 1})["id"]
    body = {"image": "i", "disk": 5, **fields}
    for method, path, sent in (
        ("PUT", f"/api/v0/asks/{offer}/", body),
        ("POST", "/api/v0/asks/bulk/", {**body, "ids": [offer]}),
        ("PUT", "/api/v0/launch_instance/", {**body, "q": {"num_gpus": {"eq": 1}}}),
    ):
        answer = refused(kept, method, path, sent)
        assert answer.status_code == 400, (path, answer.text)
        assert object_of(answer)["error"] == code


@pytest.mark.parametrize("price", [-1, 0, 33, "cheap", None])
def test_a_bid_that_cannot_be_changes_no_price(market: Site, price: Any) -> None:
    number = market.running(price=1.0)
    answer = refused(market, "PUT", f"/api/v0/instances/bid_price/{number}/", {"price": price})
    assert answer.status_code == 400 and "Please set a bid price" in object_of(answer)["msg"]


@pytest.mark.parametrize("amount", [-5, 0, "much", None, 1e12])
def test_a_deposit_that_cannot_be_is_not_taken(market: Site, amount: Any) -> None:
    number = market.running()
    answer = refused(market, "PUT", f"/api/v0/instances/prepay/{number}/", {"amount": amount})
    assert answer.status_code == 400 and object_of(answer)["success"] is False


def test_a_disk_larger_than_the_offer_is_cut_and_nobody_is_told(market: Site) -> None:
    offer = market.offer(num_gpus={"eq": 1})
    path = f"/api/v0/asks/{offer['id']}/"
    made = market.json("PUT", path, {"image": "i", "disk": offer["disk_space"] * 10})
    assert set(made) == {"success", "new_contract", "instance_api_key"} and made["success"] is True
    row = market.show(made["new_contract"])
    assert row["disk_space"] == pytest.approx(offer["disk_space"])
    storage = row["storage_cost"] * row["disk_space"] / 720
    assert row["dph_total"] == pytest.approx(row["dph_base"] + storage)
