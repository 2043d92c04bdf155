"""Vast's bill and the prices its hosts want, as the controller counts them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from vast_pyworker.providers.protocol import PriceIncrease
from vast_pyworker.vastai import account, values

_SOURCE = re.compile(r"instance-(\d+)")


def sums_by_instance(rows: Iterable[Mapping[str, Any]]) -> dict[int, float] | None:
    """The dollars of each instance over all rows of /charges/.

    None where a row of an instance does not say whose it is or how much: then no sum is known.
    """
    sums: dict[int, float] = {}
    for row in rows:
        if values.text(row.get("type")) not in (None, "instance"):
            continue  # volumes and serverless, where the server does not filter
        instance_id, amount = _instance_id(row), values.number(row.get("amount"))
        if instance_id is None or amount is None:
            return None
        sums[instance_id] = sums.get(instance_id, 0.0) + amount
    return sums


def increase_of(row: account.PriceIncrease) -> PriceIncrease | None:
    """None where the row does not say which one it is: nothing can be done about it."""
    if row.id is None or row.instance_id is None:
        return None
    return PriceIncrease(row.id, row.instance_id, _new_usd_per_hour(row))


def _new_usd_per_hour(row: account.PriceIncrease) -> float | None:
    disk = values.not_negative(row.raw.get("new_disk_ram_costpersec"))
    gpu = row.new_gpu_usd_per_hour
    if gpu is None or disk is None:
        return None
    return gpu + disk * account.SECONDS_PER_HOUR


def _instance_id(row: Mapping[str, Any]) -> int | None:
    said = values.whole(values.mapping(row.get("metadata")).get("contract_id"))
    source = _SOURCE.fullmatch(values.text(row.get("source")) or "")
    return int(source.group(1)) if said is None and source else said
