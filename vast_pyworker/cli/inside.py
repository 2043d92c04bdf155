"""Commands that look into an instance: logs, execute."""

from __future__ import annotations

from collections.abc import Sequence

import click

from vast_pyworker.vastai.client import VastClient

from .connecting import connected
from .tables import AS_JSON, print_json

ONE = click.argument("number", metavar="ID", type=click.IntRange(1))


@click.command()
@ONE
@click.option("--tail", type=click.IntRange(1), help="So many lines of its end.")
@click.option("--filter", "pattern", help="Only lines that match this.")
@click.option("--daemon", is_flag=True, help="The machine's log of it, not the container's.")
@AS_JSON
@connected
def logs(
    client: VastClient,
    number: int,
    tail: int | None,
    pattern: str | None,
    daemon: bool,
    as_json: bool,
) -> None:
    """Print the log of an instance."""
    text = client.instances.logs(number, tail=tail, filter=pattern, daemon=daemon)
    _print(text, {"id": number, "log": text}, as_json)


@click.command(context_settings={"ignore_unknown_options": True})
@ONE
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@AS_JSON
@connected
def execute(client: VastClient, number: int, command: Sequence[str], as_json: bool) -> None:
    """Run ls, rm or du on a stopped instance.

    The API runs no other COMMAND, and none on a running instance: use ssh there.
    """
    text = client.instances.execute(number, " ".join(command))
    _print(text, {"id": number, "output": text}, as_json)


def _print(text: str, document: dict[str, object], as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        click.echo(text, nl=not text.endswith("\n"))
