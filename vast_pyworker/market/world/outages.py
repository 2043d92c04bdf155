"""Hosts that are lost: no sign from them, offline, and back. All that is on them goes with them."""

from __future__ import annotations

from vast_pyworker.market.accounts.billing import STORAGE
from vast_pyworker.market.rentals.contracts import LOADING, OFFLINE, REBOOTING, RUNNING, UNKNOWN

from .moves import begin, halt, pay_for_running, resume, stop_paying
from .world import BACK, GONE, World


def lose_host(world: World, machine_id: int, *, unknown_s: float, back_s: float | None) -> None:
    """No sign from a machine: ``unknown`` at once, ``offline`` later, and back or never."""
    number = world.number()
    world.offline[machine_id] = (UNKNOWN, number)
    for contract in world.on_machine(machine_id):
        contract.lost = UNKNOWN
        stop_paying(world, contract)
        if contract.phase in (LOADING, REBOOTING):
            contract.stamp += 1
    world.later(unknown_s, GONE, machine_id, detail=number)
    if back_s is not None:
        world.later(back_s, BACK, machine_id, detail=number)


def give_up_host(world: World, machine_id: int, number: int) -> None:
    """Offline for good or for a while: nothing on it is paid for, not even disks. ``number`` is
    of the loss, which may be over."""
    if world.offline.get(machine_id) != (UNKNOWN, number):
        return
    world.offline[machine_id] = (OFFLINE, number)
    for contract in world.on_machine(machine_id):
        contract.lost = OFFLINE
        halt(world, contract)
        world.purse(contract.account).end(contract.id, STORAGE, world.now)


def regain_host(world: World, machine_id: int, number: int) -> None:
    """The machine is back. What ran on it starts again, unless only its reports were missing."""
    was, current = world.offline.get(machine_id, ("", 0))
    if current != number:
        return
    del world.offline[machine_id]
    for contract in world.on_machine(machine_id):
        contract.lost = None
        purse = world.purse(contract.account)
        if was == OFFLINE and not purse.runs(contract.id, STORAGE):
            purse.begin(contract.id, STORAGE, contract.prices.storage, world.now)
        if contract.phase == RUNNING and was == UNKNOWN:
            pay_for_running(world, contract)
        elif contract.phase in (RUNNING, LOADING, REBOOTING):
            begin(world, contract)
    resume(world, machine_id)
