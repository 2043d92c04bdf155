"""``vast-pyworker rent``: choose offers, say what they cost, rent them, tell what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.creating import LaunchRequest
from vast_pyworker.vastai.records import HOURS_PER_MONTH, Offer

from .choosing import Wanted, choose
from .connecting import connected
from .exits import refuse
from .rent_options import launch_request, rent_options
from .rent_report import finish, print_plan
from .renting import Renting, Terms
from .tables import AS_JSON


@click.command()
@click.argument("query", metavar="ID...|QUERY...", nargs=-1, required=True)
@rent_options
@AS_JSON
@connected
def rent(client: VastClient, query: Sequence[str], as_json: bool, **options: Any) -> None:
    """Rent an offer by its number, or the best by a query.

    ID is the number of an offer; QUERY is as in offers, and the first --count that match are
    rented, the cheapest first unless --order says otherwise.
    """
    request = launch_request(options)
    wanted = _wanted(query, options)
    hourly = hourly_of(request)
    offers = choose(client.offers, wanted, request, hourly)
    if options["dry_run"]:
        print_plan(offers[: wanted.count], hourly, request, as_json=as_json)
        return
    known = [each.id for each in client.instances.list(request.label)] if options["label"] else []
    terms = Terms(
        request=request,
        hourly=hourly,
        label_is_unique=not options["label"],
        max_usd_per_hour=options["max_price"],
        keep_stopped=options["keep_stopped"],
        settle_s=options["settle_s"],
    )
    renting = Renting(client.instances, terms, lambda said: click.echo(said, err=True), known)
    finish(renting.rent(offers, wanted.count), wanted.count, as_json=as_json)


def hourly_of(request: LaunchRequest) -> Callable[[Offer], float | None]:
    """What an offer costs an hour with the disk, at the bid where there is one."""
    bid = request.bid_usd_per_hour

    def hourly(offer: Offer) -> float | None:
        if bid is None:
            return offer.usd_per_hour
        if offer.storage_usd_per_gb_month is None:
            return None
        return bid + offer.storage_usd_per_gb_month * request.disk_gb / HOURS_PER_MONTH

    return hourly


def _wanted(query: Sequence[str], options: Mapping[str, Any]) -> Wanted:
    words = [word for each in query for word in each.split()]
    ids = tuple(dict.fromkeys(int(word) for word in words if word.isascii() and word.isdigit()))
    if ids and len(ids) != len(set(words)):
        refuse("Give numbers of offers or a query, not both.")
    if ids and options["count"] not in (None, len(ids)):
        refuse("Numbers of offers say how many; --count belongs to a query.")
    return Wanted(
        offer_ids=ids,
        words=tuple(query),
        count=len(ids) or options["count"] or 1,
        order=options["order"],
        defaults=not options["no_defaults"],
        max_usd_per_hour=options["max_price"],
    )
