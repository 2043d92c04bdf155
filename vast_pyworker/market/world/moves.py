"""What happens to instances: they get GPUs and lose them, start, run, and end.

Every function leaves the world whole: states, GPUs, meters, processes and the agenda agree. All
of it happens at ``world.now``. What an owner may ask for is in ``actions``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vast_pyworker.market.accounts.billing import DOWNLOAD, GPU, STORAGE, UPLOAD
from vast_pyworker.market.rentals import life
from vast_pyworker.market.rentals.bids import Claim
from vast_pyworker.market.rentals.boxes import box_of
from vast_pyworker.market.rentals.contracts import (
    DYING,
    EXITED,
    QUEUED,
    REBOOTING,
    RUNNING,
    STUCK,
    Contract,
)

from .world import DELETE, LEAVE, STEP, World

KEPT_AFTER_END_S = 48 * 3600.0
Steps = Sequence[tuple[float, str]]
"""Seconds from the step before, and what then happens."""
_WITH_PROCESS = (RUNNING, REBOOTING, EXITED)


def claim_of(contract: Contract, since: float) -> Claim:
    per_gpu = contract.per_gpu if contract.is_bid else None
    return Claim(contract.id, contract.machine_id, contract.gpu_ids, per_gpu, since)


def can_place(world: World, claim: Claim) -> bool:
    """Whether the claim can have its GPUs now, at whoever's cost."""
    return claim.machine_id not in world.offline and outranks(world, claim)


def outranks(world: World, claim: Claim) -> bool:
    """Whether the claim is worth its GPUs: to the host, and against whoever has them."""
    return _losers(world, claim) is not None


def place(world: World, contract: Contract) -> bool:
    """Take the GPUs and start; False, and nothing changed, where they cannot be had."""
    claim = claim_of(contract, world.now)
    if not can_place(world, claim):
        return False
    _place(world, contract)
    resume(world, contract.machine_id)
    return True


def resume(world: World, machine_id: int) -> None:
    """Let those start that wait for what has become free, the strongest first."""
    while True:
        able = [each for each in world.seats.waiting(machine_id) if can_place(world, each)]
        if not able:
            return
        _place(world, world.contracts[able[0].id])


def _losers(world: World, claim: Claim) -> list[int] | None:
    machine = world.catalogue.machine(claim.machine_id)
    return None if machine is None else world.seats.losers(machine, claim)


def _place(world: World, contract: Contract) -> None:
    claim = claim_of(contract, world.now)
    _give_way(world, _losers(world, claim) or ())
    world.seats.hold(claim)
    begin(world, contract)


def _give_way(world: World, losers: Iterable[int], shape: str | None = None) -> None:
    for loser in losers:
        if loser in world.strangers:
            del world.strangers[loser]
            world.seats.forget(loser)
        else:
            outbid(world, world.contracts[loser], shape)


def begin(world: World, contract: Contract) -> None:
    """It holds its GPUs: start it, or start it again."""
    halt(world, contract)
    contract.starts += 1
    rng = life.rng_of(world.seed, contract)
    life.begin(contract, rng)
    machine = world.machine_of(contract)
    plan = life.plan_start(contract, machine, rng, world.loading_median_s)
    if contract.fate == STUCK:
        contract.fate = ""
    _next_step(world, contract, plan)


def _next_step(world: World, contract: Contract, plan: Steps) -> None:
    if plan:
        delay_s, name = plan[0]
        detail = [name, plan[1:]]
        world.later(delay_s, STEP, contract.id, stamp=contract.stamp, detail=detail)


def step(world: World, contract: Contract, name: str, rest: Steps) -> None:
    """One step of a start, as planned, and the next one written down."""
    if name == "run":
        run(world, contract)
        return
    {"pull": life.pull, "made": life.made, "fail": life.fail}[name](contract)
    _next_step(world, contract, rest)


def run(world: World, contract: Contract) -> None:
    """The container starts; from now on its GPUs are paid for."""
    fresh = not contract.pulled
    ports = world.runtime.start(box_of(contract))
    life.run(contract, ports, world.now)
    pay_for_running(world, contract)
    if fresh:
        size = life.image_gb(contract.launch.image)
        purse = world.purse(contract.account)
        purse.carry(contract.id, DOWNLOAD, size, contract.prices.down, world.now)
    if contract.fate == DYING:
        contract.fate = ""
        end_by_itself(world, contract, 1)


