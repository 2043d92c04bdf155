"""Renders a contract as the instance object that lists and ``show`` return, every field of it."""

from __future__ import annotations

from typing import Any

from vast_pyworker.market.offers.offer_rows import cost_block, machine_fields, size_fields
from vast_pyworker.market.rentals.contracts import REBOOTING, RUNNING, Contract
from vast_pyworker.market.rentals.life import access_of
from vast_pyworker.market.supply.machines import Ask, Machine, min_bid
from vast_pyworker.market.world.world import World

REPORTING_AFTER_S = 10.0
"""How long a container runs before the first numbers of its GPUs come."""

Row = dict[str, Any]


def instance_row(world: World, contract: Contract) -> Row:
    """The whole row as of ``world.now``."""
    machine = world.machine_of(contract)
    return {
        **machine_fields(machine),
        **size_fields(machine, contract.num_gpus),
        **_identity(contract),
        **_state(contract),
        **_network(contract, machine),
        **_live(world, contract, machine),
        **_times(world, contract),
        **_money(world, contract, machine),
        "volume_info": [],
    }


def _identity(contract: Contract) -> Row:
    launch = contract.launch
    return {
        "id": contract.id,
        "label": contract.label,
        "template_id": launch.template_id,
        "template_hash_id": launch.template_hash_id,
        "template_name": launch.template_name,
        "image_uuid": launch.image,
        "image_args": list(launch.args),
        "image_runtype": launch.runtype,
        "extra_env": [list(pair) for pair in launch.env],
        "onstart": launch.onstart,
        "jupyter_token": contract.host_key if access_of(contract) == "jupyter" else None,
        "gpu_ids": list(contract.gpu_ids),
        "disk_space": contract.disk_gb,
    }


def _state(contract: Contract) -> Row:
    return {
        "actual_status": contract.shown_status,
        "intended_status": contract.intended,
        "cur_state": contract.cur,
        "next_state": contract.next,
        "status_msg": contract.status_msg,
    }


def ports_map(contract: Contract) -> dict[str, list[dict[str, str]]] | None:
    """As docker writes it, port numbers as text; None unless it runs."""
    if contract.ports is None or contract.lost is not None:
        return None
    return {
        f"{port}/{protocol}": [{"HostIp": "0.0.0.0", "HostPort": str(outside)}]
        for (port, protocol), outside in contract.ports.items()
    }


def _network(contract: Contract, machine: Machine) -> Row:
    """Instances are reached on this computer, whatever address their host would have. The proxy
    is a name that leads nowhere else either."""
    number = contract.id % 9 + 1
    return {
        "ssh_host": f"ssh{number}.localhost",
        "ssh_port": 10_000 + contract.id % 50_000,
        "ssh_idx": str(number),
        "public_ipaddr": "127.0.0.1" + " " * (machine.machine_id % 2),
        "local_ipaddrs": f"172.17.0.{contract.id % 250 + 2} 127.0.0.1 ",
        "ports": ports_map(contract),
        "direct_port_start": -1,
        "direct_port_end": -1,
        "machine_dir_ssh_port": 20_000 + machine.machine_id % 20_000,
    }


def _live(world: World, contract: Contract, machine: Machine) -> Row:
    since = contract.running_since
    if contract.phase != RUNNING or contract.lost or since is None:
        return {**_SILENT, "mem_limit": None, "uptime_mins": None}
    age = world.now - since
    row: Row = {"mem_limit": _memory_gb(contract, machine), "uptime_mins": age / 60.0}
    if age < REPORTING_AFTER_S:
        return {**_SILENT, **row}
    load = (contract.id * 7919 + int(world.now / 10.0) * 104_729) % 1000 / 1000.0
    used = min(contract.disk_gb, 0.5 + age / 36_000.0)
    return {
        **row,
        "gpu_util": round(100.0 * load, 1),
        "gpu_temp": round(35.0 + 45.0 * load, 1),
        "cpu_util": round(0.1 + 0.8 * load, 3),
        "mem_usage": round(row["mem_limit"] * (0.1 + 0.5 * load), 3),
        "vmem_usage": round(contract.num_gpus * machine.gpu.ram_mb / 1024 * load, 3),
        "disk_usage": round(used, 3),
        "disk_util": round(used / contract.disk_gb, 6),
    }


_SILENT: Row = {
    "gpu_util": None,
    "gpu_temp": None,
    "cpu_util": None,
    "mem_usage": None,
    "vmem_usage": None,
    "disk_usage": -1.0,
    "disk_util": -1.0,
}


def _memory_gb(contract: Contract, machine: Machine) -> float:
    return round(machine.cpu_ram_mb / 1024 * contract.num_gpus / machine.num_gpus, 3)


def _times(world: World, contract: Contract) -> Row:
    left = max(contract.end_date - world.now, 0.0)
    return {
        "start_date": contract.created_at,
        "end_date": contract.end_date,
        "duration": left,
        "time_remaining": _span(left),
        "time_remaining_isbid": "" if not contract.is_bid else _span(left),
        "client_run_time": world.now - contract.created_at,
        "host_run_time": world.now - world.machine_of(contract).listed_from,
    }


def _span(seconds: float) -> str:
    days, rest = divmod(int(seconds), 86_400)
    return f"{days}d {rest // 3600}h" if days else f"{rest // 3600}h {rest % 3600 // 60}m"


def _money(world: World, contract: Contract, machine: Machine) -> Row:
    """``instance`` is what is paid now, ``search`` what is paid while it runs."""
    base = contract.prices.gpu / 1e9
    disk = contract.storage_cost * contract.disk_gb / 720.0
    total = base + disk
    paid_now = base if contract.phase == RUNNING and contract.lost is None else 0.0
    return {
        "is_bid": contract.is_bid,
        "min_bid": least_bid(world, contract, machine),
        "dph_base": base,
        "dph_total": total,
        "storage_cost": contract.storage_cost,
        "storage_total_cost": disk,
        "inet_up_cost": contract.prices.up / 1e9,
        "inet_down_cost": contract.prices.down / 1e9,
        "credit_balance": contract.deposit,
        "credit_discount": contract.discount,
        "dlperf_per_dphtotal": machine.gpu.dlperf * contract.num_gpus / total,
        "flops_per_dphtotal": machine.gpu.tflops * contract.num_gpus / total,
        "vram_costperhour": total / (machine.gpu.ram_mb * contract.num_gpus),
        "score": machine.gpu.dlperf * contract.num_gpus / total,
        "rentable": not contract.holds or contract.phase == REBOOTING,
        "search": cost_block(base, disk, 0.0),
        "instance": cost_block(paid_now, disk, 0.0),
    }


def least_bid(world: World, contract: Contract, machine: Machine) -> float:
    """USD per hour that wins its GPUs from the others who have them; above one's own bid it
    says that one was outbid."""
    others = world.seats.without(contract.machine_id, contract.id)
    ask = Ask(contract.ask_id, contract.machine_id, contract.gpu_ids)
    return min_bid(machine, ask, others)
