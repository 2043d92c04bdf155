"""Whatever is sent, a search answers or refuses in one way; and what it finds is true."""

from __future__ import annotations

import operator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from market_parts import EPOCH, drawn, world_of

from vast_pyworker.market.offers.columns import INSTANCE_COLUMNS, OFFER_COLUMNS
from vast_pyworker.market.offers.filters import check, order
from vast_pyworker.market.offers.search import search
from vast_pyworker.market.refusal import MarketRefusal

WORLD = world_of(*drawn(hosts=4))
OPS = ["eq", "neq", "gt", "gte", "lt", "lte", "in", "notin", "nin", "$gt", ""]
CONTROLS = [
    "order", "type", "limit", "allocated_storage", "target_reliability", "select_cols", "q",
    "disable_bundling",
]  # fmt: skip

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["4", "true", "SE", "RTX 4090", "550.54.15", "1e999", "٣", "asc", "desc"])
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)
conditions = st.dictionaries(st.sampled_from(OPS), scalars | st.lists(scalars, max_size=3))
fields = st.sampled_from([*OFFER_COLUMNS, "foo", "search", "gpu_ids"])
bodies = (
    st.dictionaries(fields | st.sampled_from(CONTROLS), conditions | anything, max_size=5)
    | anything
)


@settings(max_examples=300, deadline=None)
@given(bodies)
def test_any_json_is_searched_or_refused(body: Any) -> None:
    try:
        rows = search(WORLD, body, EPOCH)
    except MarketRefusal as refusal:
        assert (refusal.status, refusal.code) == (400, "invalid_request")
        assert refusal.msg
    else:
        assert all(isinstance(row, dict) for row in rows)


@settings(max_examples=200, deadline=None)
@given(anything | st.dictionaries(st.sampled_from([*INSTANCE_COLUMNS]), conditions))
def test_any_json_is_a_filter_of_instances_or_refused(filters: Any) -> None:
    try:
        check(filters, INSTANCE_COLUMNS)
    except MarketRefusal as refusal:
        assert refusal.status == 400


@settings(max_examples=200, deadline=None)
@given(anything | st.lists(st.lists(st.sampled_from(["id", "score", "asc", "desc", "x"]))))
def test_any_json_is_an_order_or_refused(by: Any) -> None:
    try:
        order([{"id": 1, "score": None}, {"id": 2, "score": 0.5}], by, OFFER_COLUMNS)
    except MarketRefusal as refusal:
        assert refusal.status == 400


NUMBERS = ["num_gpus", "gpu_ram", "dph_total", "reliability", "disk_space", "inet_down", "dlperf"]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(NUMBERS),
    st.sampled_from(["gt", "gte", "lt", "lte"]),
    st.floats(0, 1e5) | st.integers(0, 100_000),
    st.booleans(),
)
def test_comparisons_keep_exactly_the_rows_that_compare(
    field: str, op: str, value: float, as_text: bool
) -> None:
    whole = search(WORLD, {"disable_bundling": True, "limit": 10_000}, EPOCH)
    compare = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}[op]
    sent: object = repr(value) if as_text else value
    body = {"disable_bundling": True, "limit": 10_000, field: {op: sent}}
    expected = [row["id"] for row in whole if compare(row[field], value)]
    assert [row["id"] for row in search(WORLD, body, EPOCH)] == expected


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["RTX 4090", "A40", *{m.gpu.name for m in drawn(hosts=4)}])))
def test_in_and_notin_share_the_market_out(names: list[str]) -> None:
    def ids(op: str) -> list[int]:
        body = {"disable_bundling": True, "limit": 10_000, "gpu_name": {op: names}}
        return [row["id"] for row in search(WORLD, body, EPOCH)]

    every = [ask.id for machine in WORLD.catalogue for ask in machine.asks]
    assert sorted(ids("in") + ids("notin")) == sorted(every)
