"""``vast-pyworker workergroups``: what an endpoint's workers are made from, and on which offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.query import parse_query, unparse_query
from vast_pyworker.vastai.worker_groups import DEFAULT_SEARCH, WorkerGroup, WorkerGroupSettings

from .connecting import connected
from .exits import FAILED, ending
from .tables import AS_JSON, Column, number, plain, print_columns, print_json

COLUMNS = (
    Column("ID", right=True),
    Column("ENDPOINT", right=True),
    Column("NAME"),
    Column("TEMPLATE"),
    Column("VRAM GB", right=True),
    Column("OFFERS"),
)
NUMBER = click.argument("number_", metavar="ID", type=click.IntRange(1))


def _settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what a group is."""
    for option in reversed(
        (
            click.option("--endpoint", "endpoint_name", help="Its endpoint, by name."),
            click.option("--endpoint-id", type=click.IntRange(1), help="Its endpoint, by number."),
            click.option("--template", "template_hash", help="The hash of its template."),
            click.option("--template-id", type=click.IntRange(1), help="The number of it."),
            click.option("--query", help="The offers to rent, in the language of offers."),
            click.option(
                "--no-defaults", is_flag=True, help=f"Do not add to the query: {DEFAULT_SEARCH}."
            ),
            click.option("--launch-args", help="Options of a launch, as text."),
            click.option("--gpu-ram", type=click.FloatRange(0), help="GB that the model needs."),
        )
    ):
        command = option(command)
    return command


@click.group()
def workergroups() -> None:
    """Groups of workers of an endpoint.

    What an update does not name stays as it is, the query too.
    """


@workergroups.command("list")
@AS_JSON
@connected
def list_(client: VastClient, as_json: bool) -> None:
    """List the groups."""
    found = client.workergroups.list()
    if as_json:
        print_json([each.raw for each in found])
    elif found:
        print_columns(COLUMNS, [_cells(each) for each in found])
    else:
        click.echo("There is no group.", err=True)


@workergroups.command()
@NUMBER
@AS_JSON
@connected
def show(client: VastClient, number_: int, as_json: bool) -> None:
    """Show the group ID."""
    found = client.workergroups.show(number_)
    if found is None:
        raise ending(f"There is no group {number_}, or no longer.", FAILED)
    if as_json:
        print_json(found.raw)
    else:
        print_columns(COLUMNS, [_cells(found)])


@workergroups.command()
@_settings
@AS_JSON
@connected
def create(client: VastClient, as_json: bool, **options: Any) -> None:
    """Create a group of an endpoint, from a template."""
    options = {**options, "query": options["query"] or ""}
    made = client.workergroups.create(settings(options))
    if as_json:
        print_json({"id": made})
    else:
        click.echo(f"The group has the number {made}.")


@workergroups.command()
@NUMBER
@_settings
@AS_JSON
@connected
def update(client: VastClient, number_: int, as_json: bool, **options: Any) -> None:
    """Change what is named of the group ID.

    A query given here takes the place of the old one.
    """
    client.workergroups.update(number_, settings(options))
    if as_json:
        print_json({"id": number_, "updated": True})
    else:
        click.echo(f"Group {number_} is changed.")


@workergroups.command()
@NUMBER
@AS_JSON
@connected
def delete(client: VastClient, number_: int, as_json: bool) -> None:
    """Delete the group ID; its instances are not destroyed with it."""
    was = client.workergroups.delete(number_)
    if as_json:
        print_json({"id": number_, "deleted": was})
    else:
        click.echo(f"Group {number_} {'is deleted' if was else 'was not there'}.")


def settings(options: Mapping[str, Any]) -> WorkerGroupSettings:
    """Raises QueryError for a query that cannot be read, which the service would keep as it is."""
    query = options["query"]
    if query is not None:
        parse_query(query)
        query = query if options["no_defaults"] else f"{query} {DEFAULT_SEARCH}".strip()
    return WorkerGroupSettings(
        endpoint_id=options["endpoint_id"],
        endpoint_name=options["endpoint_name"],
        template_hash=options["template_hash"],
        template_id=options["template_id"],
        search_params=query,
        launch_args=options["launch_args"],
        gpu_ram_gb=options["gpu_ram"],
    )


def _cells(each: WorkerGroup) -> tuple[str, ...]:
    return (
        number(each.id),
        number(each.endpoint_id),
        plain(each.endpoint_name),
        plain(each.template_hash or each.template_id),
        number(each.gpu_ram_gb),
        _query(each.search_query),
    )


def _query(filters: Mapping[str, Any] | None) -> str:
    try:
        return plain(unparse_query(dict(filters or {})))
    except (ValueError, TypeError, AttributeError):
        return plain(filters)  # what the service keeps need not be of the language
