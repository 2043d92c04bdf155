"""Commands that change instances: start, stop, reboot, recycle, label, bid."""

from __future__ import annotations

from collections.abc import Sequence

import click

from vast_pyworker.errors import OutcomeUnknown
from vast_pyworker.vastai.client import VastClient

from .connecting import connected
from .outcomes import do_to_each
from .tables import AS_JSON, print_json

IDS = click.argument("ids", metavar="ID...", nargs=-1, required=True, type=click.IntRange(1))
ONE = click.argument("number", metavar="ID", type=click.IntRange(1))


@click.command()
@IDS
@AS_JSON
@connected
def start(client: VastClient, ids: Sequence[int], as_json: bool) -> None:
    """Start stopped instances.

    Where the machine is busy the start is queued and may come, and be billed, hours later: that
    is told as a failure, and stop cancels it.
    """

    def act(number: int) -> str:
        client.instances.start(number)
        return "is starting."

    do_to_each(ids, act, as_json=as_json, verb="start")


@click.command()
@IDS
@AS_JSON
@connected
def stop(client: VastClient, ids: Sequence[int], as_json: bool) -> None:
    """Stop instances; their disks stay and are billed."""

    def act(number: int) -> str:
        client.instances.stop(number)
        return "is stopping; its disk is billed until it is destroyed."

    do_to_each(ids, act, as_json=as_json, verb="stop")


@click.command()
@IDS
@AS_JSON
@connected
def reboot(client: VastClient, ids: Sequence[int], as_json: bool) -> None:
    """Stop and start the containers of instances."""

    def act(number: int) -> str:
        client.instances.reboot(number)
        return "is rebooting."

    do_to_each(ids, act, as_json=as_json, verb="reboot")


@click.command()
@IDS
@AS_JSON
@connected
def recycle(client: VastClient, ids: Sequence[int], as_json: bool) -> None:
    """Make the containers of instances anew.

    They keep their GPUs; the image is pulled again and what was written in the container is gone.
    """

    def act(number: int) -> str:
        client.instances.recycle(number)
        return "is made anew."

    do_to_each(ids, act, as_json=as_json, verb="recycle")


@click.command()
@ONE
@click.argument("text", metavar="LABEL")
@AS_JSON
@connected
def label(client: VastClient, number: int, text: str, as_json: bool) -> None:
    """Label an instance."""
    client.instances.set_label(number, text)
    if as_json:
        print_json({"id": number, "label": text})
    else:
        click.echo(f"Instance {number} has the label {text!r}.")


@click.command()
@ONE
@click.argument("price", metavar="PRICE", type=click.FloatRange(0.001))
@AS_JSON
@connected
def bid(client: VastClient, number: int, price: float, as_json: bool) -> None:
    """Change the bid of an interruptible instance.

    PRICE is dollars an hour for its GPUs; the disk is billed beside it.
    """
    try:
        client.instances.change_bid(number, price)
    except OutcomeUnknown:
        if not _bids(client, number, price):
            raise
    if as_json:
        print_json({"id": number, "bid_usd_per_hour": price})
    else:
        click.echo(f"Instance {number} bids {price:g} $/h.")


def _bids(client: VastClient, number: int, price: float) -> bool:
    """Whether the instance has that bid now."""
    found = client.instances.show(number)
    known = found.gpu_usd_per_hour if found else None
    return known is not None and abs(known - price) < 1e-6
