"""Answers a search of offers: filters, order, limit and columns over the whole market.

Slots of one machine that are alike share a row unless the search disables bundling. Conditions
are met as early as they can be: per machine, then per number of GPUs, then per moment and slot.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple, Protocol

from vast_pyworker.market.supply.machines import EMPTY, Ask, Machine, Occupancy, is_rented, min_bid

from .catalogue import Catalogue
from .filters import Condition, matches, ordered
from .offer_rows import Listing, Size, Terms, cost_blocks, moment_fields, slot_fields
from .search_query import Query, read_query


class World(Protocol):
    """What a search reads. ``occupied`` is by machine id and may leave out idle machines;
    ``offline`` holds machine ids, ``withdrawn`` ask ids: neither is found by any search."""

    @property
    def catalogue(self) -> Catalogue: ...
    @property
    def occupied(self) -> Mapping[int, Occupancy]: ...
    @property
    def offline(self) -> Collection[int]: ...
    @property
    def withdrawn(self) -> Collection[int]: ...


class Found(NamedTuple):
    """A row in its parts, not yet written out."""

    listed: Listing
    size: Size
    moment: dict[str, Any]
    slot: dict[str, Any]

    def value(self, column: str) -> Any:
        for part in (self.moment, self.size.fields, self.listed.fields, self.slot):
            if column in part:
                return part[column]
        return None

    def row(self, place: int) -> dict[str, Any]:
        """``place`` counts the rows of the answer from 1."""
        return {
            **self.slot,
            **self.listed.fields,
            **self.size.fields,
            **self.moment,
            **cost_blocks(self.moment),
            "rn": place,
        }


def search(world: World, body: object, now: float) -> list[dict[str, Any]]:
    """Offer rows for the body of POST /bundles/ or PUT /search/asks/ (``{"select_cols","q"}``).

    At most ``DEFAULT_LIMIT`` rows unless ``limit`` says otherwise, never more than
    ``LARGEST_LIMIT``. MarketRefusal(400, "invalid_request") for whatever is not a query.
    """
    query = read_query(body)
    best = ordered(_find(world, query, now), query.order, Found.value)[: query.limit]
    rows = [found.row(place) for place, found in enumerate(best, 1)]
    if query.select is None:
        return rows
    return [{name: row.get(name) for name in query.select} for row in rows]


class _Tests(NamedTuple):
    """Conditions by the part of a row that they are about."""

    machine: list[Condition]
    size: list[Condition]
    slot: list[Condition]
    moment: list[Condition]


def _find(world: World, query: Query, now: float) -> Iterator[Found]:
    listings = world.catalogue.listings()
    tests = _sort_out(query.conditions, listings[0]) if listings else None
    for listed in listings:
        machine = listed.machine
        if machine.machine_id in world.offline or machine.end_date(now) <= now:
            continue
        if tests is None or not matches(listed.fields, tests.machine):
            continue
        for size in listed.sizes:
            if matches(size.fields, tests.size):
                yield from _slots(world, listed, size, query, tests, now)


def _sort_out(conditions: Iterable[Condition], sample: Listing) -> _Tests:
    tests = _Tests([], [], [], [])
    size = sample.sizes[0]
    slot = slot_fields(size.asks[0], 1)
    for condition in conditions:
        if condition.column in sample.fields:
            tests.machine.append(condition)
        elif condition.column in size.fields:
            tests.size.append(condition)
        elif condition.column in slot:
            tests.slot.append(condition)
        else:
            tests.moment.append(condition)
    return tests


def _slots(
    world: World, listed: Listing, size: Size, query: Query, tests: _Tests, now: float
) -> Iterator[Found]:
    machine, terms = listed.machine, Terms(query.disk_gb, query.kind, now)
    occupancy = world.occupied.get(machine.machine_id, EMPTY)
    asks = [ask for ask in size.asks if ask.id not in world.withdrawn]
    for (rented, bid), alike in _alike(machine, asks, occupancy).items():
        moment = moment_fields(machine, size.num_gpus, terms, rented=rented, bid=bid)
        if not matches(moment, tests.moment):
            continue
        bundled = len(alike) if query.bundling else 1
        slots = (slot_fields(ask, bundled) for ask in alike)
        kept = (slot for slot in slots if matches(slot, tests.slot))
        for slot in islice(kept, 1 if query.bundling else None):
            yield Found(listed, size, moment, slot)


def _alike(
    machine: Machine, asks: list[Ask], occupancy: Occupancy
) -> dict[tuple[bool, float], list[Ask]]:
    """Slots by whether they are rented and by the bid that wins them."""
    if asks and occupancy is EMPTY and not machine.held_gpus:
        return {(False, min_bid(machine, asks[0])): asks}
    groups: dict[tuple[bool, float], list[Ask]] = {}
    for ask in asks:
        state = is_rented(machine, ask, occupancy), min_bid(machine, ask, occupancy)
        groups.setdefault(state, []).append(ask)
    return groups
