"""Write filters as the query that reads as them. Pure; the opposite of ``parse_query``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from vast_pyworker.errors import QueryError

from .fields import OFFER_MULTIPLIERS

_SIGNS = {"eq": "=", "neq": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_LISTS = ("in", "notin")
_FIELD = re.compile(r"[a-zA-Z0-9_]+")
_ULPS = 3  # how far a division and a multiplication can be from the number they began with


def unparse_query(
    filters: Mapping[str, Mapping[str, Any]],
    *,
    multipliers: Mapping[str, float] = OFFER_MULTIPLIERS,
) -> str:
    """The query for ``filters``: what ``parse_query`` made comes back equal.

    What others made comes back as the language has it: numbers as text, underscores as spaces,
    a text ``true`` as the constant. Raises QueryError for what the language cannot say.
    """
    return " ".join(
        _clause(field, operator, value, multipliers.get(field))
        for field, conditions in filters.items()
        for operator, value in _conditions(field, conditions).items()
    )


def _conditions(field: str, conditions: object) -> Mapping[str, Any]:
    if not isinstance(conditions, Mapping):
        raise QueryError(f"The filter on {field!r} is not an object of operators.", token=field)
    if not _FIELD.fullmatch(field):
        raise QueryError(f"{field!r} cannot be a field in a query.", token=field)
    return conditions


def _clause(field: str, operator: str, value: Any, multiplier: float | None) -> str:
    if operator in _LISTS and isinstance(value, (list, tuple)) and value and multiplier is None:
        return f"{field} {operator} {_list(field, [str(each) for each in value])}"
    if operator in _SIGNS and not isinstance(value, (list, tuple, Mapping)):
        return f"{field}{_SIGNS[operator]}{_scalar(field, value, multiplier)}"
    raise QueryError(
        f"A query cannot say {operator} {value!r} of {field}. Send the filter as an object.",
        token=field,
    )


def _scalar(field: str, value: Any, multiplier: float | None) -> str:
    if multiplier is not None:
        return _divided(field, value, multiplier)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if field == "driver_version" and isinstance(value, int):
        return _dotted(value)
    return _text(field, str(value))


def _divided(field: str, value: Any, multiplier: float) -> str:
    """The number that gives ``value`` when multiplied, to the nearest there is."""
    wanted = _number(field, value)
    low = high = wanted / multiplier
    candidates = [low]
    for _ in range(_ULPS):
        low, high = math.nextafter(low, -math.inf), math.nextafter(high, math.inf)
        candidates += [low, high]
    nearest = min(candidates, key=lambda each: abs(each * multiplier - wanted))
    return repr(nearest).removesuffix(".0")


def _number(field: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise QueryError(f"{value!r} is not a number, which {field} is.", token=field)
    return number


def _dotted(version: int) -> str:
    whole = abs(version)
    sign = "-" if version < 0 else ""
    return f"{sign}{whole // 1_000_000}.{whole // 1000 % 1000}.{whole % 1000}"


def _text(field: str, value: str) -> str:
    word = _word(field, value)
    if not _needs_quotes(word):
        return word
    # Two quotes in a row begin a value that goes on to the next space, whatever it holds.
    return f'""{word}"' if '"' in word else f'"{word}"'


def _list(field: str, values: list[str]) -> str:
    words = [_word(field, value) for value in values]
    if any("," in word for word in words):
        raise QueryError(f"A value with a comma cannot stand in the list of {field}.", token=field)
    quoted = [f'"{word}"' if _needs_quotes(word) else word for word in words]
    inside = ",".join(quoted)
    # A bracket inside would close the list; a comma in front keeps it together without any.
    return f",{inside}" if "]" in inside else f"[{inside}]"


def _word(field: str, value: str) -> str:
    if value.startswith('"') or value.endswith('"'):
        raise QueryError(f"{value!r} of {field} has a quote at its edge.", token=field)
    return value.replace(" ", "_")


def _needs_quotes(word: str) -> bool:
    return (
        word in ("", "any", "?", "*")
        or word != word.strip()
        or word[0] in ",[]=><!"
        or word[-1] in ",[]"
    )
