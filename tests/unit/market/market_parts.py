"""A small world to search, and machines made to measure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from vast_pyworker.market.offers.catalogue import Catalogue, generate
from vast_pyworker.market.supply.machines import Ask, Machine, Occupancy

EPOCH = 1_760_000_000.0
DAY_S = 86400.0


@cache
def drawn(hosts: int = 400, seed: int = 1) -> tuple[Machine, ...]:
    return generate(seed, hosts, epoch=EPOCH)


def machine_of(num_gpus: int, **changes: Any) -> Machine:
    """A machine of ``num_gpus`` that nobody holds, from the drawn ones, with ``changes``."""
    for machine in drawn():
        if machine.num_gpus == num_gpus and machine.verification == "verified":
            return replace(machine, **{"held_gpus": frozenset(), **changes})
    raise AssertionError(f"no machine of {num_gpus} GPUs was drawn")


def ask_for(machine: Machine, num_gpus: int) -> Ask:
    return next(ask for ask in machine.asks if ask.num_gpus == num_gpus)


@dataclass
class SmallWorld:
    catalogue: Catalogue
    occupied: dict[int, Occupancy] = field(default_factory=dict)
    offline: set[int] = field(default_factory=set)
    withdrawn: set[int] = field(default_factory=set)


def world_of(*machines: Machine) -> SmallWorld:
    return SmallWorld(Catalogue(machines or drawn()))
