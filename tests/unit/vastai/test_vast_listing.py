from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from vast_rig import Clock, page, row, vast_client

from vast_pyworker.errors import AuthError, BadAnswer, EndpointRetired
from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.fake_vast import Asked, FakeVast, Told

LIST = "GET /api/v1/instances/"


@pytest.fixture
def vast() -> Iterator[FakeVast]:
    with FakeVast() as vast:
        yield vast


@pytest.fixture
def client(vast: FakeVast) -> Iterator[VastClient]:
    with vast_client(vast.url, Clock()) as client:
        yield client


def rows(first: int, last: int, **fields: Any) -> list[dict[str, Any]]:
    return [row(each, **fields) for each in range(first, last + 1)]


def three_pages(asked: Asked) -> dict[str, Any]:
    after = int(asked.query.get("after_token", "t0")[1:])
    last = min(after + 25, 60)
    return page(rows(after + 1, last), 60, f"t{last}" if last < 60 else None)


def test_pages_are_followed_to_the_end(vast: FakeVast, client: VastClient) -> None:
    vast.on(LIST, three_pages)
    assert [each.id for each in client.instances.list()] == list(range(1, 61))
    first = vast.asked[0].query
    assert json.loads(first["order_by"]) == [{"col": "id", "dir": "asc"}]
    assert first["limit"] == "25" and first["select_filters"] == "{}"
    assert [each.query.get("after_token") for each in vast.asked] == [None, "t25", "t50"]


def test_an_account_without_instances_is_empty(vast: FakeVast, client: VastClient) -> None:
    vast.on(LIST, page([]))
    assert client.instances.list() == []


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        {"success": True},
        {"instances": None},
        {"instances": {"1": {}}},
        {"instances": [1]},
        {"instances": [{"label": "no id"}]},
        {"instances": [row(1), row(1)], "total_instances": 2},
        page([row(1)], 2),
        page([row(1), row(2)], 1),
        page([], 1),
        page([row(1)], 2, "t", instances_found=2),
        page([], 1, "t"),
        page([row(1)], 1, "t"),
        page([row(1)], 2, 5),  # type: ignore[arg-type]
    ],
)
def test_a_list_that_does_not_add_up_is_an_error_and_never_a_part(
    vast: FakeVast, client: VastClient, answer: Any
) -> None:
    vast.on(LIST, Told(answer))
    with pytest.raises(BadAnswer):
        client.instances.list()


@pytest.mark.parametrize(
    ("told", "error"),
    [
        (Told({"error": "deprecated_endpoint", "msg": "m"}, 410), EndpointRetired),
        (Told({"error": "auth_error", "msg": "Invalid user key"}, 404), AuthError),
        (Told(b"", 200), BadAnswer),
        (Told(b"<html>", 404), BadAnswer),
    ],
)
def test_a_list_that_fails_is_an_error_and_never_empty(
    vast: FakeVast, client: VastClient, told: Told, error: type[Exception]
) -> None:
    vast.on(LIST, told)
    with pytest.raises(error):
        client.instances.list()


def test_a_failure_on_a_later_page_loses_the_list(vast: FakeVast, client: VastClient) -> None:
    vast.on(LIST, page(rows(1, 25), 30, "t25"), Told({"error": "auth_error"}, 401))
    with pytest.raises(AuthError):
        client.instances.list()


def test_a_page_that_is_missing_is_noticed_by_the_total(vast: FakeVast, client: VastClient) -> None:
    vast.on(LIST, page(rows(1, 25), 60, "t50"), page(rows(51, 60), 60))
    vast.on(LIST, page(rows(1, 25), 60, "t50"), page(rows(51, 60), 60), three_pages)
    assert len(client.instances.list()) == 60


def test_pages_that_drift_are_read_again_from_the_start(vast: FakeVast, client: VastClient) -> None:
    first = page(rows(1, 25), 26, "t25")
    changed = page(rows(26, 27), 27)
    vast.on(LIST, first, changed, page(rows(1, 25), 27, "t25"), changed)
    assert len(client.instances.list()) == 27


def test_rereading_ends(vast: FakeVast, client: VastClient) -> None:
    vast.on(LIST, page([row(1)], 2))
    with pytest.raises(BadAnswer, match="1 instances where it counts 2"):
        client.instances.list()
    assert len(vast.asked) == 3


def test_a_token_that_repeats_does_not_go_round_for_ever(
    vast: FakeVast, client: VastClient
) -> None:
    number = iter(range(1, 1000))
    vast.on(LIST, lambda asked: page([row(next(number))], 999, "same"))
    with pytest.raises(BadAnswer, match="leads nowhere new"):
        client.instances.list()


def test_a_label_is_looked_up_by_the_server_and_checked_here(
    vast: FakeVast, client: VastClient
) -> None:
    vast.on(LIST, page([row(1, label="a/1 "), row(2, label="a/11"), row(3)]))
    assert [each.id for each in client.instances.find("a/1")] == [1]
    assert json.loads(vast.asked[0].query["select_filters"]) == {"label": {"eq": "a/1"}}


def test_the_count_of_a_label_is_held_against_what_came(vast: FakeVast, client: VastClient) -> None:
    vast.on(LIST, page([], 0, label_counts={"a/1": 1}))
    with pytest.raises(BadAnswer):
        client.instances.find("a/1")


def test_an_empty_list_that_counts_labels_is_not_empty(vast: FakeVast, client: VastClient) -> None:
    vast.on(LIST, page([], 0, label_counts={"": 2, "a/1": 1}))
    with pytest.raises(BadAnswer):
        client.instances.list()
    vast.on(LIST, page([], 0, label_counts={"": 0}))
    assert client.instances.list() == []


def test_a_total_that_may_count_others_too_is_not_held_against_a_label(
    vast: FakeVast, client: VastClient
) -> None:
    vast.on(LIST, page([row(1, label="a/1")], 900))
    assert [each.id for each in client.instances.find("a/1")] == [1]


def test_no_label_is_a_label_to_look_for(vast: FakeVast, client: VastClient) -> None:
    vast.on(LIST, page([row(1), row(2, label="x"), row(3, label="")]))
    assert [each.id for each in client.instances.list("")] == [1, 3]
    assert json.loads(vast.asked[0].query["select_filters"]) == {"label": {"in": [None]}}


def test_filters_are_passed_on(vast: FakeVast, client: VastClient) -> None:
    vast.on(LIST, page([row(1)]))
    client.instances.list(filters={"actual_status": {"in": ["running"]}})
    sent = json.loads(vast.asked[0].query["select_filters"])
    assert sent == {"actual_status": {"in": ["running"]}}


def test_a_show_is_the_instance_or_gone(vast: FakeVast, client: VastClient) -> None:
    vast.on("GET /api/v0/instances/5/", {"instances": row(5, label=" x ")}, {"instances": None})
    found = client.instances.show(5)
    assert found is not None and found.label == "x"
    assert client.instances.show(5) is None
    assert vast.asked[0].query == {"owner": "me"}


@pytest.mark.parametrize(
    "answer", [{}, {"success": True}, {"instances": []}, {"instances": row(6)}, {"instances": {}}]
)
def test_a_show_without_a_word_on_the_instance_is_not_gone(
    vast: FakeVast, client: VastClient, answer: Any
) -> None:
    vast.on("GET /api/v0/instances/5/", answer)
    with pytest.raises(BadAnswer):
        client.instances.show(5)
