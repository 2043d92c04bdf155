from __future__ import annotations

from typing import Any

import pytest

from vast_pyworker.market.offers.columns import INSTANCE_COLUMNS, OFFER_COLUMNS
from vast_pyworker.market.offers.filters import check, matches, order
from vast_pyworker.market.refusal import MarketRefusal

ROW = {
    "id": 7,
    "num_gpus": 4,
    "gpu_name": "RTX 4090",
    "gpu_ram": 24564,
    "gpu_total_ram": 98256,
    "cpu_ram": 128000,
    "vericode": 1,
    "verification": "verified",
    "hosting_type": 0,
    "rentable": True,
    "rented": False,
    "external": None,
    "static_ip": False,
    "geolocation": "Stockholm, SE",
    "reliability": 0.991,
    "expected_reliability": 0.98,
    "cluster_id": None,
    "driver_vers": 550054015,
    "os_version": "22.04",
    "disk_space": 100.0,
    "duration": 86400.0 * 3,
    "dph_total": 1.5,
}


def met(filters: dict[str, Any]) -> bool:
    return matches(ROW, check(filters, OFFER_COLUMNS))


@pytest.mark.parametrize(
    ("field", "op", "value", "expected"),
    [
        ("num_gpus", "eq", "4", True),
        ("num_gpus", "eq", 4.0, True),
        ("num_gpus", "gte", " 4 ", True),
        ("num_gpus", "gt", "4", False),
        ("num_gpus", "neq", "4", False),
        ("num_gpus", "in", ["1", 2, "4"], True),
        ("num_gpus", "notin", ["1", 2, "4"], False),
        ("num_gpus", "in", [], False),
        ("num_gpus", "notin", [], True),
        ("gpu_ram", "gte", 24000.0, True),
        ("gpu_ram_GB", "gte", 24, True),
        ("gpu_ram_GB", "gte", "24.6", False),
        ("gpu_totalram_GB", "lt", "100", True),
        ("gpu_totalram", "gt", 98000, True),
        ("cpu_ram_GB", "eq", 128, True),
        ("gpu_name", "eq", "RTX 4090", True),
        ("gpu_name", "eq", "RTX_4090", False),
        ("gpu_name", "eq", "rtx 4090", False),
        ("gpu_name", "in", ["RTX 4090", "RTX 3090"], True),
        ("gpu_name", "notin", ["RTX 3090"], True),
        ("gpu_name", "eq", None, False),
        ("gpu_name", "neq", None, True),
        ("verified", "eq", True, True),
        ("verified", "eq", "TRUE", True),
        ("verified", "eq", "false", False),
        ("verified", "neq", False, True),
        ("verified", "in", [True, False], True),
        ("verified", "notin", [True], False),
        ("verification", "eq", "verified", True),
        ("verification", "in", ["unverified", "deverified"], False),
        ("datacenter", "eq", True, False),
        ("datacenter", "eq", "false", True),
        ("rentable", "eq", 1, True),
        ("rented", "eq", "0", True),
        ("external", "eq", False, True),
        ("external", "eq", True, False),
        ("external", "eq", None, True),
        ("static_ip", "eq", True, False),
        ("geolocation", "eq", "SE", True),
        ("geolocation", "eq", "se", True),
        ("geolocation", "eq", "Stockholm, SE", True),
        ("geolocation", "eq", "DE", False),
        ("geolocation", "neq", "SE", False),
        ("geolocation", "in", ["DE", "SE"], True),
        ("geolocation", "notin", ["CN", "VN"], True),
        ("geolocation", "notin", ["CN", "SE"], False),
        ("reliability2", "gt", "0.99", True),
        ("reliability", "gt", "0.992", False),
        ("cluster_id", "eq", None, True),
        ("cluster_id", "neq", None, False),
        ("cluster_id", "eq", 3, False),
        ("cluster_id", "neq", 3, False),
        ("cluster_id", "in", [None, 3], True),
        ("cluster_id", "notin", [3], False),
        ("cluster_id", "gt", 0, False),
        ("driver_version", "gte", 550054015, True),
        ("driver_version", "gte", "550.54.15", True),
        ("driver_version", "gt", "550.54.15", False),
        ("driver_version", "gte", "535086005", True),
        ("driver_version", "lt", "550.54", False),
        ("ubuntu_version", "gte", "20.04", True),
        ("os_version", "eq", 22.04, True),
        ("allocated_storage", "gte", 100, True),
        ("duration", "gte", 259200.0, True),
        ("dph", "lt", "1.5", False),
        ("dphtotal", "lte", "1.5", True),
        ("id", "eq", "7", True),
    ],
)
def test_an_operator_means(field: str, op: str, value: object, expected: bool) -> None:
    assert met({field: {op: value}}) is expected


def test_all_conditions_must_hold() -> None:
    assert met({})
    assert met({"num_gpus": {"gte": 2, "lte": 4}, "verified": {"eq": True, "neq": False}})
    assert not met({"num_gpus": {"gte": 2, "lte": 3}})
    assert not met({"num_gpus": {"eq": 4}, "gpu_name": {"eq": "RTX 3090"}})
    assert met({"gpu_name": {}})


