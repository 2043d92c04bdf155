"""Bad input over a real socket: refused in the service's shapes, never a traceback, no change."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from market_site import KEY, TIMEOUT_S, Site, site

from vast_pyworker.market.api.asking import BODY_LIMIT_BYTES
from vast_pyworker.market.api.door import Route
from vast_pyworker.market.app import FAMILIES

UNKNOWN = 99
LIST, SEARCH, SHOW = "/api/v1/instances/", "/api/v0/bundles/", "/api/v0/instances/99/"


@pytest.fixture
def market() -> Iterator[Site]:
    with site() as made:
        yield made


@pytest.fixture(scope="module")
def kept() -> Iterator[Site]:
    """One market for what must not change it; it has an instance, an endpoint and a template."""
    with site() as made:
        made.running(label="kept")
        made.json("POST", "/api/v0/endptjobs/", {"endpoint_name": "kept"})
        made.json("POST", "/api/v0/template/", {"name": "kept", "image": "i"})
        yield made


def routes(market: Site) -> list[tuple[Route, str]]:
    """Every call there is, with its whole path; what a path names is nowhere."""
    return [
        (route, prefix + route.path.translate(str.maketrans("<>", "{}")).format(**_NOBODY))
        for _, prefix, made in FAMILIES
        for route in made(market.built.parts)
    ]


_NOBODY = {"ident": UNKNOWN, "key": UNKNOWN, "name": "nobody"}


def refused(market: Site, method: str, path: str, body: Any = None, **more: Any) -> Any:
    """The answer to a call that must leave no trace."""
    before = market.state()
    answer = market.call(method, path, body, **more)
    assert market.state() == before, (method, path)
    assert "Traceback" not in answer.text and answer.status_code < 500
    return answer


def object_of(answer: requests.Response) -> dict[str, Any]:
    assert answer.headers["Content-Type"] == "application/json"
    said: dict[str, Any] = answer.json()
    assert said.get("success") is False or "success" not in said
    return said


# A wrong key


def test_a_wrong_key_is_told_so_by_every_call(kept: Site) -> None:
    asked = 0
    for route, path in routes(kept):
        if route.name == "result":
            continue  # its address is the secret
        answer = refused(kept, route.method, path, {}, key="nobody")
        assert (answer.status_code, object_of(answer)["error"]) == (404, "auth_error"), path
        assert answer.json()["msg"] == "Invalid user key"
        asked += 1
    assert asked > 60


def test_no_key_is_told_so_by_every_call_that_needs_one(kept: Site) -> None:
    for route, path in routes(kept):
        if not route.public:
            answer = refused(kept, route.method, path, {}, key=None)
            assert (answer.status_code, object_of(answer)["error"]) == (401, "auth_error"), path


# An unknown number


INSTANCE = "no_such_instance"
WITH_UNKNOWN_ID: list[tuple[str, str, Any, int, str | None]] = [
    ("PUT", SHOW, {"state": "running"}, 404, INSTANCE),
    ("PUT", SHOW, {"state": "stopped"}, 404, INSTANCE),
    ("PUT", SHOW, {"label": "x"}, 404, INSTANCE),
    ("DELETE", SHOW, {}, 404, INSTANCE),
    ("PUT", "/api/v0/instances/", {"state": "stopped", "ids": [99]}, 404, "invalid_args"),
    ("DELETE", "/api/v0/instances/", {"instance_ids": [99]}, 404, "instances_not_found"),
    ("PUT", "/api/v0/instances/reboot/99/", {}, 400, "invalid_args"),
    ("PUT", "/api/v0/instances/recycle/99/", {}, 200, "invalid_id"),
    ("PUT", "/api/v0/instances/bid_price/99/", {"price": 1}, 404, INSTANCE),
    ("PUT", "/api/v0/instances/prepay/99/", {"amount": 5}, 400, "invalid_args"),
    ("PUT", "/api/v0/instances/update_template/99/", {"image": "i"}, 404, "not_found"),
    ("PUT", "/api/v0/instances/request_logs/99/", {}, 404, "invalid_id"),
    ("PUT", "/api/v0/instances/command/99/", {"command": "ls"}, 404, "not_found"),
    ("GET", "/api/v0/instances/balance/99/", None, 404, INSTANCE),
    ("GET", "/api/v0/instances/99/ssh/", None, 200, INSTANCE),
    ("POST", "/api/v0/instances/99/ssh/", {"ssh_key": "ssh-rsa AAAA"}, 200, INSTANCE),
    ("DELETE", "/api/v0/instances/99/ssh/5/", {}, 200, INSTANCE),
    ("PUT", "/api/v0/asks/99/", {"image": "i"}, 404, "no_such_ask"),
    ("DELETE", "/api/v0/template/", {"template_id": 99}, 400, None),
    ("DELETE", "/api/v0/template/", {"hash_id": "nowhere"}, 400, None),
    ("PUT", "/api/v1/template/", {"id": 99, "hash_id": "nowhere"}, 404, "invalid_template"),
    ("GET", "/api/v0/endptjobs/99/", None, 404, "not_found"),
    ("PUT", "/api/v0/endptjobs/99/", {"max_workers": 3}, 400, "invalid_args"),
    ("DELETE", "/api/v0/endptjobs/99/", {}, 404, "not_found"),
    ("PUT", "/api/v0/autojobs/99/", {"endpoint_id": 5}, 400, "invalid_args"),
    ("DELETE", "/api/v0/workergroups/99/", {}, 404, "not_found"),
    ("PUT", "/api/v0/ssh/99/", {"ssh_key": "ssh-rsa AAAA"}, 404, "not_found"),
    ("DELETE", "/api/v0/ssh/99/", {}, 404, "not_found"),
    ("DELETE", "/api/v0/auth/apikeys/99/", {}, 404, "not_found"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "code"), WITH_UNKNOWN_ID)
def test_what_is_not_there_is_told_in_the_calls_own_shape(
    kept: Site, method: str, path: str, body: Any, status: int, code: str | None
) -> None:
    answer = refused(kept, method, path, body)
    said = object_of(answer)
    assert (answer.status_code, said.get("error")) == (status, code)
    assert isinstance(said["msg"], str) and said["success"] is False


def test_an_unknown_instance_is_shown_as_null(kept: Site) -> None:
    assert refused(kept, "GET", f"{SHOW}?owner=me").json() == {"instances": None}


def test_one_unknown_number_among_many_spares_the_rest(market: Site) -> None:
    number = market.running()
    path = "/api/v0/instances/"
    assert market.json("PUT", path, {"state": "stopped", "ids": [99, number]})["success"] is True
    assert market.show(number)["intended_status"] == "stopped"
    assert market.json("DELETE", path, {"instance_ids": [99, number]})["success"] is True
    assert market.show(number) is None


def test_unknown_offers_of_a_bulk_create_each_say_so(kept: Site) -> None:
    made = refused(kept, "POST", "/api/v0/asks/bulk/", {"ids": [98, 99], "image": "i"}).json()
    assert (made["success"], made["created"], made["failed"]) == (False, [], [98, 99])
    assert {row["error"] for row in made["results"]} == {"no_such_ask"}


def test_another_accounts_instance_is_unknown(market: Site) -> None:
    number = market.running()
    other = market.built.parts.accounts.open("other", credit=50.0, now=0.0, key="other")
    assert market.show(number, key="other") is None
    path = f"/api/v0/instances/{number}/"
    answer = refused(market, "DELETE", path, {}, key="other")
    assert (answer.status_code, answer.json()["error"]) == (404, INSTANCE)
    assert market.json("GET", LIST, key="other")["total_instances"] == 0
    assert other.id != market.account_id


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


# Bodies that are none


def junk(rng: random.Random, depth: int = 0) -> Any:
    """Any JSON, of names and values that calls know."""
    words = (
        "state", "ids", "label", "price", "disk", "env", "q", "id", "limit", "order", "image",
        "running", "eq", "in", "ssh_key", "template_hash_id", "name", "amount", "args", "key",
        "instance_ids", "endpoint_id", "search_params", "command", "tail", "filter", "runtype",
    )  # fmt: skip
    if depth > 2 or rng.random() < 0.4:
        return rng.choice(
            (None, True, 0, -1, 1.5, 10**30, "", "x", "\0", "٣", "-p 80:80", "[", rng.choice(words))
        )
    if rng.random() < 0.3:
        return [junk(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(words): junk(rng, depth + 1) for _ in range(rng.randrange(5))}


def test_whatever_is_sent_anywhere_is_understood_or_refused(market: Site) -> None:
    number = market.running()
    rng = random.Random(7)
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {KEY}"
        for route, path in routes(market):
            for _ in range(12):
                body = junk(rng)
                real = path.replace(f"/{UNKNOWN}/", f"/{number}/") if rng.random() < 0.5 else path
                before = market.state()
                answer = session.request(
                    route.method, market.url + real, json=body, timeout=TIMEOUT_S
                )
                assert answer.status_code < 500, (route.method, real, body, answer.text)
                if answer.status_code >= 400:
                    assert market.state() == before, (route.method, real, body)


@pytest.mark.parametrize("excess", [1, 1_000_000])
def test_a_body_over_the_limit_is_413_for_every_call_that_takes_one(
    kept: Site, excess: int
) -> None:
    body = b'{"image": "' + b"x" * (BODY_LIMIT_BYTES + excess) + b'"}'
    for route, path in routes(kept)[:: 1 if excess == 1 else 8]:
        if route.method != "GET":
            answer = refused(kept, route.method, path, data=body)
            assert (answer.status_code, object_of(answer)["error"]) == (413, "payload_too_large")


@pytest.mark.parametrize("path", ["/api/v0/asks/99/", "/market/faults"])
def test_a_body_whose_length_is_not_announced_has_the_same_limit(kept: Site, path: str) -> None:
    before = kept.state()

    def chunks() -> Iterator[bytes]:
        yield b'{"image": "'
        for _ in range(20):
            yield b"x" * 100_000
        yield b'"}'

    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {KEY}"
        answer = session.put(kept.url + path, data=chunks(), timeout=TIMEOUT_S)
    assert answer.status_code == 413
    assert kept.state() == before
