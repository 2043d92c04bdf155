"""``vast-pyworker ssh-keys``: of the account, and of single instances."""

from __future__ import annotations

from pathlib import Path

import click

from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.ssh_keys import SshKey, checked

from .connecting import connected
from .exits import refuse
from .tables import AS_JSON, Column, number, plain, print_columns, print_json

COLUMNS = (Column("ID", right=True), Column("KEY"))
INSTANCE = click.argument("instance", metavar="INSTANCE", type=click.IntRange(1))
KEY = click.argument("key", metavar="KEY")


@click.group("ssh-keys")
def ssh_keys() -> None:
    """Keys of the account and of instances.

    KEY is a public key, or the path of its file. A key of the account reaches instances that are
    created after it; attach lets it into one that runs.
    """


@ssh_keys.command("list")
@click.option("--instance", type=int, help="Those of this instance instead.")
@AS_JSON
@connected
def list_(client: VastClient, instance: int | None, as_json: bool) -> None:
    """List the keys of the account."""
    keys = client.ssh_keys.list() if instance is None else client.ssh_keys.attached(instance)
    if as_json:
        print_json([_document(key) for key in keys])
    else:
        print_columns(COLUMNS, [(number(key.id), plain(key.public_key)) for key in keys])


@ssh_keys.command()
@KEY
@AS_JSON
@connected
def add(client: VastClient, key: str, as_json: bool) -> None:
    """Add KEY to the account."""
    added = client.ssh_keys.add(public_key(key))
    _print(f"Key {number(added.id)} is on the account.", _document(added), as_json)


@ssh_keys.command()
@click.argument("number_", metavar="ID", type=click.IntRange(1))
@AS_JSON
@connected
def remove(client: VastClient, number_: int, as_json: bool) -> None:
    """Take the key ID off the account."""
    was = client.ssh_keys.remove(number_)
    said = "is off the account" if was else "was not on the account"
    _print(f"Key {number_} {said}.", {"id": number_, "removed": was}, as_json)


@ssh_keys.command()
@INSTANCE
@KEY
@AS_JSON
@connected
def attach(client: VastClient, instance: int, key: str, as_json: bool) -> None:
    """Let KEY into INSTANCE, also while it runs."""
    new = client.ssh_keys.attach(instance, public_key(key))
    said = "is let in" if new else "was let in before"
    _print(f"The key {said}.", {"instance": instance, "attached": new}, as_json)


@ssh_keys.command()
@INSTANCE
@click.argument("number_", metavar="ID", type=click.IntRange(1))
@AS_JSON
@connected
def detach(client: VastClient, instance: int, number_: int, as_json: bool) -> None:
    """Shut the key ID out of INSTANCE."""
    was = client.ssh_keys.detach(instance, number_)
    said = "is shut out" if was else "was not let in"
    _print(
        f"Key {number_} {said}.", {"instance": instance, "id": number_, "detached": was}, as_json
    )


def public_key(given: str) -> str:
    """The key itself, or what the file of that name holds; ends the command where it is none."""
    path = Path(given).expanduser()
    if not given.startswith(("ssh-", "ecdsa-", "sk-")):
        try:
            given = path.read_text()
        except (OSError, UnicodeDecodeError) as exc:
            refuse(
                f"The key cannot be read from {path} ({type(exc).__name__}); name its .pub file."
            )
    return checked(given)


def _document(key: SshKey) -> dict[str, object]:
    return {"id": key.id, "public_key": key.public_key}


def _print(sentence: str, document: dict[str, object], as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        click.echo(sentence)
