"""Renders an ask as the row that a search returns.

A row has three parts: what is the machine's, what depends on how many GPUs are asked for, and
what depends on the moment (ids, prices, times, who is there). The first two are prepared once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from vast_pyworker.market.supply.hardware import driver_number
from vast_pyworker.market.supply.machines import EMPTY, Ask, Machine, Occupancy, is_rented, min_bid
from vast_pyworker.market.supply.places import geolocode

ON_DEMAND, BID, RESERVED = "on-demand", "bid", "reserved"
VERICODES = {"unverified": 0, "verified": 1, "deverified": 2}
PLATFORM_SHARE = 0.25


@dataclass(frozen=True)
class Size:
    """The asks of one machine for one number of GPUs, and what their rows share."""

    num_gpus: int
    asks: tuple[Ask, ...]
    fields: dict[str, Any]


@dataclass(frozen=True)
class Listing:
    """A machine with the prepared parts of its rows."""

    machine: Machine
    fields: dict[str, Any]
    sizes: tuple[Size, ...]


@dataclass(frozen=True)
class Terms:
    """How a search prices: the disk in GB, the kind of contract, the moment in epoch seconds."""

    disk_gb: float
    kind: str
    now: float


def listing(machine: Machine) -> Listing:
    """Prepares the rows of one machine."""
    sizes = groupby(machine.asks, lambda ask: ask.num_gpus)
    return Listing(
        machine,
        machine_fields(machine),
        tuple(Size(count, tuple(asks), size_fields(machine, count)) for count, asks in sizes),
    )


def offer_row(
    machine: Machine,
    ask: Ask,
    *,
    disk_gb: float,
    kind: str,
    now: float,
    occupancy: Occupancy = EMPTY,
    bundled: int = 1,
) -> dict[str, Any]:
    """Every field of an offer. ``rentable``, ``rented`` and ``min_bid`` follow the occupancy."""
    terms = Terms(disk_gb, kind, now)
    rented, bid = is_rented(machine, ask, occupancy), min_bid(machine, ask, occupancy)
    moment = moment_fields(machine, ask.num_gpus, terms, rented=rented, bid=bid)
    return {
        **slot_fields(ask, bundled),
        **machine_fields(machine),
        **size_fields(machine, ask.num_gpus),
        **moment,
        **cost_blocks(moment),
    }


def machine_fields(machine: Machine) -> dict[str, Any]:
    """What every row of a machine says, whatever is asked for and when."""
    return {**_identity(machine), **_hardware(machine), **_network(machine), **_costs(machine)}


def size_fields(machine: Machine, num_gpus: int) -> dict[str, Any]:
    """What depends on the number of GPUs alone."""
    gpu, share = machine.gpu, num_gpus / machine.num_gpus
    return {
        "num_gpus": num_gpus,
        "gpu_frac": share,
        "gpu_total_ram": gpu.ram_mb * num_gpus,
        "gpu_totalram": gpu.ram_mb * num_gpus,
        "bw_nvlink": gpu.nvlink_gb_s if num_gpus > 1 else 0.0,
        "total_flops": gpu.tflops * num_gpus,
        "dlperf": gpu.dlperf * num_gpus,
        "cpu_cores_effective": round(machine.cpu_cores * share, 4),
        "disk_space": machine.disk_share_gb(num_gpus),
        "direct_port_count": int(machine.direct_port_count * share),
    }


def slot_fields(ask: Ask, bundled: int) -> dict[str, Any]:
    """What tells one slot from the others of its size; ``bundled`` of them share the row."""
    return {
        "id": ask.id,
        "ask_contract_id": ask.id,
        "gpu_ids": list(ask.gpu_ids),
        "bundled_results": bundled,
    }


def moment_fields(
    machine: Machine, num_gpus: int, terms: Terms, *, rented: bool, bid: float
) -> dict[str, Any]:
    """Prices, times and availability; ``bid`` is the least USD per hour that wins the slot.

    dph_total = dph_base + storage_cost x disk / 720, and every ratio is of dph_total. A search
    for bids quotes the bid.
    """
    base = bid if terms.kind == BID else machine.usd_per_hour(num_gpus)
    disk = machine.storage_usd_per_hour(terms.disk_gb)
    total = base + disk
    rate = machine.discount_max if terms.kind == RESERVED else 0.0
    gpu, end_date = machine.gpu, machine.end_date(terms.now)
    per_usd = gpu.dlperf * num_gpus / total
    return {
        "is_bid": terms.kind == BID,
        "rentable": not rented,
        "rented": rented,
        "min_bid": bid,
        "dph_base": base,
        "dph_total": total,
        "dph_total_adj": total,
        "storage_total_cost": disk,
        "discount_rate": rate,
        "discounted_dph_total": total - base * rate,
        "dlperf_per_dphtotal": per_usd,
        "flops_per_dphtotal": gpu.tflops * num_gpus / total,
        "vram_costperhour": total / (gpu.ram_mb * num_gpus),
        "score": per_usd * _esteem(machine),
        "end_date": end_date,
        "duration": end_date - terms.now,
    }


def cost_blocks(moment: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The two objects of a row that say its prices once more: while it runs, and as it stands."""
    disk, rate = moment["storage_total_cost"], moment["discount_rate"]
    return {
        "search": cost_block(moment["dph_base"], disk, rate),
        "instance": cost_block(0.0, disk, rate),
    }


