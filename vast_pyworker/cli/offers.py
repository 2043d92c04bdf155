"""``vast-pyworker offers``: what can be rented."""

from __future__ import annotations

from collections.abc import Sequence

import click

from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.records import Offer

from .connecting import connected
from .searching import KINDS, filters_of
from .tables import AS_JSON, Column, dollars, number, plain, print_columns, print_json

COLUMNS = (
    Column("ID", right=True),
    Column("GPU"),
    Column("VRAM GB", right=True),
    Column("CPUS", right=True),
    Column("RAM GB", right=True),
    Column("DISK GB", right=True),
    Column("DOWN", right=True),
    Column("UP", right=True),
    Column("CUDA", right=True),
    Column("REL %", right=True),
    Column("DAYS", right=True),
    Column("$/H", right=True),
    Column("MIN BID", right=True),
    Column("WHERE"),
)


@click.command()
@click.argument("query", nargs=-1)
@click.option("--order", default="score-", show_default=True, help="Fields, with - for descending.")
@click.option("--limit", type=click.IntRange(1), default=25, show_default=True, help="At most.")
@click.option(
    "--disk", type=click.FloatRange(0), default=10.0, show_default=True, help="GB, in the price."
)
@click.option(
    "--type",
    "kind",
    type=click.Choice(list(KINDS)),
    default="on-demand",
    show_default=True,
    help="How it is to be rented.",
)
@click.option(
    "--no-defaults", is_flag=True, help="Not only what is verified, rentable and Vast's own."
)
@AS_JSON
@connected
def offers(
    client: VastClient,
    query: Sequence[str],
    order: str,
    limit: int,
    disk: float,
    kind: str,
    no_defaults: bool,
    as_json: bool,
) -> None:
    """Search what can be rented.

    QUERY is in Vast's language, in quotes: 'gpu_name=RTX_4090 num_gpus=1 dph<0.5'. DOWN and UP are
    Mbit/s; prices are dollars an hour and hold the disk.
    """
    filters = filters_of(query, defaults=not no_defaults)
    found = client.offers.search(
        filters, order=order, kind=KINDS[kind], limit=limit, disk_gb=disk, defaults=False
    )
    if as_json:
        print_json([each.raw for each in found])
        return
    if not found:
        click.echo("No offer matches; ask for less, or see --no-defaults.", err=True)
        return
    print_columns(COLUMNS, [cells(each) for each in found])
    if len(found) == limit:
        click.echo(f"These are the first {limit}; --limit shows more.", err=True)


def gpus(each: Offer) -> str:
    return f"{each.num_gpus}x {each.gpu_name}" if each.num_gpus else plain(each.gpu_name)


def cells(each: Offer) -> tuple[str, ...]:
    return (
        str(each.id),
        gpus(each),
        number(_thousandth(each.gpu_ram_mb)),
        number(each.cpu_cores),
        number(_thousandth(each.cpu_ram_mb)),
        number(each.disk_space_gb),
        number(each.inet_down_mbit_s),
        number(each.inet_up_mbit_s),
        number(each.cuda_max, 1),
        number(None if each.reliability is None else each.reliability * 100, 1),
        number(None if each.duration_s is None else each.duration_s / 86400),
        dollars(each.usd_per_hour),
        dollars(each.min_bid_usd_per_hour),
        plain(each.geolocation),
    )


def _thousandth(amount: float | None) -> float | None:
    return None if amount is None else amount / 1000
