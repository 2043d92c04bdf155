from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from vast_rig import Clock, vast_client

from vast_pyworker.errors import BadAnswer, InvalidRequest, QueryError
from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.fake_vast import FakeVast, Told

SEARCH = "POST /api/v0/bundles/"
DEFAULTS = {"verified": {"eq": True}, "external": {"eq": False}, "rentable": {"eq": True}}


@pytest.fixture
def vast() -> Iterator[FakeVast]:
    with FakeVast() as vast:
        vast.on(SEARCH, {"offers": [{"id": 1, "dph_total": 0.5}, {"id": 2}]})
        yield vast


@pytest.fixture
def client(vast: FakeVast) -> Iterator[VastClient]:
    with vast_client(vast.url, Clock()) as client:
        yield client


def test_a_search_sends_filters_and_controls(vast: FakeVast, client: VastClient) -> None:
    found = client.offers.search(
        "gpu_name=RTX_4090 gpu_ram>=24", order="dph,score-", limit=5, disk_gb=20
    )
    assert [each.id for each in found] == [1, 2]
    assert found[0].usd_per_hour == 0.5
    assert vast.asked[0].body == {
        **DEFAULTS,
        "gpu_name": {"eq": "RTX 4090"},
        "gpu_ram": {"gte": 24000.0},
        "order": [["dph_total", "asc"], ["score", "desc"]],
        "type": "on-demand",
        "limit": 5,
        "allocated_storage": 20,
    }


def test_without_a_query_there_are_the_defaults_and_no_limit(
    vast: FakeVast, client: VastClient
) -> None:
    client.offers.search()
    controls = {"order": [["score", "desc"]], "type": "on-demand", "allocated_storage": 5.0}
    assert vast.asked[0].body == {**DEFAULTS, **controls}


def test_a_region_is_sent_as_its_countries(vast: FakeVast, client: VastClient) -> None:
    client.offers.search("geolocation=NA georegion=true", defaults=False)
    body = vast.asked[0].body
    assert body["geolocation"] == {"in": ["CA", "US"]} and "georegion" not in body


def test_a_default_can_be_taken_away(vast: FakeVast, client: VastClient) -> None:
    client.offers.search("verified=any")
    client.offers.search(defaults=False)
    client.offers.search({"verified": {"eq": False}})
    bodies = [each.body for each in vast.asked]
    assert "verified" not in bodies[0] and bodies[0]["rentable"] == {"eq": True}
    assert not DEFAULTS.keys() & bodies[1].keys()
    assert bodies[2]["verified"] == {"eq": False} and bodies[2]["rentable"] == {"eq": True}


@pytest.mark.parametrize(
    ("kind", "sent"), [("bid", "bid"), ("interruptible", "bid"), ("reserved", "reserved")]
)
def test_kinds_have_the_names_of_the_api(
    vast: FakeVast, client: VastClient, kind: Any, sent: str
) -> None:
    client.offers.search(kind=kind)
    assert vast.asked[0].body["type"] == sent


def test_what_cannot_be_read_is_refused_before_it_is_sent(
    vast: FakeVast, client: VastClient
) -> None:
    with pytest.raises(QueryError):
        client.offers.search("gpu_name=RTX 4090")
    with pytest.raises(InvalidRequest):
        client.offers.search(kind="cheap")  # type: ignore[arg-type]
    assert vast.asked == []


@pytest.mark.parametrize(
    "answer", [{}, [], {"offers": None}, {"offers": {"id": 1}}, {"offers": [{"x": 1}, None]}]
)
def test_an_answer_without_offers_is_not_an_empty_market(
    vast: FakeVast, client: VastClient, answer: Any
) -> None:
    vast.on(SEARCH, Told(answer))
    with pytest.raises(BadAnswer):
        client.offers.search()


def test_an_empty_market_is_empty(vast: FakeVast, client: VastClient) -> None:
    vast.on(SEARCH, {"offers": []})
    assert client.offers.search() == []


def test_rows_that_repeat_or_have_no_id_are_left_out(vast: FakeVast, client: VastClient) -> None:
    vast.on(SEARCH, {"offers": [{"id": 1}, {"id": 1}, {"x": 1}, None, 5]})
    assert [each.id for each in client.offers.search()] == [1]
