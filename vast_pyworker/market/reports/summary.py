"""The market at a glance, for its page and for whoever asks for a few numbers."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

from vast_pyworker.market.accounts.billing import US_PER_HOUR, usd
from vast_pyworker.market.rentals.contracts import Contract
from vast_pyworker.market.world.world import World

from .instance_rows import ports_map

NEWEST_SHOWN = 50


def summary(world: World) -> dict[str, Any]:
    """Hosts, GPUs, instances by status, the newest ones, and the money of each account."""
    machines = list(world.catalogue)
    statuses = Counter(each.shown_status or "creating" for each in world.contracts.values())
    newest = islice(reversed(world.contracts.values()), NEWEST_SHOWN)
    accounts = [account_row(world, account) for account in world.purses]
    return {
        "now": world.now,
        "seed": world.seed,
        "hosts": len({machine.host_id for machine in machines}),
        "machines": len(machines),
        "machines_offline": len(world.offline),
        "gpus": sum(machine.num_gpus for machine in machines),
        "gpus_rented": sum(
            len(held.on_demand) + len(held.bids) for held in world.occupied.values()
        ),
        "offers": sum(len(machine.asks) for machine in machines) - len(world.withdrawn),
        "instances": len(world.contracts),
        "instances_by_status": dict(sorted(statuses.items())),
        "newest_instances": [instance_line(world, each) for each in newest],
        "accounts": accounts,
        "usd_spent": sum(each["usd_spent"] for each in accounts),
        "usd_per_hour": sum(each["usd_per_hour"] for each in accounts),
    }


def account_row(world: World, account: int) -> dict[str, Any]:
    purse = world.purse(account)
    credit = purse.credit(world.now)
    return {
        "id": account,
        "instances": len(world.shelf(account)),
        "credit": usd(credit),
        "usd_paid_in": usd(purse.paid),
        "usd_spent": usd(purse.paid - credit),
        "usd_per_hour": usd(sum(purse.rates.values()) * US_PER_HOUR),
    }


def instance_line(world: World, contract: Contract) -> dict[str, Any]:
    return {
        "id": contract.id,
        "account": contract.account,
        "label": contract.label,
        "gpu_name": world.machine_of(contract).gpu.name,
        "num_gpus": contract.num_gpus,
        "actual_status": contract.shown_status,
        "intended_status": contract.intended,
        "is_bid": contract.is_bid,
        "image": contract.launch.image,
        "geolocation": world.machine_of(contract).geolocation,
        "ports": ports_map(contract),
        "dph_total": (contract.prices.gpu + contract.prices.storage) / 1e9,
        "age_s": world.now - contract.created_at,
    }
