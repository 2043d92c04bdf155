"""What was charged and what was paid, read to the last page or not at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from . import values
from .http import Endpoint, Transport
from .reading import bad, rows_of

CHARGES = Endpoint("GET", "/charges/")
INVOICES = Endpoint("GET", "/invoices/", version=1)
PAGE = 100  # the most the API gives at once
MOST_PAGES = 1000


def charges(
    transport: Transport, since: float, until: float, kinds: Collection[str] = ()
) -> list[Mapping[str, Any]]:
    """Times are Unix seconds; ``kinds`` are of instance, volume, serverless; empty for all."""
    filters: dict[str, Any] = {"day": _between(since, until)}
    if kinds:
        filters["type"] = {"in": sorted(kinds)}
    return _every_page(transport, CHARGES, {"select_filters": filters, "format": "table"})


def invoices(transport: Transport, since: float, until: float) -> list[Mapping[str, Any]]:
    """Times are Unix seconds."""
    return _every_page(transport, INVOICES, {"select_filters": {"when": _between(since, until)}})


def _between(since: float, until: float) -> dict[str, int]:
    return {"gte": int(since), "lte": int(until)}


def _every_page(
    transport: Transport, endpoint: Endpoint, query: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    tokens: list[str] = []
    for _ in range(MOST_PAGES):
        after = {"after_token": tokens[-1]} if tokens else {}
        page = transport.call(endpoint, query={**query, "limit": PAGE, **after})
        found += rows_of(page, "results", endpoint)
        told = values.mapping(page)
        token = values.text(told.get("next_token"))
        if not token:
            _check_counted(told, len(found), endpoint)
            return found
        if token in tokens:
            break
        tokens.append(token)
    raise bad(endpoint, "no end of its pages")


def _check_counted(last: Mapping[str, Any], found: int, endpoint: Endpoint) -> None:
    """A ledger that lacks a page, or has one twice, is worse than none."""
    total = values.whole(last.get("total"))
    if total is not None and total != found:
        raise bad(endpoint, f"{found} rows where it counts {total}")
