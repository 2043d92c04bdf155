"""What can be rented. Searches; does not choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from vast_pyworker.errors import InvalidRequest

from .http import Endpoint, Transport
from .query import DEFAULTS, Filters, parse_order, parse_query
from .reading import bad
from .records import Offer
from .regions import expand_regions

SEARCH = Endpoint("POST", "/bundles/")
Kind = Literal["on-demand", "bid", "interruptible", "reserved"]
_KINDS = {
    "on-demand": "on-demand",
    "ondemand": "on-demand",
    "bid": "bid",
    "interruptible": "bid",
    "reserved": "reserved",
}
Query = str | Sequence[str] | Mapping[str, Mapping[str, Any]]


class Offers:
    """The market as it is now: an offer may be gone in the next moment."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def search(
        self,
        query: Query | None = None,
        *,
        order: str | Sequence[Sequence[str]] = "score-",
        kind: Kind = "on-demand",
        limit: int | None = None,
        disk_gb: float = 5.0,
        defaults: bool = True,
    ) -> list[Offer]:
        """Those that match, best first. ``[]`` says that there are none, never that it failed.

        ``query`` is text (``gpu_name=RTX_4090 dph<0.5``, see ``query.parse_query``; also
        ``geolocation=EU georegion=true``) or the filters themselves. ``defaults`` adds verified,
        rentable and not external for fields the query does not speak of. ``usd_per_hour`` of the
        results is with ``disk_gb``. Without ``limit`` the provider gives a small number that it
        does not document. Raises QueryError for a text that cannot be read, BadAnswer for an
        answer without offers.
        """
        body = search_body(query, order, kind, limit, disk_gb, defaults)
        answer = self._transport.call(SEARCH, json=body, effect="read")
        rows = answer.get("offers") if isinstance(answer, dict) else None
        if not isinstance(rows, list):
            raise bad(SEARCH, "no list of offers")
        offers = [Offer.of(row) if isinstance(row, dict) else None for row in rows]
        found = {each.id: each for each in offers if each is not None}
        if rows and not found:
            raise bad(SEARCH, "no offer with an id")
        return list(found.values())


def search_body(
    query: Query | None,
    order: str | Sequence[Sequence[str]],
    kind: str,
    limit: int | None,
    disk_gb: float,
    defaults: bool,
) -> dict[str, Any]:
    """What is sent. A wildcard in a text (``verified=any``) also takes a default away."""
    if kind not in _KINDS:
        raise InvalidRequest(f"{kind!r} is no kind of offer; choose on-demand, bid or reserved.")
    base = DEFAULTS if defaults else {}
    if isinstance(query, Mapping):
        filters = {**{field: dict(base[field]) for field in base}, **query}
    else:
        filters = dict(filters_in(query, base))
    control: dict[str, Any] = {"order": parse_order(order), "type": _KINDS[kind]}
    control["allocated_storage"] = disk_gb
    return {**filters, **control} if limit is None else {**filters, **control, "limit": limit}


def filters_in(
    query: str | Sequence[str] | None, base: Mapping[str, Mapping[str, Any]] | None = None
) -> Filters:
    """What a text asks for, over ``base``; a region named by ``georegion=true`` as its countries.
    Raises QueryError."""
    return parse_query(_with_countries(query), base)


def _with_countries(query: str | Sequence[str] | None) -> str | Sequence[str] | None:
    """A text with ``georegion=true`` has its region's countries; ``chunked``, which would have
    the rows rounded here, is left for the server to refuse."""
    if not isinstance(query, str):
        return query
    expanded = expand_regions(query)
    return expanded.query if expanded.georegion and not expanded.chunked else query
