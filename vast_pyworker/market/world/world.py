"""Everything that is, at one moment: machines, contracts, GPUs, money, and what is due.

Data with the few look-ups that everybody needs. What happens in the world is in ``moves`` (an
instance's life) and ``actions`` (what its owner asks for); the lock is the market's.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from vast_pyworker.market.accounts.accounts import Accounts
from vast_pyworker.market.accounts.billing import Purse, units
from vast_pyworker.market.offers.catalogue import FIRST_CONTRACT_ID, Catalogue
from vast_pyworker.market.refusal import MarketRefusal
from vast_pyworker.market.rentals.bids import Claim, Seats
from vast_pyworker.market.rentals.contracts import Contract, Increase
from vast_pyworker.market.rentals.shelf import Shelf
from vast_pyworker.market.runtime import Runtime
from vast_pyworker.market.supply.machines import Machine, Occupancy

from .agenda import Agenda, Event

STEP, EXPIRE, DELETE, GONE, BACK, LEAVE, BLOW = (
    "step", "expire", "delete", "gone", "back", "leave", "blow",
)  # fmt: skip
"""Names of events. Targets: a contract for the first three, a machine for the next two, a
stranger for LEAVE; a BLOW has all in its detail."""


@dataclass
class World:
    """``now`` is the moment up to which everything has happened. ``offline`` has by machine id
    ``unknown`` or ``offline`` and the number of the loss; ``strangers`` are by their ids, which
    are below 0."""

    catalogue: Catalogue
    runtime: Runtime
    accounts: Accounts
    seed: int
    loading_median_s: float
    now: float
    seats: Seats = field(default_factory=Seats)
    agenda: Agenda = field(default_factory=Agenda)
    contracts: dict[int, Contract] = field(default_factory=dict)
    shelves: dict[int, Shelf] = field(default_factory=dict)
    purses: dict[int, Purse] = field(default_factory=dict)
    offline: dict[int, tuple[str, int]] = field(default_factory=dict)
    withdrawn: set[int] = field(default_factory=set)
    repriced: set[int] = field(default_factory=set)
    """Machines whose prices are no longer those that the market began with."""
    strangers: dict[int, Claim] = field(default_factory=dict)
    increases: dict[int, Increase] = field(default_factory=dict)
    next_contract: int = FIRST_CONTRACT_ID
    next_number: int = 1
    """Of strangers, pending increases and keys of instances."""
    draws: int = 0

    @property
    def occupied(self) -> Mapping[int, Occupancy]:
        return self.seats.occupied

    def machine_of(self, contract: Contract) -> Machine:
        machine = self.catalogue.machine(contract.machine_id)
        if machine is None:
            raise LookupError(f"instance {contract.id} is on a machine that is not in the market")
        return machine

    def purse(self, account: int) -> Purse:
        """The account's money; opened with the credit it has when it first appears."""
        purse = self.purses.get(account)
        if purse is None:
            purse = self.purses[account] = Purse()
            purse.pay(units(self.accounts.account(account).credit), self.now, "opening")
        return purse

    def shelf(self, account: int) -> Shelf:
        return self.shelves.setdefault(account, Shelf())

    def mine(self, account: int, instance_id: object) -> Contract | None:
        """The account's own instance; None for any other thing."""
        contract = self.contracts.get(instance_id) if isinstance(instance_id, int) else None
        return contract if contract is not None and contract.account == account else None

    def need(self, account: int, instance_id: object) -> Contract:
        """As ``mine``; MarketRefusal(404) in the usual words."""
        contract = self.mine(account, instance_id)
        if contract is None:
            raise MarketRefusal(404, "no_such_instance", f"Instance {instance_id} not found.")
        return contract

    def of_account(self, account: int) -> Iterator[Contract]:
        return (self.contracts[each] for each in self.shelf(account))

    def on_machine(self, machine_id: int) -> list[Contract]:
        return [each for each in self.contracts.values() if each.machine_id == machine_id]

    def number(self) -> int:
        self.next_number += 1
        return self.next_number - 1

    def rng(self, what: str) -> random.Random:
        """A generator of its own for one decision, the same in a run with the same calls."""
        self.draws += 1
        return random.Random(f"{self.seed}/{what}/{self.draws}")

    def later(self, delay_s: float, name: str, target: int, **more: object) -> None:
        """Writes an event down; ``stamp`` and ``detail`` as in ``Agenda.add``."""
        self.agenda.add(self.now + delay_s, name, target, **more)  # type: ignore[arg-type]
        self.agenda.tidy(self.is_void)

    def is_void(self, event: Event) -> bool:
        """Whether an event no longer means anything, its contract having moved on."""
        if event.name not in (STEP, EXPIRE, DELETE):
            return False
        contract = self.contracts.get(event.target)
        return contract is None or (event.name == STEP and contract.stamp != event.stamp)
