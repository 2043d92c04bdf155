"""The offer query language, as the official client 1.9.1 understands it. Pure.

``parse_query`` reads text into the filters that are sent, ``unparse_query`` writes them again,
``parse_order`` reads an order. What the official parser crashes on is a ``QueryError`` here:
a list for a field with a unit (``gpu_ram in [24,48]``), a dotted ``driver_version`` in a list.
So is a number that JSON cannot carry. Nothing is asked of any server, which has the last word on
a field: see ``unknown_fields``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from vast_pyworker.errors import QueryError

from .clauses import OFFERED, OPERATORS, Clause, clauses, fault
from .fields import OFFER_ALIASES, OFFER_FIELDS, OFFER_MULTIPLIERS
from .ordering import parse_order
from .unparsing import unparse_query

__all__ = [
    "DEFAULTS",
    "Filters",
    "numeric_version",
    "parse_order",
    "parse_query",
    "unknown_fields",
    "unparse_query",
]

Filters = dict[str, dict[str, Any]]

# What a search holds unless told otherwise; ``verified=any`` takes one away.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "verified": {"eq": True},
    "external": {"eq": False},
    "rentable": {"eq": True},
}

_WILDCARDS = ("?", "*", "any")
_CONSTANTS = {
    "true": True,
    "True": True,
    "false": False,
    "False": False,
    "None": None,
    "null": None,
}


def parse_query(
    query: str | Sequence[str] | None,
    base: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    aliases: Mapping[str, str] = OFFER_ALIASES,
    multipliers: Mapping[str, float] = OFFER_MULTIPLIERS,
) -> Filters:
    """The filters that ``query`` asks for, on top of ``base``, which is left as it is.

    ``{"gpu_ram": {"gte": 24000.0}, "gpu_name": {"in": ["RTX 4090"]}}``: values are text but for
    ``true``, ``false``, ``null``, fields with a unit (float) and a dotted ``driver_version``
    (int). A list of words is joined with spaces; None is no query. Raises QueryError.
    """
    filters = {field: dict(conditions) for field, conditions in (base or {}).items()}
    for clause in clauses(_text_of(query)):
        field = aliases.get(clause.field, clause.field)
        if field != clause.field and clause.field in filters:
            filters[field] = filters.pop(clause.field)
        operator, value = _operator(clause), _value(clause, field)
        if isinstance(value, str) and value in _WILDCARDS:
            _refuse_unless_equals(clause, operator)
            filters.pop(field, None)
        else:
            read = _read(clause, value, multipliers.get(field))
            filters.setdefault(field, {})[operator] = read
    return filters


def unknown_fields(
    filters: Mapping[str, object], fields: Collection[str] = OFFER_FIELDS
) -> list[str]:
    """The fields of ``filters`` that are not known here, sorted; they are sent all the same."""
    return sorted(set(filters) - set(fields))


def numeric_version(text: str) -> int | None:
    """``535.86.05`` as 535086005; None where it is not three numbers."""
    parts = text.split(".")
    if len(parts) != 3:
        return None
    try:
        return int("".join(part.zfill(3) for part in parts))
    except ValueError:
        return None


def _text_of(query: object) -> str:
    if query is None:
        return ""
    if isinstance(query, str):
        return query
    if isinstance(query, Sequence) and all(isinstance(word, str) for word in query):
        return " ".join(query)
    raise QueryError(f"A query is text or a list of words, not {type(query).__name__}.")


def _operator(clause: Clause) -> str:
    name = OPERATORS.get(clause.operator)
    if name is not None:
        return name
    if clause.operator:
        raise fault(clause.operator_column, clause.operator, f"is no operator. Use {OFFERED}.")
    if clause.value.startswith("'"):
        raise fault(clause.value_column, clause.value, "is a single quote. Use double quotes.")
    if clause.value and not clause.value[0].isalnum():
        raise fault(clause.value_column, clause.value, f"is no operator. Use {OFFERED}.")
    if clause.value.lower() in OPERATORS:
        remedy = "Operators are lower case, with a space on both sides."
        raise fault(clause.value_column, clause.value, f"is not read as an operator. {remedy}")
    raise fault(
        clause.column,
        clause.field,
        'has no operator behind it. Put a value that holds spaces in double quotes ("RTX 4090") or '
        "use underscores (RTX_4090); clauses stand side by side, without 'and'.",
    )


def _value(clause: Clause, field: str) -> str | int | list[str]:
    """The value before quotes, underscores and constants are read; never empty."""
    text = clause.value.strip(",[]")
    value: str | int | list[str] | None = text
    is_list = OPERATORS[clause.operator] in ("in", "notin")
    if field == "driver_version" and "." in text:
        value = _driver_version(clause, text, is_list)
    elif is_list:
        value = [word for each in text.split(",") if (word := each.strip())]
    if not value:
        raise _no_value(clause)
    return value


def _no_value(clause: Clause) -> QueryError:
    if clause.value:
        return fault(clause.value_column, clause.value, f"is no value for {clause.field}.")
    example = 'A value stands behind it, as in gpu_name="RTX 4090".'
    return fault(clause.operator_column, clause.operator, f"has no value behind it. {example}")


def _driver_version(clause: Clause, text: str, is_list: bool) -> int:
    if is_list:
        remedy = "Write each as one number: 535.86.05 is 535086005."
        raise fault(clause.value_column, clause.value, f"lists dotted driver versions. {remedy}")
    number = numeric_version(text)
    if number is None:
        raise fault(clause.value_column, clause.value, "is no driver version such as 535.86.05.")
    return number


def _refuse_unless_equals(clause: Clause, operator: str) -> None:
    if operator != "eq":
        remedy = f"A wildcard takes =, as in {clause.field}=any."
        raise fault(
            clause.operator_column, clause.operator, f"cannot be met by any value. {remedy}"
        )


def _read(clause: Clause, value: str | int | list[str], multiplier: float | None) -> Any:
    if isinstance(value, list):
        if multiplier is not None:
            raise fault(
                clause.value_column,
                clause.value,
                f"is a list, and {clause.field} is a number with a unit. Use >= and <= instead.",
            )
        return [_unquoted(word) for word in value]
    text = _unquoted(value) if isinstance(value, str) else value
    if multiplier is not None:
        return _number(clause, text, multiplier)
    return _CONSTANTS.get(text, text) if isinstance(text, str) else text


def _unquoted(text: str) -> str:
    return text.replace("_", " ").strip('"')


def _number(clause: Clause, text: str | int, multiplier: float) -> float:
    try:
        number = float(text) * multiplier
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise fault(clause.value_column, clause.value, f"is not a number, which {clause.field} is.")
    return number
