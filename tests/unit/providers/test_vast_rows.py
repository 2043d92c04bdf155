"""Rows of Vast as the controller's nouns: every phase has its word, every price its parts."""

from __future__ import annotations

from typing import Any

import pytest

from vast_pyworker.model import Instance, Offer, Phase
from vast_pyworker.providers.vast import money, rows
from vast_pyworker.vastai import account, records, states

NOW = 1000.0


def instance(**fields: Any) -> Instance:
    row = {
        "id": 7, "label": "fleet/g/1", "actual_status": "running", "intended_status": "running",
        "cur_state": "running", "next_state": "running", "dph_total": 0.5, "dph_base": 0.47,
        "storage_cost": 1.08, "disk_space": 20.0, "public_ipaddr": "203.0.113.7 ",
        "ports": {"3000/tcp": [{"HostIp": "0.0.0.0", "HostPort": "41000"}]},
        "geolocation": "Sweden, SE", "is_bid": False, **fields,
    }  # fmt: skip
    read = records.Instance.of(row, NOW)
    assert read is not None
    return rows.instance_of(read)


def offer(bid: float | None = None, **fields: Any) -> Offer | None:
    row = {
        "id": 3, "machine_id": 4, "host_id": 5, "gpu_name": "RTX 4090", "num_gpus": 1,
        "dph_total": 0.5, "dph_base": 0.47, "storage_cost": 1.08, "min_bid": 0.2,
        "disk_space": 100.0, "duration": 7200.0, "end_date": NOW + 3600.0, "rentable": True,
        **fields,
    }  # fmt: skip
    read = records.Offer.of(row)
    assert read is not None
    return rows.offer_of(read, 20.0, bid, NOW)


def test_every_phase_of_vast_has_a_word() -> None:
    assert {each: rows.phase_of(each) for each in states.Phase} == {
        states.Phase.FROZEN: Phase.RUNNING,
        states.Phase.STOPPING: Phase.STOPPED,
        **{states.Phase(each.value): each for each in Phase},
    }


@pytest.mark.parametrize(
    ("fields", "phase", "now"),
    [
        ({}, Phase.RUNNING, 0.5),
        ({"intended_status": "frozen", "actual_status": "frozen"}, Phase.RUNNING, 0.5),
        ({"actual_status": "loading"}, Phase.LOADING, 0.5),
        ({"actual_status": "offline"}, Phase.OFFLINE, 0.03),
        ({"actual_status": "unknown"}, Phase.UNKNOWN, 0.5),
        (
            {"actual_status": "exited", "intended_status": "stopped", "cur_state": "stopped"},
            Phase.STOPPED,
            0.03,
        ),
        ({"intended_status": "stopped"}, Phase.STOPPED, 0.03),
        ({"actual_status": "offline", "instance": {"totalHour": 0.0}}, Phase.OFFLINE, 0.0),
        ({"instance": {"totalHour": 0.4}}, Phase.RUNNING, 0.4),
    ],
)
def test_the_price_now_is_the_rows_or_follows_the_phase(
    fields: dict[str, Any], phase: Phase, now: float
) -> None:
    one = instance(**fields)
    assert one.phase is phase and one.reason
    assert one.usd_per_hour_now == pytest.approx(now)


@pytest.mark.parametrize("unsaid", ["dph_total", "dph_base", "storage_cost", "disk_space"])
def test_a_price_that_is_not_said_is_had_from_its_parts(unsaid: str) -> None:
    one = instance(**{unsaid: None})
    assert one.usd_per_hour == pytest.approx(0.5)
    assert one.usd_per_hour_stopped == pytest.approx(0.03)


def test_a_price_that_nothing_tells_is_unknown() -> None:
    one = instance(dph_total=None, dph_base=None, storage_cost=None)
    assert one.usd_per_hour is one.usd_per_hour_stopped is one.usd_per_hour_now is None


def test_a_row_full_of_nulls_is_read() -> None:
    read = records.Instance.of({"id": 7}, NOW)
    assert read is not None
    one = rows.instance_of(read)
    assert (one.id, one.label, one.phase) == (7, "", Phase.UNKNOWN)
    assert one.ports == {} and not one.is_bid and one.place == ""


def test_ports_are_whole_addresses() -> None:
    assert instance().ports == {"3000/tcp": "203.0.113.7:41000"}
    assert instance(public_ipaddr="2001:db8::1").ports == {"3000/tcp": "[2001:db8::1]:41000"}
    assert instance(public_ipaddr=None).ports == {}
    assert instance().place == "Sweden, SE"


def test_an_offer_is_as_dear_as_the_dearer_of_what_it_says() -> None:
    for fields in ({}, {"dph_total": 0.4}, {"dph_total": None}, {"storage_cost": None}):
        found = offer(**fields)
        assert found is not None and found.usd_per_hour == pytest.approx(0.5)
        assert found.usd_per_hour_stopped == pytest.approx(0.03) or "dph_total" in fields


@pytest.mark.parametrize(
    "fields",
    [
        {"dph_total": None, "dph_base": None},
        {"machine_id": None},
        {"host_id": None},
        {"disk_space": 19.0},
        {"rentable": False},
    ],
)
def test_what_cannot_be_priced_or_placed_is_no_offer(fields: dict[str, Any]) -> None:
    assert offer(**fields) is None


def test_a_bid_below_the_least_is_no_offer_and_else_it_is_the_price() -> None:
    assert offer(0.19) is None
    found = offer(0.25)
    assert found is not None and found.usd_per_hour == pytest.approx(0.28)
    unsaid = offer(0.19, min_bid=None)
    assert unsaid is not None and unsaid.usd_per_hour == pytest.approx(0.22)


def test_an_offer_lasts_until_the_first_of_its_ends() -> None:
    for fields, left in (({}, 3600.0), ({"end_date": None}, 7200.0), ({"end_date": 1.0}, 0.0)):
        found = offer(**fields)
        assert found is not None and found.available_s == left
    found = offer(end_date=None, duration=None)
    assert found is not None and found.available_s is None


# Money


def charge(**fields: Any) -> dict[str, Any]:
    known = {"type": "instance", "amount": 0.5, "metadata": {"contract_id": 7}}
    return {**known, **fields}


def test_charges_are_summed_by_instance() -> None:
    by_source = charge(amount="0.25", metadata=None, source="instance-8")
    volume = charge(type="volume", metadata={})
    assert money.sums_by_instance([charge(), by_source, charge(), volume]) == {7: 1.0, 8: 0.25}
    assert money.sums_by_instance([]) == {}


@pytest.mark.parametrize(
    "fields", [{"amount": None}, {"metadata": {}}, {"metadata": {}, "source": "volume-1"}]
)
def test_a_charge_that_is_nobodys_makes_the_sums_unknown(fields: dict[str, Any]) -> None:
    assert money.sums_by_instance([charge(), charge(**fields)]) is None


def increase(**fields: Any) -> account.PriceIncrease:
    row = {
        "pending_price_increase_id": 1, "contract_id": 7, "new_gpu_costpersec": 0.36 / 3600,
        "new_disk_ram_costpersec": 0.01 / 3600, **fields,
    }  # fmt: skip
    return account.PriceIncrease.of(row)


def test_a_wanted_price_is_with_the_disk_or_unknown() -> None:
    read = money.increase_of(increase())
    assert read is not None and (read.id, read.instance_id) == (1, 7)
    assert read.usd_per_hour == pytest.approx(0.37)
    vague = money.increase_of(increase(new_disk_ram_costpersec=None))
    assert vague is not None and vague.usd_per_hour is None
    assert money.increase_of(increase(contract_id=None)) is None
