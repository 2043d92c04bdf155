"""``vast-pyworker balance``: what there is, what is spent, and for how long it lasts."""

from __future__ import annotations

import math

import click

from vast_pyworker.vastai.account import SpendRate, User
from vast_pyworker.vastai.client import VastClient

from .connecting import connected
from .tables import AS_JSON, dollars, print_json, print_table


@click.command()
@AS_JSON
@connected
def balance(client: VastClient, as_json: bool) -> None:
    """Credit, spending per hour, and how long it lasts."""
    user, rate = client.account.user(), client.account.spend_rate()
    hours = rate.runway_hours(user.credit_usd)
    if as_json:
        print_json(_document(user, rate, hours))
        return
    parts = (
        f"GPUs {dollars(rate.gpu_usd_per_hour)}, disks {dollars(rate.storage_usd_per_hour)}, "
        f"volumes {dollars(rate.volumes_usd_per_hour)}"
    )
    print_table(
        [
            ("credit", f"{dollars(user.credit_usd, 2)} $"),
            ("spending", f"{dollars(rate.usd_per_hour)} $/h ({parts})"),
            ("lasts", lasting(hours)),
        ]
    )


def lasting(hours: float | None) -> str:
    if hours is None:
        return "unknown"
    if math.isinf(hours):
        return "for ever: nothing is spent"
    return f"{hours:.1f} hours" if hours < 48 else f"{hours:.0f} hours ({hours / 24:.0f} days)"


def _document(user: User, rate: SpendRate, hours: float | None) -> dict[str, object]:
    """``runway_hours`` is null where it is unknown and where nothing is spent: see ``spending``."""
    return {
        "credit_usd": user.credit_usd,
        "usd_per_hour": rate.usd_per_hour,
        "gpu_usd_per_hour": rate.gpu_usd_per_hour,
        "storage_usd_per_hour": rate.storage_usd_per_hour,
        "volumes_usd_per_hour": rate.volumes_usd_per_hour,
        "spending": None if rate.usd_per_hour is None else rate.usd_per_hour > 0,
        "runway_hours": None if hours is None or math.isinf(hours) else hours,
    }
