"""The server's side of the query language: conditions on rows, and their order.

``{field: {op: value}}`` is checked as a whole first and then applied to any number of rows. It
knows columns and values, and nothing of where rows come from.

A row's null meets no condition but ``eq null`` and ``in [null]``; a flag's null counts as false.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from vast_pyworker.market.refusal import MarketRefusal
from vast_pyworker.market.supply.hardware import driver_number
from vast_pyworker.market.supply.places import country_code

from .columns import FLAG, NUMBER, PLACE, VERSION, Column, Columns

Row = Mapping[str, Any]
RowType = TypeVar("RowType", bound=Row)
Test = Callable[[Any], bool]
Value = float | str

NOT_A_QUERY = "Invalid query: must be dict of conditions"

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_WORDS = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True)
class Condition:
    """``test(row[column])`` says whether the row stays."""

    column: str
    test: Test


@dataclass(frozen=True)
class SortKey:
    """One column of an order."""

    column: str
    descending: bool


def check(filters: object, columns: Columns) -> tuple[Condition, ...]:
    """Conditions of ``{field: {op: value}}``.

    Numbers and flags may come as strings. MarketRefusal(400, "invalid_request") names the first
    thing that is no condition, no column of ``columns``, no operator or no fitting value.
    """
    if not isinstance(filters, dict):
        refuse(NOT_A_QUERY)
    return tuple(
        _condition(field, op, value, columns)
        for field, ops in filters.items()
        for op, value in _ops(ops).items()
    )


def matches(row: Row, conditions: Iterable[Condition]) -> bool:
    """Whether the row meets every condition."""
    for condition in conditions:  # noqa: SIM110 - all() over a generator takes twice as long
        if not condition.test(row.get(condition.column)):
            return False
    return True


def order(rows: Iterable[RowType], by: object, columns: Columns) -> list[RowType]:
    """Rows sorted by ``[[col, dir], ...]`` or ``[{"col": ..., "dir": ...}, ...]``.

    Stable; any ``dir`` but "desc" is ascending; nulls come last either way. MarketRefusal(400)
    for another shape or an unknown column.
    """
    return ordered(rows, sort_keys(by, columns), lambda row, column: row.get(column))


Item = TypeVar("Item")


def ordered(
    items: Iterable[Item], keys: Sequence[SortKey], read: Callable[[Item, str], Any]
) -> list[Item]:
    """Items sorted by ``keys``, where ``read(item, column)`` gives what is compared."""
    whole = list(items)
    for key in reversed(keys):
        known = [item for item in whole if read(item, key.column) is not None]
        unknown = [item for item in whole if read(item, key.column) is None]
        known.sort(key=lambda item: read(item, key.column), reverse=key.descending)
        whole = known + unknown
    return whole


def sort_keys(by: object, columns: Columns) -> tuple[SortKey, ...]:
    """The columns of an order, checked; none for null."""
    if by is None:
        return ()
    if not isinstance(by, list):
        refuse("Error in query parameters: order must be a list of [column, direction]")
    return tuple(_sort_key(entry, columns) for entry in by)


def number(value: object) -> float | None:
    """A finite number given as one, as a flag or as a string of either; None otherwise."""
    if isinstance(value, str):
        text = value.strip().lower()
        if text in _WORDS:
            return _WORDS[text]
        value = text if "_" not in text else ""
    if not isinstance(value, (int, float, str)):
        return None
    try:
        parsed = float(value)
    except (ValueError, OverflowError):
        return None
    return parsed if math.isfinite(parsed) else None


def refuse(msg: str) -> NoReturn:
    raise MarketRefusal(400, "invalid_request", msg)


def _ops(ops: object) -> dict[str, Any]:
    if not isinstance(ops, dict):
        refuse(NOT_A_QUERY)
    return ops


def _column(field: object, columns: Columns) -> Column:
    column = columns.get(field) if isinstance(field, str) else None
    if column is None:
        refuse(f"Error in query parameters: {_shown(field)} is not a valid search key")
    return column


def _condition(field: object, op: object, value: object, columns: Columns) -> Condition:
    column = _column(field, columns)
    if op in ("in", "notin"):
        return Condition(column.row, _membership(column, field, value, wanted=op == "in"))
    if not isinstance(op, str) or op not in _COMPARE:
        refuse(f"Error in query parameters: {_shown(op)} is not a valid operator")
    return Condition(column.row, _comparison(column, field, op, value))


def _comparison(column: Column, field: object, op: str, value: object) -> Test:
    if value is None and op in ("eq", "neq"):
        return lambda found: (found is None) == (op == "eq")
    wanted, compare = _value(column, field, value), _COMPARE[op]
    if column.kind == PLACE and op in ("eq", "neq"):
        return _place_test((wanted,), inside=op == "eq")
    if column.kind == FLAG:
        return lambda found: compare(_flag(column, found), wanted)
    return lambda found: found is not None and compare(found, wanted)


def _membership(column: Column, field: object, values: object, *, wanted: bool) -> Test:
    if not isinstance(values, list):
        refuse(f"Error in query parameters: {_shown(field)} needs a list of values")
    known = {_value(column, field, value) for value in values if value is not None}
    null_listed = None in values
    if column.kind == PLACE:
        return _place_test(known, inside=wanted)
    if column.kind == FLAG:
        return lambda found: (_flag(column, found) in known) == wanted
    if wanted:
        return lambda found: null_listed if found is None else found in known
    return lambda found: found is not None and found not in known


def _place_test(wanted: Iterable[Value], *, inside: bool) -> Test:
    """A place is meant by its whole text or by its country's code, in any case."""
    texts = {str(text).upper() for text in wanted}

    def test(found: Any) -> bool:
        if found is None:
            return False
        return (found.upper() in texts or country_code(found).upper() in texts) == inside

    return test


def _flag(column: Column, found: Any) -> bool:
    return bool(found) if column.true_at is None else found == column.true_at


def _value(column: Column, field: object, value: object) -> Value:
    """What the column compares with; MarketRefusal for what it cannot be compared with."""
    parsed: Value | None
    if column.kind in (NUMBER, FLAG):
        parsed = number(value)
        parsed = None if parsed is None else parsed * column.factor
    elif column.kind == VERSION:
        parsed = _version(value)
    else:
        parsed = _text(value)
    if parsed is None:
        refuse(f"Error in query parameters: {_shown(field)} has an invalid value")
    return parsed


def _version(value: object) -> float | None:
    """A driver's number, given as one or as 535.86.05."""
    if isinstance(value, str) and value.count(".") in (1, 2):
        try:
            return driver_number(value)
        except ValueError:
            return None
    return number(value)


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return str(value) if isinstance(value, (int, float)) else None
    except ValueError:  # more digits than Python turns into text
        return None


def _sort_key(entry: object, columns: Columns) -> SortKey:
    if isinstance(entry, dict):
        entry = [entry.get("col"), entry.get("dir", "asc")]
    if not isinstance(entry, list) or len(entry) != 2:
        refuse("Error in query parameters: order must be a list of [column, direction]")
    field, direction = entry
    return SortKey(_column(field, columns).row, direction == "desc")


def _shown(name: object) -> str:
    """A name as an error shows it: short, whatever was sent."""
    return name[:64] if isinstance(name, str) else type(name).__name__
