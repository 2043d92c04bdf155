"""Lists of instances: pages, filters, orders and columns, all agreeing with what there is."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_market import Rig, alone, refused, refused_unchanged

from vast_pyworker.market.offers.columns import INSTANCE_COLUMNS
from vast_pyworker.market.rentals.shelf import Shelf
from vast_pyworker.market.reports.listing import STORED


def rig_of(count: int) -> tuple[Rig, list[int]]:
    rig = Rig(*[alone(n) for n in range(1, count + 1)])
    labels = ("a", "b", None)
    numbers = [
        rig.create(machine.asks[0], label=labels[index % 3])
        for index, machine in enumerate(rig.machines)
    ]
    return rig, numbers


def pages(rig: Rig, **asked: Any) -> list[dict[str, Any]]:
    found = [rig.market.list_instances(rig.account, **asked)]
    while found[-1]["next_token"] is not None:
        token = found[-1]["next_token"]
        found.append(rig.market.list_instances(rig.account, after_token=token, **asked))
    return found


def ids(found: list[dict[str, Any]]) -> list[int]:
    return [row["id"] for page in found for row in page["instances"]]


def test_pages_of_25_cover_everything_once_in_the_order_of_ids() -> None:
    rig, numbers = rig_of(60)
    found = pages(rig)
    assert ids(found) == numbers
    assert [page["instances_found"] for page in found] == [25, 25, 10]
    assert {page["total_instances"] for page in found} == {60}
    assert found[0]["success"] is True
    assert found[0]["label_counts"] == {"a": 20, "b": 20, "": 20}


def test_the_token_is_the_last_id_in_base64() -> None:
    rig, numbers = rig_of(3)
    token = rig.market.list_instances(rig.account, limit=2)["next_token"]
    assert json.loads(base64.b64decode(token)) == {"values": {"id": numbers[1]}}


@pytest.mark.parametrize(
    ("limit", "size"), [(None, 25), (1, 1), (25, 25), (99, 25), (0, 5), (-3, 5)]
)
def test_a_page_has_at_most_25_and_5_for_no_number(limit: int | None, size: int) -> None:
    rig, _ = rig_of(30)
    assert rig.market.list_instances(rig.account, limit=limit)["instances_found"] == size


@pytest.mark.parametrize(
    ("order", "reverse"),
    [
        ([{"col": "id", "dir": "desc"}], True),
        ([{"col": "id", "dir": "sideways"}], False),
        ([["id", "desc"]], True),
        ([], False),
    ],
)
def test_ids_can_be_paged_either_way(order: object, reverse: bool) -> None:
    rig, numbers = rig_of(12)
    assert ids(pages(rig, order_by=order, limit=5)) == sorted(numbers, reverse=reverse)


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_another_order_is_broken_by_id_and_has_nulls_last(direction: str) -> None:
    rig, numbers = rig_of(13)
    found = ids(pages(rig, order_by=[{"col": "label", "dir": direction}], limit=4))
    labels = ["a", "b"] if direction == "asc" else ["b", "a"]
    assert found == [
        number
        for label in (*labels, None)
        for number in numbers
        if rig.row(number)["label"] == label
    ]


def test_filters_choose_by_what_is_stored() -> None:
    rig, numbers = rig_of(9)
    found = pages(rig, select_filters={"label": {"eq": "a"}})
    assert ids(found) == numbers[::3]
    assert found[0]["total_instances"] == 3
    assert found[0]["label_counts"] == {"a": 3}
    assert ids(pages(rig, select_filters={"label": {"in": [None]}})) == numbers[2::3]
    assert ids(pages(rig, select_filters={"id": {"gt": numbers[6]}})) == numbers[7:]
    rig.market.advance(3600)
    both = {"actual_status": {"in": ["running"]}, "label": {"neq": "a"}}
    assert len(ids(pages(rig, select_filters=both, limit=2))) == 3


@pytest.mark.parametrize(
    "filters", [{"dph_total": {"gt": 0}}, {"num_gpus": {"eq": 1}}, {"id": {"like": 1}}, [], "x"]
)
def test_what_is_not_stored_cannot_be_searched(filters: object) -> None:
    rig, _ = rig_of(1)
    refusal = refused_unchanged(
        rig, lambda: rig.market.list_instances(rig.account, select_filters=filters)
    )
    assert (refusal.status, refusal.code) == (400, "invalid_request")


def test_a_computed_column_is_named_in_the_refusal() -> None:
    rig, _ = rig_of(1)
    refusal = refused(
        lambda: rig.market.list_instances(rig.account, order_by=[{"col": "dph_total"}])
    )
    assert refusal.msg == "Error in query parameters: dph_total is not a valid search key"


def _token(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "token",
    [
        "x", 5, "e30=", _token([]), _token({"values": {}}), _token({"values": {"id": "1"}}),
        _token({"values": {"id": True}}), _token({"values": {"id": 1, "label": "a"}}),
        _token({"values": 5}), "\udcff",
    ],
)  # fmt: skip
def test_a_token_of_ones_own_making_is_refused(token: object) -> None:
    rig, _ = rig_of(1)
    refusal = refused(lambda: rig.market.list_instances(rig.account, after_token=token))
    assert (refusal.status, refusal.code) == (400, "invalid_token")


def test_a_token_for_another_type_of_value_is_refused() -> None:
    rig, _ = rig_of(3)
    refusal = refused(
        lambda: rig.market.list_instances(
            rig.account,
            order_by=[{"col": "label"}],
            after_token=_token({"values": {"label": 5, "id": 1}}),
        )
    )
    assert refusal.code == "invalid_token"


def test_columns_can_be_chosen_and_unknown_ones_are_null() -> None:
    rig, numbers = rig_of(1)
    page = rig.market.list_instances(rig.account, select_cols=["id", "label", "no_such"])
    assert page["instances"] == [{"id": numbers[0], "label": "a", "no_such": None}]
    whole = rig.market.list_instances(rig.account, select_cols=["*"])["instances"][0]
    assert whole == rig.row(numbers[0])
    for bad in ("id", [1], {}):
        assert (
            refused(lambda b=bad: rig.market.list_instances(rig.account, select_cols=b)).status
            == 400
        )


def test_pages_go_on_behind_one_that_was_destroyed_meanwhile() -> None:
    rig, numbers = rig_of(10)
    first = rig.market.list_instances(rig.account, limit=4)
    rig.market.destroy(rig.account, numbers[3])
    rig.market.destroy(rig.account, numbers[5])
    page = rig.market.list_instances(rig.account, limit=25, after_token=first["next_token"])
    assert ids([page]) == [numbers[4], *numbers[6:]]


def test_accounts_see_their_own_and_nothing_else() -> None:
    rig, numbers = rig_of(2)
    other = rig.open("other", 10.0)
    assert rig.market.list_instances(other)["total_instances"] == 0
    assert [row["id"] for row in rig.market.all_instances(rig.account)] == numbers
    assert rig.market.all_instances(other) == []


def test_what_can_be_filtered_is_listed_once() -> None:
    rig, _ = rig_of(6)
    assert rig.market.instance_filters(rig.account) == [
        {"actual_status": None, "verification": "verified", "gpu_name": rig.machines[0].gpu.name}
    ]


def test_a_label_changes_the_counts() -> None:
    rig, numbers = rig_of(3)
    rig.market.set_label(rig.account, numbers[0], "new")
    rig.market.set_label(rig.account, numbers[1], "")
    page = rig.market.list_instances(rig.account)
    assert page["label_counts"] == {"new": 1, "": 2}
    assert rig.row(numbers[1])["label"] is None


def test_every_stored_column_is_what_the_row_says() -> None:
    rig, numbers = rig_of(1)
    rig.market.advance(3600)
    world, row = rig.market._gate.world, rig.row(numbers[0])
    contract = world.contracts[numbers[0]]
    assert {name: read(world, contract) for name, read in STORED.items()} == {
        name: row[name] for name in STORED
    }
    assert {column.row for column in INSTANCE_COLUMNS.values()} <= set(row)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=200), st.integers(-1, 200))
def test_a_shelf_is_a_sorted_set(steps: list[tuple[bool, int]], mark: int) -> None:
    shelf, model, coming = Shelf(), set(), 0
    for put, index in steps:
        if put or not model:
            coming += 1
            shelf.put(coming, None)
            model.add(coming)
        else:
            victim = sorted(model)[index % len(model)]
            shelf.take(victim, None)
            model.remove(victim)
    assert list(shelf) == sorted(model)
    assert len(shelf) == len(model) == shelf.labels[""]
    assert list(shelf.after(mark)) == sorted(each for each in model if each > mark)
    assert list(shelf.before(mark)) == sorted((e for e in model if e < mark), reverse=True)
