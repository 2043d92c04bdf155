"""``vast-pyworker endpoints``: those of Vast's own autoscaler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, Literal

import click

from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.endpoints import EndpointGroup, EndpointSettings

from .connecting import connected
from .exits import FAILED, ending
from .tables import AS_JSON, Column, number, plain, print_columns, print_json

COLUMNS = (
    Column("ID", right=True),
    Column("STATE"),
    Column("MIN LOAD", right=True),
    Column("UTIL", right=True),
    Column("COLD", right=True),
    Column("MAX", right=True),
    Column("NAME"),
)
NUMBER = click.argument("number_", metavar="ID", type=click.IntRange(1))
_WHOLE = ("cold_workers", "max_workers")
_SENTENCES = {
    "min_load": "Load to be ready for, always; units of work a second.",
    "min_cold_load": "The same, with workers that may be cold.",
    "target_util": "How full the workers are to be, 0 to 1.",
    "cold_mult": "Capacity kept cold, as a multiple of the hot.",
    "cold_workers": "Cold workers kept without any load.",
    "max_workers": "Never more workers.",
    "max_queue_time": "Seconds a request may wait.",
    "target_queue_time": "Seconds a request is to wait.",
    "inactivity_timeout": "Seconds without requests until it sleeps.",
}


def _settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each setting."""
    for name in reversed([field.name for field in fields(EndpointSettings)]):
        kind = click.IntRange(0) if name in _WHOLE else click.FloatRange(0)
        option = click.option(f"--{name.replace('_', '-')}", type=kind, help=_SENTENCES[name])
        command = option(command)
    return command


@click.group()
def endpoints() -> None:
    """Endpoints of Vast's own autoscaler.

    What an update does not name stays as it is.
    """


@endpoints.command("list")
@AS_JSON
@connected
def list_(client: VastClient, as_json: bool) -> None:
    """List the endpoints."""
    found = client.endpoints.list()
    if as_json:
        print_json([each.raw for each in found])
    elif found:
        print_columns(COLUMNS, [_cells(each) for each in found])
    else:
        click.echo("There is no endpoint.", err=True)


@endpoints.command()
@NUMBER
@AS_JSON
@connected
def show(client: VastClient, number_: int, as_json: bool) -> None:
    """Show the endpoint ID."""
    found = client.endpoints.show(number_)
    if found is None:
        raise ending(f"There is no endpoint {number_}, or no longer.", FAILED)
    if as_json:
        print_json(found.raw)
    else:
        print_columns(COLUMNS, [_cells(found)])


@endpoints.command()
@click.argument("name")
@_settings
@AS_JSON
@connected
def create(client: VastClient, name: str, as_json: bool, **settings: Any) -> None:
    """Create the endpoint NAME."""
    made = client.endpoints.create(name, EndpointSettings(**settings))
    if as_json:
        print_json({"id": made, "name": name})
    else:
        click.echo(f"Endpoint {name} has the number {made}.")


@endpoints.command()
@NUMBER
@click.option("--name", help="Its new name.")
@click.option(
    "--state", type=click.Choice(["active", "suspended", "stopped"]), help="What it is to do."
)
@_settings
@AS_JSON
@connected
def update(
    client: VastClient,
    number_: int,
    name: str | None,
    state: Literal["active", "suspended", "stopped"] | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Change what is named of the endpoint ID."""
    client.endpoints.update(number_, EndpointSettings(**settings), name=name, state=state)
    if as_json:
        print_json({"id": number_, "updated": True})
    else:
        click.echo(f"Endpoint {number_} is changed.")


@endpoints.command()
@NUMBER
@AS_JSON
@connected
def delete(client: VastClient, number_: int, as_json: bool) -> None:
    """Delete the endpoint ID, with its groups and their workers."""
    was = client.endpoints.delete(number_)
    if as_json:
        print_json({"id": number_, "deleted": was})
    else:
        click.echo(f"Endpoint {number_} {'is deleted' if was else 'was not there'}.")


def _cells(each: EndpointGroup) -> tuple[str, ...]:
    return (
        number(each.id),
        plain(each.state),
        number(each.settings.min_load, 2),
        number(each.settings.target_util, 2),
        number(each.settings.cold_workers),
        number(each.settings.max_workers),
        plain(each.name),
    )
