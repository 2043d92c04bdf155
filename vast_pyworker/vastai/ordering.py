"""Read the order of a search: ``dph_total,score-``. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vast_pyworker.errors import QueryError

from .fields import OFFER_ALIASES


def parse_order(
    order: str | Sequence[Sequence[str]] | None, aliases: Mapping[str, str] = OFFER_ALIASES
) -> list[list[str]]:
    """``[[field, "asc" | "desc"], ...]`` from a comma list; what is a list already stays.

    A ``-`` before or after a field is descending, a ``+`` or nothing ascending. Raises QueryError
    for a sign without a field and for two different signs, which the official client misreads.
    """
    if order is None:
        return []
    if not isinstance(order, str):
        return [list(pair) for pair in order]
    column = 1
    pairs = []
    for part in order.split(","):
        if part.strip():
            pairs.append(_pair(part, column + len(part) - len(part.lstrip()), aliases))
        column += len(part) + 1
    return pairs


def _pair(part: str, column: int, aliases: Mapping[str, str]) -> list[str]:
    word = part.strip()
    field = word.strip("+-")
    signs = set(word.replace(field, "", 1)) if field else set()
    if not field or len(signs) > 1:
        raise QueryError(
            f"{word!r} at column {column} is no order. Write a field, with - behind it for the "
            "largest first: score-.",
            token=word,
            column=column,
        )
    return [aliases.get(field, field), "desc" if signs == {"-"} else "asc"]
