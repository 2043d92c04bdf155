"""Commands that look into an instance: logs, execute."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from vast_pyworker.vastai.client import VastClient

from . import connecting, controller_door
from .connecting import connected
from .exits import refuse
from .tables import AS_JSON, print_json

R = TypeVar("R")
ONE = click.argument("number", metavar="ID", type=click.IntRange(1))


def or_by_controller(command: Callable[..., R]) -> Callable[..., R | None]:
    """Add ``--controller``, which also holds where only a controller's key is there."""

    @click.option(
        "--controller", "by_controller", is_flag=True,
        help="Ask the controller at CONTROLLER_URL: its key is enough.",
    )  # fmt: skip
    @functools.wraps(command)
    def chosen(*args: Any, by_controller: bool, **options: Any) -> R | None:
        without = not connecting.has_key() and controller_door.has_key()
        if not by_controller and not without:
            return command(*args, **options)
        _logs_by_controller(**options)
        return None

    return chosen


@click.command()
@or_by_controller
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


def _logs_by_controller(
    number: int, tail: int | None, pattern: str | None, daemon: bool, as_json: bool, **_: Any
) -> None:
    if pattern is not None or daemon:
        refuse("A controller knows neither --filter nor --daemon: set VAST_API_KEY for them.")
    with controller_door.opened() as controller:
        text = controller.text(f"/instances/{number}/logs", **({"tail": tail} if tail else {}))
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
