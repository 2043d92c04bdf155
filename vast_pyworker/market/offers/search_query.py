"""Reads the body of a search: filters, and the keys that stand beside them.

Checks everything before anything is searched, and knows no offers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .columns import OFFER_COLUMNS
from .filters import NOT_A_QUERY, Condition, SortKey, check, number, refuse, sort_keys
from .offer_rows import BID, ON_DEMAND, RESERVED

DEFAULT_LIMIT = 64
LARGEST_LIMIT = 10_000
DEFAULT_DISK_GB = 8.0
"""Offers returned where no limit is given, the most that are, and the disk that is priced."""

KINDS = {
    "on-demand": ON_DEMAND,
    "ondemand": ON_DEMAND,
    "ask": ON_DEMAND,
    "bid": BID,
    "interruptible": BID,
    "reserved": RESERVED,
}
_CONTROLS = frozenset(
    {
        "order",
        "type",
        "limit",
        "select_cols",
        "disable_bundling",
        "extra_ids",
        "gpu_option",
        "show_incompatible",
        "sort_option",
        "template_id",
        "template_hash_id",
        "client_id",
        "owner",
        "api_key",
    }
)
_AMOUNTS = ("allocated_storage", "target_reliability")


@dataclass(frozen=True)
class Query:
    """A search, read and checked. ``select`` is None for all columns."""

    conditions: tuple[Condition, ...]
    order: tuple[SortKey, ...]
    kind: str
    limit: int
    disk_gb: float
    bundling: bool
    select: tuple[str, ...] | None


def read_query(body: object) -> Query:
    """Checks a whole search; MarketRefusal as ``search``."""
    body, select = _unwrap(body)
    filters = {name: value for name, value in body.items() if name not in _CONTROLS}
    amounts = {name: _amount(name, filters.pop(name, None)) for name in _AMOUNTS}
    needed = {name: {"gte": least} for name, least in amounts.items() if least is not None}
    disk_gb = amounts["allocated_storage"]
    return Query(
        conditions=check(filters, OFFER_COLUMNS) + check(needed, OFFER_COLUMNS),
        order=sort_keys(body.get("order"), OFFER_COLUMNS),
        kind=_kind(body.get("type")),
        limit=_limit(body.get("limit")),
        disk_gb=DEFAULT_DISK_GB if disk_gb is None else disk_gb,
        bundling=not body.get("disable_bundling"),
        select=_select(select),
    )


def _unwrap(body: object) -> tuple[dict[str, Any], object]:
    if not isinstance(body, dict):
        refuse(NOT_A_QUERY)
    if "q" not in body:
        return body, body.get("select_cols")
    query = body["q"]
    if not isinstance(query, dict):
        refuse(NOT_A_QUERY)
    return query, body.get("select_cols", query.get("select_cols"))


def _amount(name: str, value: object) -> float | None:
    """A bare number, or the one value of a condition."""
    if isinstance(value, dict) and len(value) == 1:
        (value,) = value.values()
    if value is None:
        return None
    amount = number(value)
    if amount is None or amount < 0:
        refuse(f"Error in query parameters: {name} has an invalid value")
    return amount


def _kind(value: object) -> str:
    if value is None:
        return ON_DEMAND
    if not isinstance(value, str) or value not in KINDS:
        refuse("Error in query parameters: type must be on-demand, bid or reserved")
    return KINDS[value]


def _limit(value: object) -> int:
    limit = number(value) if value is not None and not isinstance(value, bool) else 0.0
    if limit is None:
        refuse("Error in query parameters: limit has an invalid value")
    return min(int(limit), LARGEST_LIMIT) if limit >= 1 else DEFAULT_LIMIT


def _select(names: object) -> tuple[str, ...] | None:
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        refuse("Error in query parameters: select_cols must be a list of names")
    return None if not names or "*" in names else tuple(names)
