"""Lets time pass: everything due happens in its order and at its own moment, however late it is
noticed, so that money and states do not depend on how often anybody looks."""

from __future__ import annotations

from .accounts.billing import usd
from .faults import blows
from .rentals.contracts import EXPIRED, RUNNING
from .world import moves, outages
from .world.agenda import Event
from .world.world import BACK, BLOW, DELETE, EXPIRE, GONE, LEAVE, STEP, World


def catch_up(world: World, now: float) -> None:
    """All that was to happen until ``now``."""
    while True:
        due = world.agenda.next_at()
        broke = _next_broke(world)
        if broke is not None and broke[0] <= now and (due is None or broke[0] <= due):
            world.now = max(world.now, broke[0])
            moves.spend_all(world, broke[1])
        elif due is not None and due <= now:
            world.now = max(world.now, due)
            _happen(world, world.agenda.pop())
        else:
            world.now = max(world.now, now)
            return


def reap(world: World) -> None:
    """Containers whose process has ended by itself."""
    for instance_id, code in world.runtime.reap():
        contract = world.contracts.get(instance_id)
        if contract is not None and contract.phase == RUNNING and contract.lost is None:
            moves.end_by_itself(world, contract, code)


def show_credit(world: World) -> None:
    """Writes each account's credit where its owner is shown it."""
    for account, purse in world.purses.items():
        world.accounts.account(account).credit = usd(purse.credit(world.now))


def _next_broke(world: World) -> tuple[float, int] | None:
    """When the next account has spent everything, and which."""
    times = [
        (at, account)
        for account, purse in world.purses.items()
        if not purse.spent and (at := purse.empty_at()) is not None
    ]
    return min(times, default=None)


def _happen(world: World, event: Event) -> None:
    if world.is_void(event):
        return
    if event.name in (STEP, EXPIRE, DELETE):
        _happen_to_contract(world, event)
    elif event.name == GONE:
        outages.give_up_host(world, event.target, event.detail)
    elif event.name == BACK:
        outages.regain_host(world, event.target, event.detail)
    elif event.name == LEAVE:
        moves.let_stranger_go(world, event.target)
    elif event.name == BLOW:
        blows.befall(world, **event.detail)


def _happen_to_contract(world: World, event: Event) -> None:
    contract = world.contracts[event.target]
    if event.name == STEP:
        moves.step(world, contract, *event.detail)
    elif event.name == DELETE:
        moves.destroy(world, contract)
    elif contract.end_date > event.at:
        world.agenda.add(contract.end_date, EXPIRE, contract.id)
    elif contract.phase != EXPIRED:
        moves.expire(world, contract)
