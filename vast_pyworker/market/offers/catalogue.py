"""Draws the hosts of the market from a seed, and finds machines and asks by their ids.

The same seed gives the same market, and more hosts add to it without changing the first ones.
What is rented is not known here.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from vast_pyworker.market.supply.hosts import Ids, draw_host, draw_machine
from vast_pyworker.market.supply.machines import Ask, Machine

from .offer_rows import Listing, listing

DEFAULT_HOSTS = 400
MOST_HOSTS = 50_000
FIRST_ASK_ID = 8_000_000
FIRST_CONTRACT_ID = 20_000_000
"""Ask ids are below this; contract ids start here, since both share one number space."""

_LARGE_HOSTS = (5, 17)


class Catalogue:
    """Machines and asks by id, and their prepared rows. Not safe to share without a lock."""

    def __init__(self, machines: Iterable[Machine]) -> None:
        self._listings = {machine.machine_id: listing(machine) for machine in machines}
        self._by_ask = {ask.id: ask for machine in self for ask in machine.asks}

    def __iter__(self) -> Iterator[Machine]:
        return (listed.machine for listed in self._listings.values())

    def __len__(self) -> int:
        return len(self._listings)

    def listings(self) -> tuple[Listing, ...]:
        return tuple(self._listings.values())

    def machine(self, machine_id: int) -> Machine | None:
        listed = self._listings.get(machine_id)
        return None if listed is None else listed.machine

    def ask(self, ask_id: int) -> tuple[Machine, Ask] | None:
        """None for an id that was never offered."""
        ask = self._by_ask.get(ask_id)
        return None if ask is None else (self._listings[ask.machine_id].machine, ask)

    def replace(self, machine: Machine) -> None:
        """Puts ``machine`` in the place of the one with its id, as when the price changes.

        KeyError where there is none; its asks must be the same ones.
        """
        if self._listings[machine.machine_id].machine.asks != machine.asks:
            raise ValueError(f"machine {machine.machine_id} must keep its asks")
        self._listings[machine.machine_id] = listing(machine)


def generate(seed: int, hosts: int, *, epoch: float) -> tuple[Machine, ...]:
    """Machines of ``hosts`` hosts; their listings begin before and end after ``epoch`` (epoch
    seconds, which moves these dates and nothing else). ValueError outside 1 to 50,000 hosts."""
    if not 1 <= hosts <= MOST_HOSTS:
        raise ValueError(f"{hosts} hosts: give a number from 1 to {MOST_HOSTS}")
    return tuple(_draw(seed, hosts, epoch))


def _draw(seed: int, hosts: int, epoch: float) -> Iterator[Machine]:
    ids = Ids(machine=1200, ask=FIRST_ASK_ID)
    host_id = 1000
    for number in range(hosts):
        rng = random.Random(f"{seed}:{number}")
        host_id += rng.randint(1, 60)
        host = draw_host(rng, number=number, host_id=host_id, large=number in _LARGE_HOSTS)
        for _ in range(host.machines):
            yield draw_machine(rng, host, ids, epoch=epoch)
