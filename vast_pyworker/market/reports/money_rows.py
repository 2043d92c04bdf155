"""Renders an account's money: what was charged and paid, what is paid now, what hosts ask more."""

from __future__ import annotations

from collections import Counter
from typing import Any

from vast_pyworker.market.accounts.billing import (
    DOWNLOAD,
    GPU,
    STORAGE,
    UPLOAD,
    US_PER_HOUR,
    Charge,
    micros,
    usd,
)
from vast_pyworker.market.rentals.contracts import Increase
from vast_pyworker.market.world.world import World

Row = dict[str, Any]


def credit(world: World, account: int) -> float:
    """USD that may be spent; below 0 once only disks are billed."""
    return usd(world.purse(account).credit(world.now))


def spend_rate(world: World, account: int) -> Row:
    """What the account pays now, USD per hour."""
    rates = world.purse(account).rates
    return {
        "gpu_cost_per_hour": usd(rates[GPU] * US_PER_HOUR),
        "container_storage_cost_per_hour": usd(rates[STORAGE] * US_PER_HOUR),
        "volume_storage_cost_per_hour": 0.0,
        "has_active_resources": len(world.shelf(account)) > 0,
    }


def charges(world: World, account: int, since: float, until: float | None) -> list[Row]:
    """Charges within a time, clipped to it; those still running up to now."""
    end = world.now if until is None else min(until, world.now)
    begin, upto = micros(since), micros(end) + 1 if end == world.now else micros(end)
    clipped = (each.within(begin, upto) for each in world.purse(account).entries(world.now))
    rows = [charge_row(each) for each in clipped if each is not None]
    return sorted(rows, key=lambda row: (row["start"], row["contract_id"], row["kind"]))


def charge_row(charge: Charge) -> Row:
    """``quantity`` is hours, or GB for traffic; ``rate`` USD per one of it."""
    traffic = charge.kind in (UPLOAD, DOWNLOAD)
    hours = (charge.ended - charge.began) / US_PER_HOUR
    quantity, amount = charge.gigabytes if traffic else hours, usd(charge.units)
    return {
        "contract_id": charge.contract,
        "kind": charge.kind,
        "start": charge.began / 1e6,
        "end": charge.ended / 1e6,
        "quantity": quantity,
        "rate": amount / quantity if quantity else 0.0,
        "amount": amount,
    }


def payments(world: World, account: int) -> list[Row]:
    return [
        {"id": each.id, "when": each.at / 1e6, "amount": usd(each.units), "service": each.service}
        for each in world.purse(account).payments
    ]


def bill(world: World, account: int) -> Row:
    """Totals, USD. They are added up as whole units, so ``paid - charged`` is ``credit``."""
    purse = world.purse(account)
    by_kind: Counter[str] = Counter()
    by_instance: Counter[int] = Counter()
    for charge in purse.entries(world.now):
        by_kind[charge.kind] += charge.units
        by_instance[charge.contract] += charge.units
    return {
        "paid": usd(purse.paid),
        "charged": usd(by_kind.total()),
        "credit": usd(purse.credit(world.now)),
        "by_kind": {kind: usd(units) for kind, units in by_kind.items()},
        "by_instance": {number: usd(units) for number, units in by_instance.items()},
    }


def increase_row(world: World, increase: Increase) -> Row:
    """Prices here are USD per second, traffic USD per GB."""
    contract = world.contracts[increase.contract_id]
    machine = world.machine_of(contract)
    row: Row = {
        "pending_price_increase_id": increase.id,
        "contract_id": contract.id,
        "host_id": machine.host_id,
        "contract_end_date": contract.end_date,
        "ask_end_date": machine.end_date(world.now),
        "created_at": increase.created_at,
    }
    for age, prices in (("new", increase.prices), ("old", contract.prices)):
        row[f"{age}_gpu_costpersec"] = prices.gpu / 1e9 / 3600.0
        row[f"{age}_disk_ram_costpersec"] = prices.storage / 1e9 / 3600.0
        row[f"{age}_bwu_cost"] = prices.up / 1e9
        row[f"{age}_bwd_cost"] = prices.down / 1e9
        row[f"{age}_platform_fee"] = None
    return row


def increases(world: World, account: int) -> Row:
    """The envelope of what is pending."""
    rows = [increase_row(world, e) for e in world.increases.values() if e.account == account]
    return {
        "success": True,
        "count": len(rows),
        "truncated": False,
        "pending_price_increases": rows,
    }
