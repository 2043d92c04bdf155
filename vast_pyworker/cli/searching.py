"""How ``offers`` and ``rent`` ask for offers: the words of a query into filters."""

from __future__ import annotations

from collections.abc import Sequence

import click

from vast_pyworker.vastai.offers import Kind, filters_in
from vast_pyworker.vastai.query import DEFAULTS, Filters, unknown_fields

KINDS: dict[str, Kind] = {
    "on-demand": "on-demand",
    "interruptible": "bid",
    "bid": "bid",
    "reserved": "reserved",
}


def filters_of(words: Sequence[str], *, defaults: bool) -> Filters:
    """Raises QueryError. Fields that nobody knows are sent all the same, with a warning."""
    filters = dict(filters_in(" ".join(words), DEFAULTS if defaults else {}))
    for name in sorted(unknown_fields(filters)):
        click.echo(f"Warning: {name!r} is no field that offers are known to have.", err=True)
    return filters
