"""The fields of endpoints and worker groups: their defaults, and what may stand in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from vast_pyworker.errors import QueryError
from vast_pyworker.market.refusal import invalid
from vast_pyworker.vastai.query import parse_query

Row = dict[str, Any]
STATES = ("active", "suspended", "stopped")
_LONGEST = 4096
_LARGEST = 1e12

# What an endpoint is made of, and what stands where nothing was said.
ENDPOINT: Row = {
    "min_load": 0.0,
    "min_cold_load": 0.0,
    "target_util": 0.9,
    "cold_mult": 2.5,
    "cold_workers": 5,
    "max_workers": 20,
    "max_queue_time": None,
    "target_queue_time": None,
    "inactivity_timeout": None,
    "endpoint_state": "active",
}
GROUP: Row = {
    "min_load": 0.0,
    "target_util": 0.9,
    "cold_mult": 2.5,
    "cold_workers": 5,
    "test_workers": 3,
    "template_hash": None,
    "template_id": None,
    "launch_args": None,
    "gpu_ram": None,
}
_WHOLE = frozenset(("cold_workers", "max_workers", "test_workers", "template_id"))
_TEXTS = frozenset(("endpoint_name", "endpoint_state", "template_hash", "launch_args"))


def given_in(body: Mapping[str, Any], names: Iterable[str]) -> Row:
    """What ``body`` says about ``names``, checked; null is nothing said."""
    return {name: _checked(name, body[name]) for name in names if body.get(name) is not None}


def _checked(name: str, value: Any) -> Any:
    if name in _TEXTS:
        return _text(name, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(f"{name} must be a number.")
    if not 0 <= value < _LARGEST:
        raise invalid(f"{name} must be between 0 and {_LARGEST:g}.")
    if name == "target_util" and value > 1:
        raise invalid("target_util must be at most 1.")
    if name in _WHOLE:
        if value != int(value):
            raise invalid(f"{name} must be an integer.")
        return int(value)
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise invalid(f"{name} must be text of at most {_LONGEST} characters.")
    if name == "endpoint_state" and value not in STATES:
        raise invalid(f"endpoint_state must be one of {', '.join(STATES)}.")
    return value


def query_of(search_params: object) -> Row | None:
    """The filters that the text of a group asks for; None where it says nothing."""
    if search_params is None or search_params == "":
        return None
    if not isinstance(search_params, str) or len(search_params) > _LONGEST:
        raise invalid(f"search_params must be text of at most {_LONGEST} characters.")
    try:
        query = dict(parse_query(search_params))
        json.dumps(query, allow_nan=False)  # "1e999" is read as an infinity, which no JSON holds
        return query
    except (QueryError, ValueError) as error:
        raise invalid(f"Invalid search_params: {error}") from error
