"""Which offers ``rent`` is to try, in which order: searched for, and looked at once more here.

The service's word on a filter is not taken for granted: an offer without the disk, or dearer than
allowed, is left out even if it was in the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vast_pyworker.vastai.creating import LaunchRequest
from vast_pyworker.vastai.offers import Offers
from vast_pyworker.vastai.query import Filters
from vast_pyworker.vastai.records import Offer

from .exits import FAILED, ending
from .searching import filters_of

# Some are taken by others before we come to them.
SPARE = 10

Hourly = Callable[[Offer], "float | None"]


@dataclass(frozen=True)
class Wanted:
    """Offers by number, or by the words of a query; ``count`` of them."""

    offer_ids: tuple[int, ...]
    words: tuple[str, ...]
    count: int
    order: str = "dph_total"
    defaults: bool = True
    max_usd_per_hour: float | None = None


def choose(offers: Offers, wanted: Wanted, request: LaunchRequest, hourly: Hourly) -> list[Offer]:
    """At least one, in the order to try them; ends the command where there is none that fits."""
    found = _found(offers, wanted, request)
    if wanted.offer_ids:
        return _those_named(wanted, found, request, hourly)
    fitting = [each for each in found if not misfit(each, wanted, request, hourly)]
    if not fitting:
        raise ending("No offer fits; nothing was rented. Ask for less, or allow more.", FAILED)
    return fitting


def misfit(offer: Offer, wanted: Wanted, request: LaunchRequest, hourly: Hourly) -> str:
    """Why an offer is not taken; empty for one that is."""
    price, most = hourly(offer), wanted.max_usd_per_hour
    if most is not None and (price is None or price > most):
        shown = "an unknown price" if price is None else f"{price:.4f} $/h"
        return f"costs {shown} with its disk, and {most:.4f} is the most allowed"
    if offer.disk_space_gb is not None and offer.disk_space_gb < request.disk_gb:
        return f"has {offer.disk_space_gb:g} GB of disk, and {request.disk_gb:g} are asked for"
    bid, least = request.bid_usd_per_hour, offer.min_bid_usd_per_hour
    if bid is not None and least is not None and bid < least:
        return f"takes no bid below {least:.4f} $/h, and {bid:.4f} is bid"
    return "is not free" if offer.rentable is False else ""


def _found(offers: Offers, wanted: Wanted, request: LaunchRequest) -> list[Offer]:
    filters: Filters
    if wanted.offer_ids:
        filters = {"id": {"in": list(wanted.offer_ids)}}
    else:
        filters = filters_of(wanted.words, defaults=wanted.defaults)
        if wanted.max_usd_per_hour is not None and request.bid_usd_per_hour is None:
            filters.setdefault("dph_total", {}).setdefault("lte", wanted.max_usd_per_hour)
    return offers.search(
        filters,
        order=wanted.order,
        kind="on-demand" if request.bid_usd_per_hour is None else "bid",
        limit=len(wanted.offer_ids) or wanted.count + SPARE,
        disk_gb=request.disk_gb,
        defaults=False,
    )


def _those_named(
    wanted: Wanted, found: list[Offer], request: LaunchRequest, hourly: Hourly
) -> list[Offer]:
    """Offers named by their numbers are all there and all fit, or nothing is begun."""
    there = {each.id: each for each in found}
    for number in wanted.offer_ids:
        if number not in there:
            raise ending(f"There is no offer {number}, or no longer; nothing was rented.", FAILED)
        why = misfit(there[number], wanted, request, hourly)
        if why:
            raise ending(f"Offer {number} {why}; nothing was rented.", FAILED)
    return [there[number] for number in wanted.offer_ids]
