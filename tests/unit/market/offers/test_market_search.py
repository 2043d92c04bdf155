from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from market_parts import DAY_S, EPOCH, SmallWorld, drawn, machine_of, world_of

from vast_pyworker.market.offers.columns import OFFER_COLUMNS
from vast_pyworker.market.offers.offer_rows import offer_row
from vast_pyworker.market.offers.search import search
from vast_pyworker.market.offers.search_query import DEFAULT_LIMIT, LARGEST_LIMIT, read_query
from vast_pyworker.market.refusal import MarketRefusal
from vast_pyworker.market.supply.machines import Occupancy

DEFAULTS: dict[str, Any] = {
    "verified": {"eq": True},
    "external": {"eq": False},
    "rentable": {"eq": True},
    "order": [["score", "desc"]],
    "type": "on-demand",
    "allocated_storage": 5.0,
}
CASES = json.loads(
    (Path(__file__).parents[3] / "data" / "vast" / "parse_query.json").read_text("utf-8")
)


@pytest.fixture(scope="module")
def market() -> SmallWorld:
    return world_of()


def found(world: SmallWorld, body: object, now: float = EPOCH) -> list[dict[str, Any]]:
    return search(world, body, now)


def test_the_usual_search_gives_rentable_verified_offers_best_first(market: SmallWorld) -> None:
    rows = found(market, DEFAULTS)
    assert len(rows) == DEFAULT_LIMIT
    assert all(row["rentable"] and row["verification"] == "verified" for row in rows)
    assert all(row["disk_space"] >= 5.0 for row in rows)
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert [row["rn"] for row in rows] == list(range(1, DEFAULT_LIMIT + 1))


def test_a_found_row_is_the_offers_row(market: SmallWorld) -> None:
    for row in found(market, {**DEFAULTS, "limit": 20}):
        ask = market.catalogue.ask(row["id"])
        assert ask is not None
        expected = offer_row(*ask, disk_gb=5.0, kind="on-demand", now=EPOCH)
        apart = ("rn", "bundled_results")
        assert {k: v for k, v in row.items() if k not in apart} == {
            k: v for k, v in expected.items() if k not in apart
        }


@pytest.mark.parametrize(
    ("limit", "count"),
    [(1, 1), ("7", 7), (3.0, 3), (None, DEFAULT_LIMIT), (0, DEFAULT_LIMIT), (-5, DEFAULT_LIMIT)],
)
def test_limit(market: SmallWorld, limit: object, count: int) -> None:
    assert len(found(market, {"limit": limit})) == count


def test_a_huge_limit_is_capped() -> None:
    assert read_query({"limit": 10**9}).limit == LARGEST_LIMIT


@pytest.mark.parametrize("name", ["on-demand", "ondemand", "ask", None])
def test_names_of_on_demand(market: SmallWorld, name: object) -> None:
    assert not found(market, {"type": name, "limit": 1})[0]["is_bid"]


def test_bids_are_cheaper_and_marked(market: SmallWorld) -> None:
    first = found(market, {"type": "bid", "order": [["id", "asc"]], "limit": 1})[0]
    same = found(market, {"id": {"eq": first["id"]}})[0]
    assert first["is_bid"] and first["dph_total"] < same["dph_total"]


def test_alike_slots_share_a_row_unless_bundling_is_off() -> None:
    world = world_of(machine_of(4))
    assert [(row["num_gpus"], row["bundled_results"]) for row in found(world, {})] == [
        (1, 4),
        (2, 2),
        (4, 1),
    ]
    rows = found(world, {"disable_bundling": True})
    assert [row["gpu_ids"] for row in rows] == [
        [0], [1], [2], [3], [0, 1], [2, 3], [0, 1, 2, 3],
    ]  # fmt: skip
    assert {row["bundled_results"] for row in rows} == {1}


def test_every_slot_is_found_by_its_id() -> None:
    machine = machine_of(4)
    for ask in machine.asks:
        (row,) = found(world_of(machine), {"id": {"eq": str(ask.id)}})
        assert (row["id"], row["gpu_ids"]) == (ask.id, list(ask.gpu_ids))


def test_a_rented_slot_gives_way_to_the_next_one() -> None:
    machine = machine_of(2)
    world = world_of(machine)
    world.occupied[machine.machine_id] = Occupancy(on_demand=frozenset({0}))
    rentable = found(world, {"rentable": {"eq": True}})
    assert [row["gpu_ids"] for row in rentable] == [[1]]
    rented = found(world, {"rented": {"eq": True}})
    assert [row["gpu_ids"] for row in rented] == [[0], [0, 1]]