def pay_for_running(world: World, contract: Contract) -> None:
    """Its GPUs, and its own little traffic, are paid for from now on."""
    purse, prices = world.purse(contract.account), contract.prices
    purse.begin(contract.id, GPU, prices.gpu, world.now)
    up, down = life.traffic_gb_per_hour(world.seed, contract)
    for kind, size, price in ((UPLOAD, up, prices.up), (DOWNLOAD, down, prices.down)):
        if price:
            purse.begin(contract.id, kind, round(size * price), world.now, size)


def stop_paying(world: World, contract: Contract) -> None:
    """What it runs on is not paid for any more; its disk is."""
    for kind in (GPU, UPLOAD, DOWNLOAD):
        world.purse(contract.account).end(contract.id, kind, world.now)


def halt(world: World, contract: Contract) -> None:
    """Nothing of it runs or is paid for but its disk; its GPUs it still has."""
    stop_paying(world, contract)
    if contract.phase in _WITH_PROCESS:
        world.runtime.stop(contract.id)


def outbid(world: World, contract: Contract, shape: str | None = None) -> None:
    """It loses its GPUs and waits for them. Whoever calls gives them to somebody."""
    halt(world, contract)
    life.outbid(contract, shape or world.rng("outbid").choice(life.OUTBID_SHAPES))
    wait(world, contract)


def wait(world: World, contract: Contract) -> None:
    contract.queued_at = world.now
    world.seats.wait(claim_of(contract, world.now))


def stop(world: World, contract: Contract, *, expired: bool = False) -> None:
    """It stands still and gives its GPUs back; the disk stays and is paid for."""
    halt(world, contract)
    (life.expire if expired else life.stop)(contract)
    world.seats.forget(contract.id)
    resume(world, contract.machine_id)


def reboot(world: World, contract: Contract) -> None:
    """Stopped and started again where it is, with its GPUs and its disk."""
    halt(world, contract)
    contract.starts += 1
    life.reboot(contract)
    rng = life.rng_of(world.seed, contract)
    seconds = life.start_up_s(contract, world.machine_of(contract), rng, world.loading_median_s)
    _next_step(world, contract, [(seconds, "run")])


def recycle(world: World, contract: Contract) -> None:
    """Destroyed and created again on the same GPUs: nothing of its disk is left."""
    contract.pulled = False
    begin(world, contract)
    world.runtime.remove(contract.id)


def end_by_itself(world: World, contract: Contract, code: int) -> None:
    """Its process ended; nobody asked for that."""
    halt(world, contract)
    life.exit_(contract, code)


def destroy(world: World, contract: Contract) -> None:
    halt(world, contract)
    world.purse(contract.account).end(contract.id, STORAGE, world.now)
    world.runtime.remove(contract.id)
    del world.contracts[contract.id]
    world.shelf(contract.account).take(contract.id, contract.label)
    world.accounts.forget_instance(contract.id)
    drop_increases(world, contract)
    world.seats.forget(contract.id)
    resume(world, contract.machine_id)


def drop_increases(world: World, contract: Contract) -> None:
    """What its host asked for more is no longer asked."""
    for number in [n for n, each in world.increases.items() if each.contract_id == contract.id]:
        del world.increases[number]


def expire(world: World, contract: Contract) -> None:
    """Its end: it stops, cannot start any more, and is deleted 48 hours later."""
    stop(world, contract, expired=True)
    drop_increases(world, contract)
    world.later(KEPT_AFTER_END_S, DELETE, contract.id)


def let_stranger_in(
    world: World,
    contract: Contract,
    *,
    per_gpu: float | None,
    for_s: float | None,
    shape: str | None = None,
) -> None:
    """Somebody else takes the contract's GPUs: at ``per_gpu``, or on demand for None. Nothing
    happens where somebody stronger has them."""
    claim = Claim(-world.number(), contract.machine_id, contract.gpu_ids, per_gpu, world.now)
    losers = _losers(world, claim)
    if losers is None:
        return
    _give_way(world, losers, shape)
    world.seats.hold(claim)
    world.strangers[claim.id] = claim
    if for_s is not None:
        world.later(for_s, LEAVE, claim.id)
    resume(world, contract.machine_id)


def let_stranger_go(world: World, stranger: int) -> None:
    claim = world.strangers.pop(stranger, None)
    if claim is not None:
        world.seats.forget(stranger)
        resume(world, claim.machine_id)


def spend_all(world: World, account: int) -> None:
    """No credit: everything stops at once; disks are still paid for."""
    world.purse(account).spent = True
    for contract in list(world.of_account(account)):
        if contract.holds or contract.phase == QUEUED:
            stop(world, contract)