def test_a_missing_column_is_null() -> None:
    assert matches({}, check({"gpu_name": {"eq": None}}, OFFER_COLUMNS))
    assert not matches({}, check({"geolocation": {"neq": "SE"}}, OFFER_COLUMNS))


@pytest.mark.parametrize("body", [None, [], "num_gpus=1", 4, {"num_gpus": 4}, {"num_gpus": [4]}])
def test_what_is_no_dict_of_conditions_is_refused(body: object) -> None:
    with pytest.raises(MarketRefusal) as refusal:
        check(body, OFFER_COLUMNS)
    assert (refusal.value.status, refusal.value.code) == (400, "invalid_request")
    assert refusal.value.msg == "Invalid query: must be dict of conditions"


@pytest.mark.parametrize(
    ("filters", "msg"),
    [
        ({"foo": {"eq": 1}}, "foo is not a valid search key"),
        ({"search": {"eq": 1}}, "search is not a valid search key"),
        ({"x" * 500: {"eq": 1}}, "x" * 64 + " is not a valid search key"),
        ({"num_gpus": {"like": 1}}, "like is not a valid operator"),
        ({"num_gpus": {"eq": "many"}}, "num_gpus has an invalid value"),
        ({"num_gpus": {"eq": "1_0"}}, "num_gpus has an invalid value"),
        ({"num_gpus": {"eq": "nan"}}, "num_gpus has an invalid value"),
        ({"num_gpus": {"eq": float("inf")}}, "num_gpus has an invalid value"),
        ({"num_gpus": {"eq": 10**400}}, "num_gpus has an invalid value"),
        ({"num_gpus": {"gt": None}}, "num_gpus has an invalid value"),
        ({"num_gpus": {"eq": [4]}}, "num_gpus has an invalid value"),
        ({"num_gpus": {"in": 4}}, "num_gpus needs a list of values"),
        ({"num_gpus": {"in": [[4]]}}, "num_gpus has an invalid value"),
        ({"gpu_name": {"eq": {"a": 1}}}, "gpu_name has an invalid value"),
        ({"gpu_name": {"eq": 10**5000}}, "gpu_name has an invalid value"),
        ({"driver_version": {"gte": "new.est"}}, "driver_version has an invalid value"),
    ],
)
def test_the_first_fault_is_named(filters: dict[str, Any], msg: str) -> None:
    with pytest.raises(MarketRefusal) as refusal:
        check(filters, OFFER_COLUMNS)
    assert refusal.value.status == 400
    assert refusal.value.msg == f"Error in query parameters: {msg}"


def test_instances_are_filtered_by_stored_columns_only() -> None:
    rows = [
        {"id": 1, "label": "a", "actual_status": "running"},
        {"id": 2, "label": None, "actual_status": "loading"},
    ]

    def found(filters: dict[str, Any]) -> list[int]:
        conditions = check(filters, INSTANCE_COLUMNS)
        return [row["id"] for row in rows if matches(row, conditions)]  # type: ignore[misc]

    assert found({"label": {"in": [None]}}) == [2]
    assert found({"label": {"eq": "a"}}) == [1]
    assert found({"actual_status": {"in": ["running", "loading"]}}) == [1, 2]
    for computed in ("dph_total", "num_gpus", "gpu_util", "duration", "rubbish"):
        with pytest.raises(MarketRefusal) as refusal:
            check({computed: {"eq": 1}}, INSTANCE_COLUMNS)
        msg = f"Error in query parameters: {computed} is not a valid search key"
        assert refusal.value.msg == msg


ROWS: list[dict[str, Any]] = [
    {"id": 1, "dph_total": 2.0, "gpu_name": "B"},
    {"id": 2, "dph_total": 1.0, "gpu_name": "A"},
    {"id": 3, "dph_total": None, "gpu_name": "A"},
    {"id": 4, "dph_total": 1.0, "gpu_name": "C"},
]


@pytest.mark.parametrize(
    ("by", "ids"),
    [
        (None, [1, 2, 3, 4]),
        ([], [1, 2, 3, 4]),
        ([["dph_total", "asc"]], [2, 4, 1, 3]),
        ([["dph_total", "desc"]], [1, 2, 4, 3]),
        ([["dph", "asc"], ["gpu_name", "desc"]], [4, 2, 1, 3]),
        ([["gpu_name", "sideways"]], [2, 3, 1, 4]),
        ([{"col": "gpu_name", "dir": "desc"}, {"col": "id", "dir": "desc"}], [4, 1, 3, 2]),
        ([{"col": "id"}], [1, 2, 3, 4]),
    ],
)
def test_order_sorts_with_nulls_last(by: object, ids: list[int]) -> None:
    assert [row["id"] for row in order(ROWS, by, OFFER_COLUMNS)] == ids


@pytest.mark.parametrize(
    "by", ["score-", {"score": "desc"}, ["score", "desc"], [["score"]], [[None, "asc"]], [3], 0]
)
def test_another_shape_of_order_is_refused(by: object) -> None:
    with pytest.raises(MarketRefusal) as refusal:
        order(ROWS, by, OFFER_COLUMNS)
    assert refusal.value.status == 400