def test_a_running_bid_raises_the_least_bid_of_its_slots() -> None:
    machine = machine_of(2, min_bid_per_gpu=0.1)
    world = world_of(machine)
    world.occupied[machine.machine_id] = Occupancy(bids={0: 0.4})
    rows = found(world, {"type": "bid", "order": [["min_bid", "asc"]]})
    assert [row["gpu_ids"] for row in rows] == [[1], [0], [0, 1]]
    assert rows[0]["dph_base"] == 0.1


def test_what_is_offline_withdrawn_or_ended_is_not_found() -> None:
    machine = machine_of(2, listed_until=EPOCH + DAY_S, relisted_s=0.0)
    world = world_of(machine)
    world.withdrawn.add(machine.asks[0].id)
    assert [row["gpu_ids"] for row in found(world, {})] == [[1], [0, 1]]
    assert found(world, {}, now=EPOCH + DAY_S) == []
    world.offline.add(machine.machine_id)
    assert found(world, {}) == []
    assert found(SmallWorld(type(world.catalogue)(())), {}) == []


def test_a_new_price_is_found_at_once() -> None:
    machine = machine_of(1)
    world = world_of(machine)
    world.catalogue.replace(replace(machine, usd_per_gpu_hour=77.0))
    assert found(world, {})[0]["dph_base"] == 77.0


def test_storage_is_priced_and_must_be_there() -> None:
    world = world_of(machine_of(1, disk_gb=100.0, storage_cost=0.72))
    (row,) = found(world, {"allocated_storage": 50})
    assert row["storage_total_cost"] == pytest.approx(0.05)
    assert found(world, {"allocated_storage": 100.5}) == []
    assert found(world, {"allocated_storage": {"gte": "100.5"}}) == []
    assert found(world, {})[0]["storage_total_cost"] == pytest.approx(0.008)


def test_target_reliability_is_a_lower_bound(market: SmallWorld) -> None:
    rows = found(market, {"target_reliability": 0.995})
    assert rows and all(row["expected_reliability"] >= 0.995 for row in rows)


def test_the_envelope_of_search_asks(market: SmallWorld) -> None:
    body = {"select_cols": ["*"], "q": {**DEFAULTS, "limit": 3}}
    assert found(market, body) == found(market, {**DEFAULTS, "limit": 3})


def test_select_cols_gives_these_and_null_for_unknown_ones(market: SmallWorld) -> None:
    rows = found(market, {"select_cols": ["id", "gpu_name", "colour"], "q": {"limit": 2}})
    assert [set(row) for row in rows] == [{"id", "gpu_name", "colour"}] * 2
    assert rows[0]["colour"] is None


def test_other_keys_of_the_clients_are_accepted(market: SmallWorld) -> None:
    extra = {
        "disable_bundling": True,
        "extra_ids": [],
        "gpu_option": None,
        "show_incompatible": False,
        "sort_option": {},
        "template_id": None,
    }
    assert found(market, {**DEFAULTS, **extra})


def test_duration_is_what_remains(market: SmallWorld) -> None:
    rows = found(market, {"duration": {"gte": 90 * DAY_S}})
    assert rows and all(row["end_date"] >= EPOCH + 90 * DAY_S for row in rows)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "q",
        3,
        {"q": []},
        {"q": None},
        {"type": "rent"},
        {"type": ["bid"]},
        {"limit": "many"},
        {"limit": [5]},
        {"order": "score-"},
        {"order": [["colour", "asc"]]},
        {"allocated_storage": "big"},
        {"allocated_storage": -1},
        {"allocated_storage": {"gte": 1, "lte": 2}},
        {"target_reliability": []},
        {"select_cols": "id"},
        {"select_cols": [1]},
        {"colour": {"eq": "red"}},
    ],
)
def test_what_is_no_query_is_refused(market: SmallWorld, body: object) -> None:
    with pytest.raises(MarketRefusal) as refusal:
        found(market, body)
    assert (refusal.value.status, refusal.value.code) == (400, "invalid_request")


def test_every_query_that_the_official_parser_makes_of_known_fields_is_understood(
    market: SmallWorld,
) -> None:
    parsed = [case["official"] for case in CASES["queries"] + CASES["merges"]]
    queries = [each["result"] for each in parsed if "result" in each]
    known = [query for query in queries if set(query) <= set(OFFER_COLUMNS)]
    assert len(known) > 40
    for query in known:
        found(market, query)


def test_every_field_of_the_official_client_can_be_searched() -> None:
    assert set(CASES["official_fields"]) <= set(OFFER_COLUMNS)


def test_a_search_changes_nothing(market: SmallWorld) -> None:
    before = found(market, DEFAULTS)
    assert found(market, DEFAULTS) == before
    assert tuple(market.catalogue) == drawn()