def cost_block(gpu_usd_per_hour: float, disk_usd_per_hour: float, rate: float) -> dict[str, float]:
    """The ``search`` and ``instance`` objects of a row, all USD per hour."""
    total, discount = gpu_usd_per_hour + disk_usd_per_hour, gpu_usd_per_hour * rate
    return {
        "gpuCostPerHour": gpu_usd_per_hour,
        "diskHour": disk_usd_per_hour,
        "totalHour": total,
        "discountTotalHour": discount,
        "discountedTotalPerHour": total - discount,
    }


def _esteem(machine: Machine) -> float:
    known = 1.0 if machine.verification == "verified" else 0.7
    return known * machine.reliability**4


def _identity(machine: Machine) -> dict[str, Any]:
    return {
        "machine_id": machine.machine_id,
        "host_id": machine.host_id,
        "bundle_id": machine.bundle_id,
        "cluster_id": machine.cluster_id,
        "avail_vol_ask_id": None,
        "avail_vol_dph": None,
        "avail_vol_size": None,
        "nw_disk_min_bw": None,
        "nw_disk_max_bw": None,
        "nw_disk_avg_bw": None,
        "resource_type": "gpu",
        "verification": machine.verification,
        "vericode": VERICODES[machine.verification],
        "reliability": machine.reliability,
        "reliability2": machine.reliability,
        "reliability_mult": round(machine.reliability**2, 7),
        "expected_reliability": round(1 - (1 - machine.reliability) * 1.25, 7),
        "hosting_type": machine.hosting_type,
        "hostname": machine.hostname,
        "external": 0,
        "webpage": None,
        "logo": None,
        "rn": 1,
        "vms_enabled": machine.vms_enabled,
        "is_vm_deverified": False,
        "start_date": machine.listed_from,
        "time_remaining": "",
        "time_remaining_isbid": "",
    }


def _hardware(machine: Machine) -> dict[str, Any]:
    gpu = machine.gpu
    return {
        "gpu_name": gpu.name,
        "gpu_arch": gpu.arch,
        "gpu_ram": gpu.ram_mb,
        "gpu_lanes": machine.gpu_lanes,
        "gpu_mem_bw": gpu.mem_bw_gb_s,
        "gpu_max_power": gpu.max_power_w,
        "gpu_max_temp": gpu.max_temp_c,
        "gpu_display_active": machine.gpu_display_active,
        "compute_cap": gpu.compute_cap,
        "cuda_max_good": machine.cuda_max_good,
        "driver_version": machine.driver_version,
        "driver_vers": driver_number(machine.driver_version),
        "os_version": machine.os_version,
        "cpu_name": machine.cpu_name,
        "cpu_arch": machine.cpu_arch,
        "cpu_cores": machine.cpu_cores,
        "cpu_ghz": machine.cpu_ghz,
        "cpu_ram": machine.cpu_ram_mb,
        "has_avx": machine.has_avx,
        "mobo_name": machine.mobo_name,
        "pci_gen": machine.pci_gen,
        "pcie_bw": machine.pcie_bw_gb_s,
        "disk_name": machine.disk_name,
        "disk_bw": machine.disk_bw_mb_s,
    }


def _network(machine: Machine) -> dict[str, Any]:
    return {
        "public_ipaddr": machine.public_ipaddr,
        "static_ip": machine.static_ip,
        "inet_up": machine.inet_up_mbit_s,
        "inet_down": machine.inet_down_mbit_s,
        "geolocation": machine.geolocation,
        "country_code": machine.country_code,
        "geolocode": geolocode(machine.geolocation),
    }


def _costs(machine: Machine) -> dict[str, Any]:
    return {
        "storage_cost": machine.storage_cost,
        "inet_up_cost": machine.inet_up_cost,
        "inet_down_cost": machine.inet_down_cost,
        "platform_fee": PLATFORM_SHARE,
        "credit_discount_max": machine.discount_max,
    }
