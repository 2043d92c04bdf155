"""``vast-pyworker instances`` and ``show``: what is rented, in what state, at what price."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import click

from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.records import Instance

from .connecting import connected
from .exits import FAILED, ending
from .tables import (
    AS_JSON,
    Column,
    clipped,
    dollars,
    number,
    plain,
    print_columns,
    print_json,
    print_table,
)

COLOURS = {
    "running": "green",
    "creating": "cyan",
    "loading": "cyan",
    "rebooting": "cyan",
    "outbid": "yellow",
    "scheduling": "yellow",
    "stopping": "yellow",
    "stopped": "yellow",
    "exited": "red",
    "failed": "red",
    "expired": "red",
    "offline": "red",
}
COLUMNS = (
    Column("ID", right=True),
    Column("STATE", colour=COLOURS.get),
    Column("GPU"),
    Column("$/H NOW", right=True),
    Column("$/H RUNNING", right=True),
    Column("DISK GB", right=True),
    Column("HOURS", right=True),
    Column("IMAGE"),
    Column("WHERE"),
    Column("LABEL"),
)


@click.command()
@click.option("--label", help="Only those with this very label.")
@click.option("-q", "--quiet", is_flag=True, help="Numbers only, one a line.")
@AS_JSON
@connected
def instances(client: VastClient, label: str | None, quiet: bool, as_json: bool) -> None:
    """List what is rented.

    The list is read to its end or not at all: what is not in it does not exist.
    """
    found = client.instances.list(label)
    if as_json:
        print_json([document(each) for each in found])
    elif quiet:
        click.echo("".join(f"{each.id}\n" for each in found), nl=False)
    elif not found:
        click.echo("Nothing is rented." if label is None else "Nothing has this label.", err=True)
    else:
        print_columns(COLUMNS, [cells(each, time.time()) for each in found])
        click.echo(_together(found))


@click.command()
@click.argument("number_", metavar="ID", type=click.IntRange(1))
@AS_JSON
@connected
def show(client: VastClient, number_: int, as_json: bool) -> None:
    """Show one instance in full."""
    found = client.instances.show(number_)
    if found is None:
        raise ending(f"There is no instance {number_}, or no longer.", FAILED)
    if as_json:
        print_json(document(found))
    else:
        print_table(lines(found))


def document(each: Instance) -> dict[str, Any]:
    """The row as it came, with the state that was made out of its four."""
    state = each.state
    return {**each.raw, "state": str(state.phase), "state_reason": state.reason}


def gpus(each: Instance) -> str:
    return f"{each.num_gpus}x {each.gpu_name}" if each.num_gpus else plain(each.gpu_name)


def cells(each: Instance, now: float) -> tuple[str, ...]:
    return (
        str(each.id),
        str(each.state.phase),
        gpus(each),
        dollars(each.usd_per_hour_now),
        dollars(each.usd_per_hour),
        number(each.disk_gb),
        number(None if each.created_at is None else (now - each.created_at) / 3600, 1),
        clipped(each.image, 30),
        clipped(each.geolocation, 20),
        plain(each.label),
    )


def lines(each: Instance) -> Iterator[tuple[str, str]]:
    yield "id", str(each.id)
    yield "label", plain(each.label)
    yield "state", f"{each.state.phase}: {plain(each.state.reason)}"
    yield "said", plain(each.status_msg)
    yield "image", plain(each.image)
    yield "GPU", gpus(each)
    yield "CPUs", number(each.cpu_cores)
    yield "disk", f"{number(each.disk_gb)} GB"
    yield "now", f"{dollars(each.usd_per_hour_now)} $/h"
    yield "running", f"{dollars(each.usd_per_hour)} $/h"
    yield "rented as", _kind(each)
    yield "machine", f"{number(each.machine_id)} of host {number(each.host_id)}"
    yield "where", plain(each.geolocation)
    yield "ssh proxy", _ssh(each.ssh_proxy)
    yield "ssh direct", _ssh(each.ssh_direct)
    for inside, outside in sorted(each.ports.items()):
        yield f"port {inside}", f"{plain(each.public_ip)}:{outside}"


def _kind(each: Instance) -> str:
    kind = {True: "interruptible", False: "on demand"}.get(bool(each.is_bid))
    return "-" if each.is_bid is None else str(kind)


def _ssh(address: Any) -> str:
    return "-" if address is None else f"ssh -p {address.port} root@{plain(address.host)}"


def _together(found: list[Instance]) -> str:
    prices = [each.usd_per_hour_now for each in found]
    known = sum(price for price in prices if price is not None)
    least = "at least " if None in prices else ""
    many = "1 instance" if len(found) == 1 else f"{len(found)} instances"
    return f"{many}, {least}{dollars(known)} $/h now."
