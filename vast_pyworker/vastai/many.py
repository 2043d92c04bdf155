"""Many instances in few calls, and what became of each.

The bulk calls say "success" where at least one of many was changed. So what is destroyed is read
again, and what is still there is destroyed one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from vast_pyworker.errors import NotFound, ProviderError, ProviderUnreachable, RateLimited

from .http import Endpoint, Transport
from .listing import read_all

CHUNK = 64
DESTROY_MANY = Endpoint("DELETE", "/instances/")
SET_STATES = Endpoint("PUT", "/instances/")
_LOOKS = 3
_BETWEEN_LOOKS_S = 2.0


@dataclass(frozen=True)
class Destroyed:
    """Every id is in exactly one of the three.

    ``gone``: certainly; ``left``: certainly not; ``unknown``: could not be asked. ``errors`` says
    why for those that are not gone.
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
    """``destroy`` is for one, and raises where it could not."""
    wanted = list(dict.fromkeys(ids))
    refused = _destroy_chunks(transport, wanted)
    try:
        listed = _still_listed(transport, [each for each in wanted if each not in refused])
    except ProviderError as error:
        return Destroyed((), (), tuple(wanted), {each: refused.get(each, error) for each in wanted})
    return _one_by_one(wanted, [*listed, *refused], destroy)


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


def _still_listed(transport: Transport, ids: Sequence[int]) -> list[int]:
    """Which are in the list also after a few looks: it may lag behind."""
    left = list(ids)
    for look in range(_LOOKS if left else 0):
        if look:
            transport.sleep(_BETWEEN_LOOKS_S)
        there = {each.id for each in read_all(transport)}
        left = [each for each in left if each in there]
        if not left:
            break
    return left


def _one_by_one(
    wanted: Sequence[int], todo: Iterable[int], destroy: Callable[[int], object]
) -> Destroyed:
    errors: dict[int, ProviderError] = {}
    for each in todo:
        try:
            destroy(each)
        except ProviderError as error:
            errors[each] = error
    unasked = (ProviderUnreachable, RateLimited)
    unknown = tuple(each for each, error in errors.items() if isinstance(error, unasked))
    left = tuple(each for each in errors if each not in unknown)
    return Destroyed(tuple(each for each in wanted if each not in errors), left, unknown, errors)
