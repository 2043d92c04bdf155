"""The same done to many instances, told one by one, with an exit code for the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from vast_pyworker.errors import AuthError, ProviderError, ProviderUnreachable, RateLimited

from .exits import PARTIAL, code_of, ending
from .tables import print_json

# After these the next one would fare no better.
HOPELESS = (AuthError, ProviderUnreachable, RateLimited)
MANY = 10


def do_to_each(ids: Sequence[int], act: Callable[[int], str], *, as_json: bool, verb: str) -> None:
    """``act`` returns what is told of an instance, or raises ProviderError; the rest is done."""
    ids = list(dict.fromkeys(ids))
    done: dict[int, str] = {}
    failed: dict[int, ProviderError] = {}
    for number in ids:
        try:
            done[number] = act(number)
        except ProviderError as exc:
            failed[number] = exc
            if isinstance(exc, HOPELESS):
                break
        if not as_json and number in done:
            click.echo(f"Instance {number}: {done[number]}")
        progress(len(done) + len(failed), len(ids), verb)
    untried = [number for number in ids if number not in done and number not in failed]
    if as_json:
        print_json(_document(done, failed, untried))
    _end(done, failed, untried, verb)


def progress(done: int, total: int, verb: str) -> None:
    """A line on stderr now and then where there are many."""
    if total >= MANY and done % MANY == 0:
        click.echo(f"{verb}: {done} of {total}", err=True)


def numbers(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids))


def _document(
    done: dict[int, str], failed: dict[int, ProviderError], untried: list[int]
) -> dict[str, Any]:
    return {
        "done": list(done),
        "failed": [{"id": number, "error": str(exc)} for number, exc in failed.items()],
        "not_tried": untried,
    }


def _end(
    done: dict[int, str], failed: dict[int, ProviderError], untried: list[int], verb: str
) -> None:
    if not failed:
        return
    last = list(failed.values())[-1]
    left = [*failed, *untried]
    if not done and len(left) == 1:
        raise ending(str(last), code_of(last)) from last
    for number, exc in failed.items():
        click.echo(f"Instance {number}: {exc}", err=True)
    code = PARTIAL if done else code_of(last)
    raise ending(f"{verb} left {len(left)} as they were: {numbers(left)}.", code) from last
