"""Many instances in few calls, and what became of each.

The bulk calls say "success" where at least one of many was changed. So what is destroyed is read
again, and what is still there is destroyed one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from vast_pyworker.errors import (
    BadAnswer,
    NotFound,
    ProviderError,
    ProviderUnreachable,
    RateLimited,
)

from .http import Endpoint, Transport
from .listing import read_all

CHUNK = 64
DESTROY_MANY = Endpoint("DELETE", "/instances/")
SET_STATES = Endpoint("PUT", "/instances/")
_LOOKS = 3
_BETWEEN_LOOKS_S = 2.0
# After these it is open whether it was destroyed, or could not be asked.
_UNSURE = (BadAnswer, ProviderUnreachable, RateLimited)


@dataclass(frozen=True)
class Destroyed:
    """Every id is in exactly one of the three.

    ``gone``: certainly; ``left``: certainly not; ``unknown``: either may be. ``errors`` says why
    for those that are not gone.
    """

    gone: tuple[int, ...]
    left: tuple[int, ...] = ()
    unknown: tuple[int, ...] = ()
    errors: dict[int, ProviderError] = field(default_factory=dict)


@dataclass(frozen=True)
class Told:
    """``accepted``: in a call that changed at least one of them; ``errors``: the others."""

    accepted: tuple[int, ...]
    errors: dict[int, ProviderError] = field(default_factory=dict)


def set_states(transport: Transport, state: str, ids: Iterable[int]) -> Told:
    accepted: list[int] = []
    errors: dict[int, ProviderError] = {}
    for chunk in chunks(list(dict.fromkeys(ids))):
        try:
            transport.call(SET_STATES, json={"state": state, "ids": chunk}, effect="idempotent")
            accepted += chunk
        except ProviderError as error:
            errors |= dict.fromkeys(chunk, error)
    return Told(tuple(accepted), errors)


def destroy_many(
    transport: Transport, ids: Iterable[int], destroy: Callable[[int], object]
) -> Destroyed:
    """``destroy`` is for one, and raises where it could not.

    It is tried for what the list still shows and for what a bulk call was refused for, whatever
    the list shows of that. "left" needs both: it was listed, and then its destruction was refused.
    """
    wanted = list(dict.fromkeys(ids))
    refused = _destroy_chunks(transport, wanted)
    accepted = [each for each in wanted if each not in refused]
    errors: dict[int, ProviderError] = {}
    listed: set[int] = set()
    try:
        listed = _still_listed(transport, wanted, accepted)
    except ProviderError as error:
        errors = dict.fromkeys(accepted, error)
    todo = [each for each in wanted if each in refused or (each in listed and each not in errors)]
    errors |= _one_by_one(todo, destroy)
    sure = {each for each in listed if not isinstance(errors.get(each), _UNSURE)}
    return Destroyed(
        gone=tuple(each for each in wanted if each not in errors),
        left=tuple(each for each in wanted if each in errors and each in sure),
        unknown=tuple(each for each in wanted if each in errors and each not in sure),
        errors=errors,
    )


def chunks(ids: Sequence[int], size: int = CHUNK) -> Iterator[list[int]]:
    for start in range(0, len(ids), size):
        yield list(ids[start : start + size])


def _destroy_chunks(transport: Transport, ids: Sequence[int]) -> dict[int, ProviderError]:
    refused: dict[int, ProviderError] = {}
    for chunk in chunks(ids):
        try:
            transport.call(DESTROY_MANY, json={"instance_ids": chunk}, effect="idempotent")
        except NotFound:
            continue  # none of them is there; the list will tell
        except ProviderError as error:
            refused |= dict.fromkeys(chunk, error)
    return refused


def _still_listed(transport: Transport, wanted: Sequence[int], accepted: Sequence[int]) -> set[int]:
    """Which are in the list, of the accepted ones also after a few looks: it may lag behind."""
    there: set[int] = set()
    for look in range(_LOOKS if wanted else 0):
        if look:
            transport.sleep(_BETWEEN_LOOKS_S)
        there = {each.id for each in read_all(transport)}
        if not there.intersection(accepted):
            break
    return there.intersection(wanted)


def _one_by_one(ids: Iterable[int], destroy: Callable[[int], object]) -> dict[int, ProviderError]:
    """Why those that could not be destroyed were not."""
    errors: dict[int, ProviderError] = {}
    for each in ids:
        try:
            destroy(each)
        except ProviderError as error:
            errors[each] = error
    return errors
