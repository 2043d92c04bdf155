"""Commands that look at a controller: status, ps, spend, why, events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from itertools import islice
from typing import Any

import click

from .controller_door import Controller, asking, segment
from .tables import AS_JSON, UNKNOWN, Column, dollars, number, plain, print_columns, print_json

_STAGES = {
    "ready": "green", "suspect": "red", "missing": "red", "draining": "yellow",
    "stopping": "yellow", "destroying": "yellow",
}  # fmt: skip
_GROUPS = (
    Column("GROUP"), Column("POLICY"), Column("WANTED", right=True), Column("READY", right=True),
    Column("BOOTING", right=True), Column("COLD", right=True), Column("LEAVING", right=True),
    Column("TROUBLE", right=True), Column("LOAD", right=True), Column("CAPACITY", right=True),
    Column("$/H", right=True), Column("DECISION"),
)  # fmt: skip
_MEMBERS = (
    Column("ID", right=True), Column("GROUP"), Column("STATE", colour=_STAGES.get),
    Column("AGE", right=True), Column("GPU"), Column("PLACE"), Column("LOAD", right=True),
    Column("REPORTED", right=True), Column("$/H", right=True), Column("NOTE"),
)  # fmt: skip


@click.command()
@AS_JSON
@asking
def status(controller: Controller, as_json: bool) -> None:
    """Show every group of a controller: wanted, ready, load, cost."""
    told = controller.get("/groups")
    if as_json:
        print_json(told)
        return
    limits = told["limits"]
    click.echo(
        f"{plain(told['fleet'])}: {told['ready']} ready, {told['booting']} booting, "
        f"{told['instances']} of at most {limits['instances']} instances, "
        f"{dollars(told['usd_per_hour'], 3)} of at most {dollars(limits['usd_per_hour'], 2)} $/h"
    )
    for alarm in (told["blind"], told["ticks"]["failure"]):
        if alarm:
            click.secho(plain(alarm), fg="red")
    print_columns(_GROUPS, map(_group_cells, told["groups"]))


@click.command()
@click.argument("group", required=False)
@AS_JSON
@asking
def ps(controller: Controller, group: str | None, as_json: bool) -> None:
    """List the instances of a controller, or of one GROUP."""
    told = controller.get("/members", **({"group": group} if group else {}))
    if as_json:
        print_json(told["members"])
    else:
        print_columns(_MEMBERS, map(_member_cells, told["members"]))


@click.command()
@click.option("--days", type=click.IntRange(1, 31), default=1, show_default=True, help="How many.")
@AS_JSON
@asking
def spend(controller: Controller, days: int, as_json: bool) -> None:
    """Show what a controller has spent, against its limits."""
    told = controller.get("/spend", days=days)
    if as_json:
        print_json(told)
        return
    for title, name, limit in (
        ("an hour", "usd_per_hour", "usd_per_hour_limit"),
        ("today", "usd_today", "usd_per_day_limit"),
        ("this month", "usd_this_month", "usd_per_month_limit"),
    ):
        most = "" if told[limit] is None else f" of at most {dollars(told[limit], 2)}"
        click.echo(f"{title:>10}  {dollars(told[name])}{most} $")
    columns = (Column("GROUP"), Column("KIND"), Column("$", right=True))
    sums: dict[tuple[str, str], float] = {}
    for row in told["hours"]:
        key = (row["group"], row["kind"])
        sums[key] = sums.get(key, 0.0) + row["usd"]
    print_columns(columns, [(*key, dollars(usd)) for key, usd in sorted(sums.items())])


@click.command()
@click.argument("group")
@AS_JSON
@asking
def why(controller: Controller, group: str, as_json: bool) -> None:
    """Explain the last decision about a GROUP by what it was made from."""
    decision = controller.get(f"/groups/{segment(group)}")["decision"]
    if as_json:
        print_json(decision)
        return
    if decision is None:
        click.echo(f"Nothing has been decided about {plain(group)} yet.")
        return
    click.echo(f"{_moment(decision['at'])}  {plain(decision['sentence'])}")
    for name, value in (decision["inputs"] or {}).items():
        click.echo(f"  {name:<16} {_value(value)}")


@click.command()
@click.option("--after", type=click.IntRange(0), help="Begin after the event of this number.")
@click.option("--limit", type=click.IntRange(1), help="End after so many.")
@click.option("--ticks", is_flag=True, help="Show each tick, too.")
@AS_JSON
@asking
def events(
    controller: Controller, after: int | None, limit: int | None, ticks: bool, as_json: bool
) -> None:
    """Follow what a controller says, as it says it.

    With --json each event is a line of JSON. Ctrl-C ends it.
    """
    found = (each for each in controller.events(after) if ticks or each[0] == "said")
    try:
        for kind, data in islice(found, limit):
            click.echo(json.dumps(data) if as_json else _event(kind, data))
    except KeyboardInterrupt:
        return


def _event(kind: str, data: Mapping[str, Any]) -> str:
    if kind == "tick":
        return f"{_moment(data['at'])}  {data['ready']} ready, {dollars(data['usd_per_hour'])} $/h"
    group = f"{plain(data['group'])}: " if data["group"] else ""
    return f"{_moment(data['at'])}  {group}{plain(data['sentence'])}"


def _group_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    policy = row["policy"] or UNKNOWN
    return (
        row["name"],
        policy if row["pinned"] is None else "held",
        number(row["wanted"]),
        *(str(row[each]) for each in ("ready", "booting", "cold", "leaving", "suspect")),
        number(row["load"], 1),
        number(row["capacity"], 1),
        dollars(row["usd_per_hour"], 3),
        row["sentence"],
    )


def _member_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    gpu = f"{row['num_gpus'] or 1}x {row['gpu']}" if row["gpu"] else UNKNOWN
    notes = [
        "held" if row["held"] else "",
        row["error"] or (row["evidence"] if row["trouble"] else ""),
    ]
    return (
        str(row["id"] or UNKNOWN),
        row["group"],
        row["stage"],
        span(row["age_s"]),
        gpu,
        row["place"],
        number(row["load"], 1),
        span(row["reported_s"]),
        dollars(row["usd_per_hour_now"]),
        ", ".join(filter(None, notes)),
    )


def span(seconds: float | None) -> str:
    """``45s``, ``12m``, ``3h20m``, ``2d4h``; UNKNOWN for None."""
    if seconds is None:
        return UNKNOWN
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600}h"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(each)}" for name, each in value.items()) or UNKNOWN
    if isinstance(value, list):
        return "; ".join(map(_value, value)) or "none"
    if isinstance(value, float):
        return f"{value:.4g}"
    return plain(value)


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, timezone.utc):%Y-%m-%d %H:%M:%S}"
