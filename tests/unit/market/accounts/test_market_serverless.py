"""Endpoints and worker groups as stores: what may be said, what null means, what goes with what."""

from __future__ import annotations

import json

import pytest

from vast_pyworker.market.accounts.serverless import Serverless
from vast_pyworker.market.refusal import MarketRefusal

ANN, BOB = 1, 2


@pytest.fixture
def serverless() -> Serverless:
    return Serverless(lambda: "a-key")


def endpoint(serverless: Serverless, name: str = "LLama", **fields: object) -> int:
    return serverless.create_endpoint(ANN, {"endpoint_name": name, **fields}, 1.0)


def group(serverless: Serverless, **fields: object) -> int:
    body = {"endpoint_name": "LLama", "search_params": "gpu_ram>=23 num_gpus=1", **fields}
    return serverless.create_group(ANN, body, 1.0)


def test_no_endpoints_is_a_refusal_that_names_the_user(serverless: Serverless) -> None:
    with pytest.raises(MarketRefusal, match=r"No endpoints for user 1 found\.") as caught:
        serverless.endpoints(ANN)
    assert caught.value.status == 400


def test_what_is_not_said_has_its_default(serverless: Serverless) -> None:
    number = endpoint(serverless, cold_workers=2, max_queue_time=None)
    row = serverless.endpoint(ANN, number)
    assert (row["target_util"], row["cold_workers"], row["max_queue_time"]) == (0.9, 2, None)
    assert row["endpoint_state"] == "active"


def test_null_in_an_update_changes_nothing(serverless: Serverless) -> None:
    number = endpoint(serverless, min_load=3.0)
    before = serverless.endpoint(ANN, number)
    serverless.update_endpoint(ANN, number, {"min_load": None, "max_workers": 7, "x": 1})
    assert serverless.endpoint(ANN, number) == {**before, "max_workers": 7}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"min_load": -1}, "min_load must be between"),
        ({"min_load": "1"}, "min_load must be a number"),
        ({"min_load": 10**400}, "min_load must be between"),
        ({"max_workers": 1.5}, "max_workers must be an integer"),
        ({"max_workers": True}, "max_workers must be a number"),
        ({"target_util": 1.5}, "at most 1"),
        ({"endpoint_state": "asleep"}, "active, suspended, stopped"),
        ({"endpoint_name": 5}, "endpoint_name must be text"),
    ],
)
def test_what_cannot_be_changes_nothing(
    serverless: Serverless, fields: dict[str, object], said: str
) -> None:
    number = endpoint(serverless)
    before = serverless.endpoint(ANN, number)
    with pytest.raises(MarketRefusal, match=said):
        serverless.update_endpoint(ANN, number, {"cold_mult": 9, **fields})
    assert serverless.endpoint(ANN, number) == before


def test_names_are_unique_in_an_account(serverless: Serverless) -> None:
    endpoint(serverless)
    with pytest.raises(MarketRefusal, match="already exists"):
        endpoint(serverless)
    other = endpoint(serverless, "other")
    with pytest.raises(MarketRefusal, match="already exists"):
        serverless.update_endpoint(ANN, other, {"endpoint_name": "LLama"})
    serverless.create_endpoint(BOB, {"endpoint_name": "LLama"}, 1.0)


def test_others_endpoints_are_not_there(serverless: Serverless) -> None:
    number = endpoint(serverless)
    for act in (serverless.endpoint, serverless.delete_endpoint):
        with pytest.raises(MarketRefusal, match="not found") as caught:
            act(BOB, number)
        assert caught.value.status == 404
    with pytest.raises(MarketRefusal, match="not found"):
        serverless.update_endpoint(BOB, number, {"max_workers": 1})


def test_a_group_keeps_its_query_parsed(serverless: Serverless) -> None:
    endpoint(serverless)
    group(serverless)
    (row,) = serverless.groups(ANN)
    assert row["search_query"] == {"gpu_ram": {"gte": 23000.0}, "num_gpus": {"eq": "1"}}
    assert row["endpoint_name"] == "LLama"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"endpoint_name": "absent"}, "valid endpoint identifier"),
        ({"endpoint_name": None}, "valid endpoint identifier"),
        ({"endpoint_id": 4}, "valid endpoint identifier"),
        ({"search_params": "num_gpus"}, "Invalid search_params"),
        ({"search_params": {"num_gpus": {"eq": 1}}}, "search_params must be text"),
        ({"search_params": "gpu_ram>=1e999"}, "Invalid search_params"),
        ({"search_params": ""}, "search_params or a template"),
        ({"gpu_ram": -1}, "gpu_ram must be between"),
    ],
)
def test_a_group_that_cannot_be_is_not_made(
    serverless: Serverless, fields: dict[str, object], said: str
) -> None:
    endpoint(serverless)
    with pytest.raises(MarketRefusal, match=said):
        group(serverless, **fields)
    assert serverless.groups(ANN) == []


def test_an_update_of_a_group_needs_its_endpoint(serverless: Serverless) -> None:
    number, ident = endpoint(serverless), group_with_endpoint(serverless)
    before = serverless.group(ANN, ident)
    with pytest.raises(MarketRefusal, match="valid endpoint identifier"):
        serverless.update_group(ANN, ident, {"gpu_ram": 40})
    assert serverless.group(ANN, ident) == before
    serverless.update_group(ANN, ident, {"endpoint_id": number, "gpu_ram": 40, "cold_mult": None})
    assert before is not None
    assert serverless.group(ANN, ident) == {**before, "gpu_ram": 40}


def group_with_endpoint(serverless: Serverless) -> int:
    return group(serverless)


def test_deleting_an_endpoint_takes_its_groups(serverless: Serverless) -> None:
    number = endpoint(serverless)
    first, other = group(serverless), endpoint(serverless, "other")
    kept = group(serverless, endpoint_name="other")
    assert serverless.delete_endpoint(ANN, number) == [first]
    assert [row["id"] for row in serverless.groups(ANN)] == [kept]
    assert serverless.endpoint(ANN, other)["endpoint_name"] == "other"


def test_a_group_is_deleted_once(serverless: Serverless) -> None:
    endpoint(serverless)
    number = group(serverless)
    serverless.delete_group(ANN, number)
    with pytest.raises(MarketRefusal, match="No autojob by that id") as caught:
        serverless.delete_group(ANN, number)
    assert caught.value.status == 404


def test_a_renamed_endpoint_renames_itself_in_its_groups(serverless: Serverless) -> None:
    number = endpoint(serverless)
    group(serverless)
    serverless.update_endpoint(ANN, number, {"endpoint_name": "new"})
    assert [row["endpoint_name"] for row in serverless.groups(ANN)] == ["new"]


def test_everything_survives_as_json(serverless: Serverless) -> None:
    endpoint(serverless)
    group(serverless)
    again = Serverless(lambda: "b")
    again.restore(json.loads(json.dumps(serverless.state())))
    assert again.state() == serverless.state()
    assert again.create_endpoint(ANN, {"endpoint_name": "n"}, 1.0) == 1002
