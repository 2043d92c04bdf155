"""The two directives that the official SDK takes out of a query before reading it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from vast_pyworker.errors import QueryError

from .clauses import Clause, clauses
from .fields import REGIONS

_FIELD = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_WORD = re.compile(r"[a-zA-Z0-9_]+")
_OPERATORS = frozenset(("=", "in", "!=", ">", "<", ">=", "<="))
_DIRECTIVES = ("georegion", "chunked")
_AMONG = {"=": "in", "in": "in", "!=": "notin"}


class Expanded(NamedTuple):
    """The query without directives, and which of them it held."""

    georegion: bool
    chunked: bool
    query: str


def expand_regions(query: str, regions: Mapping[str, Sequence[str]] = REGIONS) -> Expanded:
    """Replace ``geolocation=EU georegion=true`` by the list of countries.

    As in the SDK this works where every clause is a field, one of ``= != > < >= <= in`` and a
    plain word; any other query is returned as it is. ``!=`` excludes the countries.
    """
    found = _plain(query)
    held = {(clause.field, clause.operator, clause.value) for clause in found}
    georegion, chunked = ((name, "=", "true") in held for name in _DIRECTIVES)
    if not georegion and not chunked:
        return Expanded(False, False, query)
    parts = [
        _expanded(clause, regions if georegion else {})
        for clause in found
        if clause.field not in _DIRECTIVES
    ]
    return Expanded(georegion, chunked, " ".join(parts))


def _plain(query: str) -> list[Clause]:
    """The clauses, or none where one is not of the plain kind."""
    try:
        found = list(clauses(query))
    except QueryError:
        return []  # parse_query says what is wrong
    return found if all(map(_is_plain, found)) else []


def _is_plain(clause: Clause) -> bool:
    return (
        clause.operator in _OPERATORS
        and bool(_FIELD.fullmatch(clause.field))
        and bool(_WORD.fullmatch(clause.value))
    )


def _expanded(clause: Clause, regions: Mapping[str, Sequence[str]]) -> str:
    countries = regions.get(clause.value)
    among = _AMONG.get(clause.operator)
    if clause.field == "geolocation" and countries and among:
        return f"geolocation {among} [{','.join(countries)}]"
    return f"{clause.field} {clause.operator} {clause.value}"
