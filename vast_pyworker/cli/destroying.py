"""``vast-pyworker destroy``: ask, destroy, and name whatever is left."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import click

from vast_pyworker.errors import BadAnswer, ProviderError, ProviderUnreachable, RateLimited
from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.many import Destroyed

from .connecting import connected
from .exits import FAILED, PARTIAL, code_of, ending, refuse
from .outcomes import numbers
from .tables import AS_JSON, print_json

AT_ONCE = 64  # the most the API takes in a call


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True, type=click.IntRange(1))
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@AS_JSON
@connected
def destroy(client: VastClient, ids: Sequence[int], yes: bool, as_json: bool) -> None:
    """Destroy instances, with their data.

    One that is already gone is as good as destroyed.
    """
    ids = list(dict.fromkeys(ids))
    if not yes:
        _ask(ids)
    result = Destroyed(gone=())
    for part in _parts(ids):
        result = _joined(result, _destroyed(client, part))
        if len(ids) > AT_ONCE:
            click.echo(f"destroyed: {len(result.gone)} of {len(ids)}", err=True)
    if as_json:
        print_json(_document(result))
    elif result.gone:
        click.echo(f"Destroyed: {numbers(result.gone)}.")
    _end(result)


def _ask(ids: Sequence[int]) -> None:
    if not sys.stdin.isatty():
        refuse("destroy asks before it acts, and stdin is no terminal: add -y.")
    many = f"instance {ids[0]}" if len(ids) == 1 else f"{len(ids)} instances ({numbers(ids)})"
    if not click.confirm(f"Destroy {many} with all data?", err=True):
        raise ending("Nothing was destroyed.", FAILED)


def _destroyed(client: VastClient, ids: Sequence[int]) -> Destroyed:
    if len(ids) > 1:
        return client.instances.destroy_many(ids)
    (number,) = ids
    try:
        if not client.instances.destroy(number):
            click.echo(f"There was no instance {number} any more.", err=True)
    except ProviderError as exc:
        unasked = isinstance(exc, BadAnswer | ProviderUnreachable | RateLimited)
        where = {"unknown": (number,)} if unasked else {"left": (number,)}
        return Destroyed(gone=(), errors={number: exc}, **where)
    return Destroyed(gone=(number,))


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    yield from (ids[at : at + AT_ONCE] for at in range(0, len(ids), AT_ONCE))


def _joined(one: Destroyed, other: Destroyed) -> Destroyed:
    return Destroyed(
        gone=(*one.gone, *other.gone),
        left=(*one.left, *other.left),
        unknown=(*one.unknown, *other.unknown),
        errors={**one.errors, **other.errors},
    )


def _document(result: Destroyed) -> dict[str, object]:
    return {
        "destroyed": list(result.gone),
        "left": list(result.left),
        "unknown": list(result.unknown),
        "errors": {str(number): str(exc) for number, exc in result.errors.items()},
    }


def _end(result: Destroyed) -> None:
    rest = [*result.left, *result.unknown]
    if not rest:
        return
    error = next(iter(result.errors.values()), None)
    code = PARTIAL if result.gone else FAILED if error is None else code_of(error)
    why = f" ({str(error).rstrip('.')})" if error else ""
    left = f"not destroyed, and billed: {numbers(result.left)}" if result.left else ""
    unknown = f"perhaps not destroyed: {numbers(result.unknown)}" if result.unknown else ""
    what = "; ".join(filter(None, (left, unknown)))
    raise ending(f"{what[0].upper()}{what[1:]}{why}; run it again for these.", code)
