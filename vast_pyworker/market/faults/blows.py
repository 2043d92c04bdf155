"""World faults: what befalls an instance, its machine, its offer or its account.

Drawn by the fault book at a call, or struck by hand. Each says whether it could be done; one that
does not fit (an on-demand instance cannot be outbid) does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from vast_pyworker.errors import SettingError
from vast_pyworker.market.refusal import invalid
from vast_pyworker.market.rentals import life
from vast_pyworker.market.rentals.contracts import (
    BROKEN,
    DYING,
    EXPIRED,
    LOADING,
    REBOOTING,
    RUNNING,
    STOPPED,
    STUCK,
    Contract,
    Increase,
)
from vast_pyworker.market.world import moves, outages
from vast_pyworker.market.world.repricing import raise_price
from vast_pyworker.market.world.world import BLOW, World

from .kinds import WORLD_KINDS, check_params

Params = Mapping[str, Any]
STRANGERS_BID = 1.25
"""What a stranger offers who outbids: times our own bid, or the host's least."""


def strike(
    world: World, kind: object, instance_id: int | None, account: int | None, params: Params
) -> dict[str, Any]:
    """By hand: as ``befall``, or MarketRefusal(400) for what is no fault of the world."""
    if not isinstance(kind, str) or kind not in WORLD_KINDS:
        raise invalid(f"There is no world fault {kind!r}; there are {', '.join(WORLD_KINDS)}.")
    try:
        checked = check_params(kind, params)
    except SettingError as error:
        raise invalid(str(error)) from error
    if instance_id is not None and instance_id not in world.contracts:
        raise invalid(f"Instance {instance_id} not found.", "no_such_instance")
    return befall(world, kind, checked, account=account, instance_id=instance_id)


def befall(
    world: World, kind: str, params: Params, *, account: int | None, instance_id: int | None
) -> dict[str, Any]:
    """Strike now, or in ``after_s``. ``{kind, instance_id, done}``; done is None for later."""
    after_s = float(params.get("after_s") or 0.0)
    if after_s > 0:
        now = {name: value for name, value in params.items() if name != "after_s"}
        detail = {"kind": kind, "account": account, "instance_id": instance_id, "params": now}
        world.later(after_s, BLOW, 0, detail=detail)
        return {"kind": kind, "instance_id": instance_id, "done": None}
    contract = _victim(world, account, instance_id)
    done = _struck(world, kind, params, contract, account)
    return {"kind": kind, "instance_id": contract.id if contract else instance_id, "done": done}


def _struck(
    world: World, kind: str, params: Params, contract: Contract | None, account: int | None
) -> bool:
    if kind == "offer_gone":
        return _withdraw(world, params.get("ask_id"))
    if kind == "credit_zero":
        owner = contract.account if contract is not None else account
        return owner is not None and _take_credit(world, owner)
    if contract is None:
        return False
    return _BLOWS[kind](world, contract, params)


def _victim(world: World, account: int | None, instance_id: int | None) -> Contract | None:
    """The instance named, or any one that is not standing still, or any."""
    if instance_id is not None:
        return world.contracts.get(instance_id)
    ids = list(world.contracts if account is None else world.shelf(account))
    if not ids:
        return None
    return world.contracts[world.rng("victim").choice(ids)]


def _withdraw(world: World, ask_id: object) -> bool:
    if ask_id is None:
        left = [a.id for m in world.catalogue for a in m.asks if a.id not in world.withdrawn]
        ask_id = world.rng("ask").choice(left) if left else None
    found = isinstance(ask_id, int) and world.catalogue.ask(ask_id) is not None
    if isinstance(ask_id, int) and found:
        world.withdrawn.add(ask_id)
    return found


def _take_credit(world: World, account: int) -> bool:
    purse = world.purse(account)
    left = purse.credit(world.now)
    if left > 0:
        purse.pay(-left, world.now, "fault")
    moves.spend_all(world, account)
    return True


def _raise_price(world: World, contract: Contract, params: Params) -> bool:
    """The host asks more for the rental; its owner may accept or reject."""
    if contract.phase == EXPIRED:
        return False
    machine = world.machine_of(contract)
    factor = float(params["factor"])
    raise_price(world, machine, factor)
    moves.drop_increases(world, contract)
    dearer = replace(contract.prices, gpu=round(contract.prices.gpu * factor))
    number = world.number()
    world.increases[number] = Increase(number, contract.id, contract.account, dearer, world.now)
    return True


def _stand_still(world: World, contract: Contract, params: Params) -> bool:
    if contract.phase in (STOPPED, EXPIRED):
        return False
    moves.stop(world, contract)
    return True


def _stick(world: World, contract: Contract, params: Params) -> bool:
    """A start that is under way never ends, or else the next one."""
    if contract.phase == LOADING:
        life.pull(contract)
        contract.stamp += 1
    else:
        contract.fate = contract.fate or STUCK
    return True


def _exit(world: World, contract: Contract, params: Params) -> bool:
    """At once where it runs; as soon as it does where it is on its way."""
    if contract.phase in (LOADING, REBOOTING):
        contract.fate = contract.fate or DYING
    elif contract.phase == RUNNING and contract.lost is None:
        moves.end_by_itself(world, contract, int(params["code"]))
    else:
        return False
    return True


def _lose_host(world: World, contract: Contract, params: Params) -> bool:
    if contract.machine_id in world.offline:
        return False
    back_s = params["back_s"]
    outages.lose_host(world, contract.machine_id, unknown_s=params["unknown_s"], back_s=back_s)
    return True


def _expire(world: World, contract: Contract, params: Params) -> bool:
    if contract.phase == EXPIRED:
        return False
    contract.end_date = world.now
    moves.expire(world, contract)
    return True


def _outbid(world: World, contract: Contract, params: Params) -> bool:
    if not contract.is_bid or not contract.holds or contract.lost is not None:
        return False
    machine = world.machine_of(contract)
    per_gpu = max(contract.per_gpu, machine.min_bid_per_gpu) * STRANGERS_BID
    moves.let_stranger_in(
        world, contract, per_gpu=per_gpu, for_s=params["back_s"], shape=params["shape"]
    )
    return True


def _break(world: World, contract: Contract, params: Params) -> bool:
    """Its container can never be created again; at once where it is just being made."""
    contract.fate = BROKEN
    if contract.phase == LOADING:
        moves.begin(world, contract)
    return True


def _take_gpus(world: World, contract: Contract, params: Params) -> bool:
    if contract.holds:
        return False
    moves.let_stranger_in(world, contract, per_gpu=None, for_s=params["free_s"])
    return True


def _new_host_key(world: World, contract: Contract, params: Params) -> bool:
    contract.host_key = world.rng("host key").randbytes(32).hex()
    return True


def _swap_ports(world: World, contract: Contract, params: Params) -> bool:
    others = [
        each for each in world.of_account(contract.account) if each.ports and each.id != contract.id
    ]
    if not contract.ports or not others:
        return False
    other = world.rng("ports").choice(others)
    contract.ports, other.ports = other.ports, contract.ports
    return True


_BLOWS: dict[str, Callable[[World, Contract, Params], bool]] = {
    "price_change": _raise_price,
    "create_stopped": _stand_still,
    "stuck_loading": _stick,
    "exited": _exit,
    "offline": _lose_host,
    "expired": _expire,
    "outbid": _outbid,
    "oci_failure": _break,
    "start_queued": _take_gpus,
    "host_key_change": _new_host_key,
    "port_reuse": _swap_ports,
}
