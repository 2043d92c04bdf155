from __future__ import annotations

import json
from typing import Any

import pytest
from market_parts import EPOCH, ask_for, drawn, machine_of

from vast_pyworker.market.offers.columns import OFFER_COLUMNS
from vast_pyworker.market.offers.offer_rows import offer_row
from vast_pyworker.market.supply.machines import Occupancy

INTEGERS = """
    id ask_contract_id machine_id host_id bundle_id num_gpus gpu_ram gpu_total_ram
    gpu_totalram gpu_lanes compute_cap cpu_cores cpu_ram has_avx driver_vers
    direct_port_count geolocode hosting_type vericode bundled_results external rn
"""
FLOATS = """
    gpu_frac gpu_mem_bw gpu_max_power gpu_max_temp cuda_max_good bw_nvlink total_flops
    dlperf cpu_cores_effective cpu_ghz pci_gen pcie_bw disk_space disk_bw inet_up
    inet_down inet_up_cost inet_down_cost dph_base dph_total dph_total_adj
    discounted_dph_total discount_rate min_bid storage_cost storage_total_cost
    platform_fee credit_discount_max flops_per_dphtotal dlperf_per_dphtotal
    vram_costperhour reliability reliability2 reliability_mult expected_reliability score
    start_date end_date duration
"""
FLAGS = """
    rentable rented is_bid static_ip vms_enabled is_vm_deverified gpu_display_active
"""
TEXTS = """
    gpu_name gpu_arch cpu_name cpu_arch mobo_name os_version driver_version disk_name
    public_ipaddr geolocation verification resource_type time_remaining
    time_remaining_isbid
"""
NULLS = """
    avail_vol_ask_id avail_vol_dph avail_vol_size nw_disk_min_bw nw_disk_max_bw
    nw_disk_avg_bw hostname logo webpage
"""
KINDS: dict[type, str] = {
    int: INTEGERS,
    float: FLOATS,
    bool: FLAGS,
    str: TEXTS,
    list: "gpu_ids",
    dict: "search instance",
    type(None): NULLS,
}
FIELDS = [(name, kind) for kind, names in KINDS.items() for name in names.split()]


def row_of(num_gpus: int = 2, kind: str = "on-demand", **changes: Any) -> dict[str, Any]:
    machine = machine_of(4, **changes)
    ask = ask_for(machine, num_gpus)
    return offer_row(machine, ask, disk_gb=20.0, kind=kind, now=EPOCH)


@pytest.mark.parametrize(("name", "kind"), FIELDS, ids=[name for name, _ in FIELDS])
def test_a_field_is_there_in_its_type(name: str, kind: type) -> None:
    assert type(row_of()[name]) is kind


def test_no_field_is_unaccounted_for() -> None:
    assert set(row_of()) == {name for name, _ in FIELDS} | {"cluster_id", "country_code"}


def test_every_column_that_can_be_searched_is_in_the_row() -> None:
    assert {column.row for column in OFFER_COLUMNS.values()} <= set(row_of())


@pytest.mark.parametrize("kind", ["on-demand", "bid", "reserved"])
def test_the_identities_of_prices_hold(kind: str) -> None:
    for machine in drawn()[:60]:
        for ask in machine.asks:
            row = offer_row(machine, ask, disk_gb=37.0, kind=kind, now=EPOCH)
            total = row["dph_base"] + row["storage_cost"] * 37.0 / 720
            assert row["dph_total"] == pytest.approx(total)
            assert row["storage_total_cost"] == pytest.approx(total - row["dph_base"])
            assert row["dlperf_per_dphtotal"] == pytest.approx(row["dlperf"] / total)
            assert row["flops_per_dphtotal"] == pytest.approx(row["total_flops"] / total)
            assert row["vram_costperhour"] == pytest.approx(total / row["gpu_totalram"])
            assert row["gpu_total_ram"] == row["gpu_ram"] * row["num_gpus"]
            assert row["duration"] == pytest.approx(row["end_date"] - EPOCH)
            assert row["search"]["totalHour"] == pytest.approx(total)
            assert row["instance"]["totalHour"] == pytest.approx(row["storage_total_cost"])
            assert row["discounted_dph_total"] <= row["dph_total"]


def test_fractions_share_what_is_the_machines() -> None:
    machine = machine_of(4, disk_gb=1000.0, direct_port_count=100, cpu_cores=64)
    row = offer_row(machine, ask_for(machine, 1), disk_gb=8.0, kind="on-demand", now=EPOCH)
    assert (row["gpu_frac"], row["disk_space"], row["direct_port_count"]) == (0.25, 250.0, 25)
    assert row["cpu_cores_effective"] == 16.0
    assert (row["cpu_cores"], row["cpu_ram"]) == (64, machine.cpu_ram_mb)


def test_a_search_for_bids_quotes_the_bid() -> None:
    on_demand, bid = row_of(kind="on-demand"), row_of(kind="bid")
    assert not on_demand["is_bid"] and bid["is_bid"]
    assert bid["dph_base"] == bid["min_bid"] == on_demand["min_bid"] < on_demand["dph_base"]


def test_reserved_is_discounted() -> None:
    row = row_of(kind="reserved", discount_max=0.4)
    assert row["discount_rate"] == 0.4
    saved = row["dph_base"] * 0.4
    assert row["discounted_dph_total"] == pytest.approx(row["dph_total"] - saved)
    assert row["search"]["discountTotalHour"] == pytest.approx(saved)


def test_occupancy_shows_in_rentable_rented_and_min_bid() -> None:
    machine = machine_of(2)
    ask = machine.asks[0]
    taken, outbid = Occupancy(on_demand=frozenset({0})), Occupancy(bids={0: 50.0})
    row = offer_row(machine, ask, disk_gb=8, kind="bid", now=EPOCH, occupancy=taken)
    assert (row["rentable"], row["rented"]) == (False, True)
    row = offer_row(machine, ask, disk_gb=8, kind="bid", now=EPOCH, occupancy=outbid)
    assert (row["rentable"], row["rented"]) == (True, False)
    assert row["min_bid"] > 50.0


def test_rows_are_json() -> None:
    assert json.loads(json.dumps(row_of())) == row_of()
