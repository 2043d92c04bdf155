"""``vast-pyworker templates``: an image with how it is launched, kept at Vast."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.templates import Template

from .connecting import connected
from .exits import refuse
from .rent_options import onstart
from .searching import filters_of
from .tables import AS_JSON, Column, number, plain, print_columns, print_json

COLUMNS = (
    Column("ID", right=True),
    Column("HASH"),
    Column("DISK GB", right=True),
    Column("IMAGE"),
    Column("NAME"),
)
# Options that are fields of a template under another name or the same.
_AS_IS = {"name": "name", "image": "image", "tag": "tag", "env": "env", "desc": "desc"}


@click.group()
def templates() -> None:
    """Templates: list, create, update, delete.

    The hash of a template is made from what it holds: an update gives it a new one.
    """


def _fields(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what a template holds."""
    for option in reversed(
        (
            click.option("--tag", help="The image's tag."),
            click.option("--env", help="Docker's flags: '-e A=1 -p 80:80'. No secrets."),
            click.option("--onstart", type=click.Path(path_type=Path), help="A script to run."),
            click.option("--onstart-cmd", help="The same as text."),
            click.option("--disk", type=click.FloatRange(1), help="GB that it recommends."),
            click.option("--query", help="The offers that it is for, in the language of offers."),
            click.option("--desc", help="What it is, in a sentence."),
            click.option(
                "--runtype", type=click.Choice(["ssh", "jupyter", "args"]), help="How it is run."
            ),
            click.option("--direct/--proxied", default=None, help="Whether reached directly."),
            click.option("--public/--private", default=None, help="Whether others see it."),
        )
    ):
        command = option(command)
    return command


@templates.command("list")
@click.option("--name", help="Only those of this very name.")
@AS_JSON
@connected
def list_(client: VastClient, name: str | None, as_json: bool) -> None:
    """List the templates that the account sees."""
    found = client.templates.list({} if name is None else {"name": {"eq": name}})
    if as_json:
        print_json([each.raw for each in found])
    elif found:
        print_columns(COLUMNS, [_cells(each) for each in found])
    else:
        click.echo("There is no such template.", err=True)


@templates.command()
@click.argument("name")
@click.option("--image", required=True, help="The image to run.")
@_fields
@AS_JSON
@connected
def create(client: VastClient, name: str, image: str, as_json: bool, **options: Any) -> None:
    """Create the template NAME; one with the same content is not made twice."""
    made = client.templates.create(name, image, fields(options))
    _print(made, f"Template {name} has the hash {made.hash_id}.", as_json)


@templates.command()
@click.argument("hash_id", metavar="HASH")
@click.option("--name", help="Its new name.")
@click.option("--image", help="The image to run.")
@_fields
@AS_JSON
@connected
def update(client: VastClient, hash_id: str, as_json: bool, **options: Any) -> None:
    """Change what is named of the template HASH; it gets a new hash."""
    changes = fields(options)
    if not changes:
        refuse("There is nothing to change: name an option.")
    made = client.templates.update(hash_id, changes)
    _print(made, f"The template has the hash {made.hash_id} now.", as_json)


@templates.command()
@click.argument("template", metavar="HASH|ID")
@AS_JSON
@connected
def delete(client: VastClient, template: str, as_json: bool) -> None:
    """Delete a template."""
    by_id = template.isascii() and template.isdigit() and len(template) < 16  # hashes are longer
    was = client.templates.delete(
        hash_id=None if by_id else template, template_id=int(template) if by_id else None
    )
    if as_json:
        print_json({"template": template, "deleted": was})
    else:
        click.echo(f"Template {template} {'is deleted' if was else 'was not there'}.")


def fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, as the API spells it."""
    given = {field: options[name] for name, field in _AS_IS.items() if options.get(name)}
    script = onstart(options["onstart"], options["onstart_cmd"])
    given |= {} if script is None else {"onstart": script}
    given |= {} if options["disk"] is None else {"recommended_disk_space": options["disk"]}
    if options["query"] is not None:
        given["extra_filters"] = filters_of([options["query"]], defaults=True)
    given |= {} if options["public"] is None else {"private": not options["public"]}
    return {**given, **_runtype(options["runtype"], options["direct"])}


def _runtype(runtype: str | None, direct: bool | None) -> dict[str, Any]:
    known: dict[str, Any] = {} if runtype is None else {"runtype": runtype}
    if runtype is not None:
        known["use_ssh"] = runtype in ("ssh", "jupyter")
    if direct is not None:
        known |= {"ssh_direct": direct, "jup_direct": direct and runtype == "jupyter"}
    return known


def _cells(each: Template) -> tuple[str, ...]:
    image = f"{each.image}:{each.tag}" if each.image and each.tag else plain(each.image)
    disk = number(each.disk_gb)
    return (number(each.id), plain(each.hash_id), disk, image, plain(each.name))


def _print(made: Template, sentence: str, as_json: bool) -> None:
    if as_json:
        print_json({"id": made.id, "hash_id": made.hash_id, "name": made.name})
    else:
        click.echo(sentence)
