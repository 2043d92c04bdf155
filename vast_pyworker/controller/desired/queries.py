"""The offer query of a group: in Vast's language, with fields that exist. Nothing is asked."""

from __future__ import annotations

from vast_pyworker.errors import QueryError
from vast_pyworker.vastai.fields import OFFER_ALIASES, OFFER_FIELDS
from vast_pyworker.vastai.offers import filters_in
from vast_pyworker.vastai.query import unknown_fields, unparse_query

from .faults import nearest
from .kinds import Amiss, Kind, read_text


def read_query(value: object) -> str:
    """The query as it was written. A field that is not known here is most likely misspelt, and
    would be left out of the search in silence."""
    text = read_text(value)
    try:
        unknown = unknown_fields(filters_in(text))
    except QueryError as exc:
        raise Amiss(str(exc)) from exc
    if unknown:
        raise Amiss(" ".join(_unknown(field) for field in unknown))
    return text


def with_condition(query: str, field: str, operator: str, value: object) -> str:
    """``query`` with all that it says of ``field`` replaced; ``value`` in the unit that is sent.

    Raises QueryError.
    """
    others = {name: each for name, each in filters_in(query).items() if name != field}
    return unparse_query({**others, field: {operator: value}})


def _unknown(field: str) -> str:
    near = nearest(field, [*OFFER_FIELDS, *OFFER_ALIASES])
    remedy = f"do you mean {near}?" if near else f"there are {', '.join(sorted(OFFER_FIELDS))}."
    return f"offers have no field {field}; {remedy}"


QUERY = Kind("offer query", 'clauses such as "num_gpus=1 gpu_ram>=24"', read_query)
