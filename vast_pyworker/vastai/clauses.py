"""Divide a query into clauses: a field, an operator, a value, and where each stands.

The language is that of the official client 1.9.1: clauses stand side by side and all must hold;
there are no parentheses and no ``and``. What a clause means is in ``query``.
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import dataclass

from vast_pyworker.errors import QueryError

_NAME = frozenset(string.ascii_letters + string.digits + "_")
_SYMBOL = frozenset("=><!")

SYMBOLS = {">=": "gte", ">": "gt", "<=": "lte", "<": "lt", "!=": "neq", "==": "eq", "=": "eq"}

# Each needs a space on both sides. The longer of two that begin alike comes first.
WORDS = {
    "lte": "lte",
    "lt": "lt",
    "gte": "gte",
    "gt": "gt",
    "nin": "notin",
    "neq": "neq",
    "eq": "eq",
    "not eq": "neq",
    "noteq": "neq",
    "not in": "notin",
    "notin": "notin",
    "in": "in",
}
OPERATORS = {**SYMBOLS, **WORDS}
_SHOWN = 80  # characters of a token in an error
OFFERED = "= != > >= < <= in notin"


@dataclass(frozen=True)
class Clause:
    """One clause as written. Columns count from 1 in the whole text; ``value`` may be empty."""

    field: str
    operator: str
    value: str
    column: int
    operator_column: int
    value_column: int


def clauses(text: str) -> Iterator[Clause]:
    """The clauses of ``text`` from left to right; QueryError at the first thing that is none.

    The operator is "" where there is none, and may be a run of symbols that is no operator:
    the reader of the clause says so.
    """
    end = len(text.rstrip())
    at = len(text) - len(text.lstrip())
    while at < end:
        clause, at = _clause(text, at, end)
        yield clause


def _clause(text: str, start: int, end: int) -> tuple[Clause, int]:
    name_end = _run(text, start, end, _NAME)
    if name_end == start:
        raise _no_field(text, start)
    operator, after = _operator(text, name_end, end)
    value_start = _spaces(text, after, end)
    value_end = _value_end(text, value_start, end)
    clause = Clause(
        field=text[start:name_end],
        operator=operator,
        value=text[value_start:value_end],
        column=start + 1,
        operator_column=_spaces(text, name_end, end) + 1,
        value_column=value_start + 1,
    )
    return clause, _spaces(text, value_end, end)


def _operator(text: str, start: int, end: int) -> tuple[str, int]:
    """The operator after a field, and where it ends; "" and ``start`` where there is none."""
    begin = _spaces(text, start, end)
    symbols_end = _run(text, begin, end, _SYMBOL)
    if symbols_end > begin:
        return text[begin:symbols_end], symbols_end
    if begin > start:
        for word in WORDS:
            if text.startswith(f"{word} ", begin, end):
                return word, begin + len(word) + 1
    return "", start


def _value_end(text: str, start: int, end: int) -> int:
    """A list in brackets, a text in double quotes, or all up to the next space."""
    closing = {"[": "]", '"': '"'}.get(text[start : start + 1])
    if closing is not None:
        closed = text.find(closing, start + 1, end)
        if closed > start + 1:
            return closed + 1
    space = text.find(" ", start, end)
    return end if space < 0 else space


def _spaces(text: str, at: int, end: int) -> int:
    return _run(text, at, end, frozenset(" "))


def _run(text: str, at: int, end: int, of: frozenset[str]) -> int:
    while at < end and text[at] in of:
        at += 1
    return at


def fault(column: int, token: str, sentence: str) -> QueryError:
    """The error that names ``token`` and its column; ``sentence`` goes on from there."""
    shown = token if len(token) <= _SHOWN else f"{token[:_SHOWN]}..."
    return QueryError(f"{shown!r} at column {column} {sentence}", token=token, column=column)


def _no_field(text: str, at: int) -> QueryError:
    remedy = {
        "(": "Clauses stand side by side without parentheses.",
        '"': 'A quoted value follows an operator, as in gpu_name="RTX 4090".',
        "'": "Quote values with double quotes.",
    }.get(text[at], "Write clauses as field, operator, value: num_gpus>=2.")
    token = text[at:].split(" ", 1)[0]
    return fault(at + 1, token, f"does not begin with a field name. {remedy}")
