"""What ``rent`` tells: the plan of a dry run, and what came of a real one, with its exit code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import click

from vast_pyworker.vastai.creating import LaunchRequest
from vast_pyworker.vastai.records import Offer

from .exits import FAILED, PARTIAL, code_of, ending
from .offers import gpus
from .renting import Result
from .tables import Column, dollars, number, plain, print_columns, print_json

PLANNED = (
    Column("OFFER", right=True),
    Column("GPU"),
    Column("DISK GB", right=True),
    Column("$/H", right=True),
    Column("WHERE"),
)
RENTED = (
    Column("INSTANCE", right=True),
    Column("OFFER", right=True),
    Column("DISK GB", right=True),
    Column("$/H", right=True),
    Column("LABEL"),
)


def print_plan(
    offers: Sequence[Offer],
    hourly: Callable[[Offer], float | None],
    request: LaunchRequest,
    *,
    as_json: bool,
) -> None:
    prices = [hourly(each) for each in offers]
    together = _sum(prices)
    if as_json:
        rows = [
            {"offer_id": each.id, "usd_per_hour": price, "offer": each.raw}
            for each, price in zip(offers, prices, strict=True)
        ]
        document = {"dry_run": True, "would_rent": rows, "usd_per_hour": together}
        print_json({**document, "disk_gb": request.disk_gb})
        return
    disk = number(request.disk_gb)
    rows_ = [
        (str(each.id), gpus(each), disk, dollars(price), plain(each.geolocation))
        for each, price in zip(offers, prices, strict=True)
    ]
    print_columns(PLANNED, rows_)
    many = "One instance" if len(offers) == 1 else f"{len(offers)} instances"
    click.echo(f"{many} would cost {dollars(together)} $/h, disk included. Nothing was rented.")


def finish(result: Result, wanted: int, *, as_json: bool) -> None:
    """Print it, and end the command unless everything wanted was rented."""
    if as_json:
        print_json(_document(result, wanted))
    elif result.rented:
        rows = [
            (
                str(each.instance_id),
                str(each.offer_id),
                number(each.disk_gb),
                dollars(each.usd_per_hour),
                plain(each.label),
            )
            for each in result.rented
        ]
        print_columns(RENTED, rows)
    for sentence in _remarks(result):
        click.echo(sentence, err=True)
    _end(result, wanted)


def _document(result: Result, wanted: int) -> dict[str, Any]:
    return {
        "wanted": wanted,
        "rented": [asdict(each) for each in result.rented],
        "passed": [asdict(each) for each in result.passed],
        "left": [asdict(each) for each in result.left],
        "unsettled": [asdict(each) for each in result.unsettled],
        "usd_per_hour": _sum([each.usd_per_hour for each in result.rented]),
        "error": None if result.error is None else str(result.error),
    }


def _remarks(result: Result) -> list[str]:
    noted = [
        f"Instance {each.instance_id}: {'; '.join(each.notes)}."
        for each in result.rented
        if each.notes
    ]
    left = [
        f"Instance {each.instance_id} exists and is billed though {each.why.rstrip('.')}: "
        f"vast-pyworker destroy {each.instance_id}"
        for each in result.left
    ]
    unsettled = [
        f"It is not known whether offer {each.offer_id} was rented ({each.why.rstrip('.')}): "
        f"vast-pyworker instances --label {each.label}"
        for each in result.unsettled
    ]
    return [*noted, *left, *unsettled]


def _end(result: Result, wanted: int) -> None:
    got = len(result.rented)
    if got >= wanted and not result.left and not result.unsettled:
        return
    code = PARTIAL if got or result.left else FAILED
    if result.error is not None and not got and not result.left:
        code = code_of(result.error)
    why = f": {result.error}" if result.error else "." if got >= wanted else ": no offer is left."
    raise ending(f"Rented {got} of {wanted}{why}", code) from result.error


def _sum(prices: Sequence[float | None]) -> float | None:
    """None where one is unknown."""
    known = [price for price in prices if price is not None]
    return sum(known) if len(known) == len(prices) else None
