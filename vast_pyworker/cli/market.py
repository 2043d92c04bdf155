"""``vast-pyworker market``: the options of ``vast_pyworker.market.main`` and nothing else."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import click

from vast_pyworker.market.main import MarketOptions, run

_FILE = click.Path(path_type=Path, dir_okay=False)


def factor(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """``real`` is 1; any other is how many times faster than that."""
    try:
        number = 1.0 if value == "real" else float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise click.BadParameter(f"{value!r} is neither 'real' nor a factor of 0 or more.")
    return number


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=MarketOptions.port,
    show_default=True,
    help="Where it listens; 0 for any that is free.",
)
@click.option(
    "--host", default=MarketOptions.host, show_default=True, help="The address it listens at."
)
@click.option("--allow-remote", is_flag=True, help="Let --host be seen by other machines.")
@click.option(
    "--seed",
    type=int,
    default=MarketOptions.seed,
    show_default=True,
    help="The same seed is the same market.",
)
@click.option(
    "--clock",
    default="real",
    show_default=True,
    callback=factor,
    help="real, or how many times faster; with 0 only POST /market/advance moves it.",
)
@click.option(
    "--runtime",
    type=click.Choice(["none", "process"]),
    default=MarketOptions.runtime,
    show_default=True,
    help="What a running instance is: a process here, or only said to run.",
)
@click.option(
    "--hosts",
    type=click.IntRange(1, 100_000),
    default=MarketOptions.hosts,
    show_default=True,
    help="How many machines there are.",
)
@click.option(
    "--credit",
    type=click.FloatRange(0),
    default=MarketOptions.credit,
    show_default=True,
    help="Dollars on the account at the start.",
)
@click.option(
    "--loading",
    "loading_median_s",
    metavar="SECONDS",
    type=click.FloatRange(0, min_open=True),
    default=MarketOptions.loading_median_s,
    show_default=True,
    help="How long images load, by the market's clock; half of them longer.",
)
@click.option("--state", type=_FILE, help="Keep everything in this file, and go on from it.")
@click.option("--faults", type=_FILE, help="Faults to begin with, as JSON.")
@click.option("--no-limits", is_flag=True, help="Answer as often as one asks.")
def market(
    port: int,
    host: str,
    allow_remote: bool,
    seed: int,
    clock: float,
    runtime: str,
    hosts: int,
    credit: float,
    loading_median_s: float,
    state: Path | None,
    faults: Path | None,
    no_limits: bool,
) -> None:
    """Be a marketplace on this machine.

    It speaks Vast's API to anybody here who has its key, and it costs nothing. It says which key
    that is, and ends on SIGINT or SIGTERM.
    """
    options = MarketOptions(
        host=host,
        port=port,
        seed=seed,
        hosts=hosts,
        clock=clock,
        runtime=runtime,
        state=state,
        faults=faults,
        limits=not no_limits,
        allow_remote=allow_remote,
        credit=credit,
        loading_median_s=loading_median_s,
    )
    sys.exit(run(options))
