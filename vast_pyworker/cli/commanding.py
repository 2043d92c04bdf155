"""Commands that tell a controller what to do: scale, drain, hold, release, drop, keys.

A controller carries them out at its next tick; where a limit forbids one, it exits with 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from .controller_door import Controller, asking, segment
from .exits import PARTIAL, ending, refuse
from .tables import AS_JSON, Column, plain, print_columns, print_json

INSTANCES = click.argument("instances", metavar="INSTANCE...", nargs=-1, required=True)


@click.command()
@click.argument("group")
@click.argument("count", metavar="N|auto")
@AS_JSON
@asking
def scale(controller: Controller, group: str, count: str, as_json: bool) -> None:
    """Hold a GROUP at N instances; auto gives it back to its policy."""
    if count != "auto" and not (count.isascii() and count.isdigit()):
        refuse(f"{count!r} is neither a number of instances nor auto.")
    body = {"instances": None if count == "auto" else int(count)}
    _print([controller.post(f"/groups/{segment(group)}/scale", body)], as_json)


@click.command()
@INSTANCES
@click.option(
    "--seconds", type=click.FloatRange(0), help="How long its requests may take to finish."
)
@AS_JSON
@asking
def drain(
    controller: Controller, instances: Sequence[str], seconds: float | None, as_json: bool
) -> None:
    """Give instances no new requests, then destroy them."""
    _to_each(controller, instances, "drain", {"seconds": seconds}, as_json)


@click.command()
@INSTANCES
@AS_JSON
@asking
def hold(controller: Controller, instances: Sequence[str], as_json: bool) -> None:
    """Have nothing done to instances until they are released."""
    _to_each(controller, instances, "hold", {}, as_json)


@click.command()
@INSTANCES
@AS_JSON
@asking
def release(controller: Controller, instances: Sequence[str], as_json: bool) -> None:
    """End the hold of instances."""
    _to_each(controller, instances, "release", {}, as_json)


@click.command()
@INSTANCES
@click.option("--reason", default="", help="Why, for the journal.")
@AS_JSON
@asking
def drop(controller: Controller, instances: Sequence[str], reason: str, as_json: bool) -> None:
    """Destroy instances now, and avoid their machines for a while."""
    _to_each(controller, instances, "drop", {"reason": reason}, as_json)


@click.group()
def keys() -> None:
    """Keys of a controller: list, create, revoke."""


@keys.command("list")
@AS_JSON
@asking
def list_keys(controller: Controller, as_json: bool) -> None:
    """List the valid keys, none of them in full."""
    rows = controller.get("/keys")["keys"]
    if as_json:
        print_json(rows)
        return
    columns = [Column(each.upper()) for each in ("id", "right", "endpoint", "name")]
    print_columns(columns, [[row[c.title.lower()] or "" for c in columns] for row in rows])


@keys.command("create")
@click.argument("name")
@click.option(
    "--right",
    type=click.Choice(["read", "operate", "admin", "route"]),
    default="read",
    show_default=True,
    help="What it may do.",
)
@click.option("--endpoint", help="For which endpoint it routes.")
@asking
def create_key(controller: Controller, name: str, right: str, endpoint: str | None) -> None:
    """Print a new key. It is shown this once."""
    body = {"name": name, "right": right, "endpoint": endpoint}
    click.echo(controller.post("/keys", body)["key"])


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
@asking
def revoke_key(controller: Controller, key_id: str) -> None:
    """Make a key worthless at once."""
    controller.delete(f"/keys/{segment(key_id)}")
    click.echo(f"Key {plain(key_id)} is revoked.")


def _to_each(
    controller: Controller, instances: Sequence[str], verb: str, body: dict[str, Any], as_json: bool
) -> None:
    """Tell it of each; where some are refused and others not, exit with PARTIAL."""
    done, refused = [], []
    for each in dict.fromkeys(instances):
        try:
            done.append(controller.post(f"/instances/{segment(each)}/{verb}", body))
        except click.ClickException as exc:
            refused.append(exc)
    _print(done, as_json)
    if refused:
        told = " ".join(dict.fromkeys(each.message for each in refused))
        raise ending(told, PARTIAL if done else refused[0].exit_code)


def _print(told: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(list(told))
        return
    for each in told:
        click.echo(plain(each["said"]))
