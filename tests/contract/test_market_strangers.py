"""Wrong keys and numbers of nothing, over a real socket: told by every call in its own shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bad_input import LIST, SHOW, kept_market, object_of, refused, routes
from market_site import Site, site


@pytest.fixture
def market() -> Iterator[Site]:
    with site() as made:
        yield made


@pytest.fixture(scope="module")
def kept() -> Iterator[Site]:
    with kept_market() as made:
        yield made


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
