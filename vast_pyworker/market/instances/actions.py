"""What an owner may ask of an instance: states, label, bid, template, deposit, destruction.

Refuses with MarketRefusal before anything has changed. What Vast refuses with 200 and
``success: false`` comes back as that object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vast_pyworker.market.accounts.billing import GPU, STORAGE, nano, usd
from vast_pyworker.market.refusal import MarketRefusal, invalid
from vast_pyworker.market.rentals import life
from vast_pyworker.market.rentals.contracts import (
    EXITED,
    EXPIRED,
    FAILED,
    QUEUED,
    RUNNING,
    STOPPED,
    Contract,
    Increase,
    Prices,
)
from vast_pyworker.market.world import moves
from vast_pyworker.market.world.world import World

from .launch_body import LEAST_BID, Order, number, read_label, read_order
from .launching import MOST_AT_ONCE

Answer = dict[str, Any]
MOST_BID_CHANGE = 32.0
HOURS_PER_MONTH = 720.0
NOT_STARTED = "Invalid instance id. Is the container started?"
UNAVAILABLE: Answer = {
    "success": False,
    "error": "resources_unavailable",
    "msg": "Required resources are currently unavailable, state change queued.",
}


def set_state(world: World, account: int, instance_id: object, state: object) -> Answer:
    """Start or stop; ``UNAVAILABLE`` for a start that had to be queued."""
    contract = world.need(account, instance_id)
    if state not in ("running", "stopped"):
        raise MarketRefusal(400, "", "Invalid target state", shape="msg")
    if state == "stopped":
        _stop(world, contract)
        return {"success": True}
    if world.purse(account).credit(world.now) <= 0:
        raise invalid("You lack credit, see the billing page.", "missing_billing")
    if contract.phase == EXPIRED:
        raise invalid("The contract has expired; it cannot be started again.")
    return {"success": True} if _start(world, contract) else dict(UNAVAILABLE)


def set_state_many(world: World, account: int, ids: object, state: object) -> Answer:
    """True where at least one changed, or was as asked for already."""
    if not isinstance(ids, list) or not ids:
        raise invalid("ids list required")
    if len(ids) > MOST_AT_ONCE:
        raise invalid(f"chunk length of {len(ids)} > {MOST_AT_ONCE}")
    if state not in ("running", "stopped"):
        raise MarketRefusal(400, "", "Invalid target state", shape="msg")
    mine = [each for each in ids if world.mine(account, each) is not None]
    if not mine:
        raise MarketRefusal(404, "invalid_args", "Invalid instance ID list ids.")
    if state == "running" and world.purse(account).credit(world.now) <= 0:
        raise invalid("You lack credit.", "insufficient_credit")
    startable = [each for each in mine if state == "stopped" or _startable(world, each)]
    answers = [set_state(world, account, each, state) for each in startable]
    return {"success": True} if any(each["success"] for each in answers) else dict(UNAVAILABLE)


def _startable(world: World, instance_id: int) -> bool:
    return world.contracts[instance_id].phase != EXPIRED


def _stop(world: World, contract: Contract) -> None:
    if contract.phase not in (STOPPED, EXPIRED):
        moves.stop(world, contract)


def _start(world: World, contract: Contract) -> bool:
    """True where it runs or is on its way; False where it waits."""
    if contract.lost is not None:
        if contract.phase in (STOPPED, EXITED, FAILED):
            _queue(world, contract)
        return contract.phase != QUEUED
    if contract.phase in (EXITED, FAILED):
        moves.begin(world, contract)
    elif contract.phase in (STOPPED, QUEUED) and not moves.place(world, contract):
        if contract.phase == STOPPED:
            _queue(world, contract)
        return False
    return True


def _queue(world: World, contract: Contract) -> None:
    moves.halt(world, contract)
    life.queue(contract)
    moves.wait(world, contract)


def set_label(world: World, account: int, instance_id: object, label: object) -> Answer:
    contract = world.need(account, instance_id)
    after = read_label(label)
    world.shelf(account).relabel(contract.label, after)
    contract.label = after
    return {"success": True}


def reboot(world: World, account: int, instance_id: object) -> Answer:
    """Docker stop and start; only of a container that there is."""
    contract = world.mine(account, instance_id)
    if contract is None:
        raise invalid("invalid instance_id")
    if contract.phase not in (RUNNING, EXITED) or contract.lost is not None:
        return {"success": False, "error": "invalid_id", "msg": NOT_STARTED}
    moves.reboot(world, contract)
    return {"success": True}


def recycle(world: World, account: int, instance_id: object) -> Answer:
    """Destroyed and created in its place; only of one that holds its GPUs."""
    contract = world.mine(account, instance_id)
    if contract is None or not contract.holds or contract.lost is not None:
        return {"success": False, "error": "invalid_id", "msg": "Invalid instance id."}
    moves.recycle(world, contract)
    return {"success": True}


def change_bid(world: World, account: int, instance_id: object, price: object) -> Answer:
    """A new bid, USD per hour for all its GPUs; it may win them or lose them by it."""
    contract = world.mine(account, instance_id)
    if contract is None:
        text = "Instance with that ID does not exist."
        raise MarketRefusal(404, "no_such_instance", text)
    if not contract.is_bid:
        raise invalid("Can't change price of on-demand contract.")
    bid = number(price)
    if bid is None or bid < LEAST_BID:
        raise invalid("Please set a bid price >= 0.001.")
    if bid > MOST_BID_CHANGE:
        raise invalid("Please set a bid price <= 32.")
    _reprice(world, contract, replace(contract.prices, gpu=nano(bid)))
    if contract.holds:
        world.seats.hold(moves.claim_of(contract, contract.created_at))
        if not moves.outranks(world, moves.claim_of(contract, world.now)):
            moves.outbid(world, contract)
    elif contract.phase == QUEUED:
        moves.wait(world, contract)
    moves.resume(world, contract.machine_id)
    return {"success": True}


def _reprice(world: World, contract: Contract, prices: Prices) -> None:
    """New prices from now on, also for what runs."""
    purse = world.purse(contract.account)
    for kind, rate in ((GPU, prices.gpu), (STORAGE, prices.storage)):
        if purse.runs(contract.id, kind):
            purse.end(contract.id, kind, world.now)
            purse.begin(contract.id, kind, rate, world.now)
    contract.prices = prices


def accept_increase(world: World, account: int, pending_id: object) -> Answer:
    increase = _increase(world, account, pending_id)
    contract = world.contracts[increase.contract_id]
    _reprice(world, contract, increase.prices)
    del world.increases[increase.id]
    contract.end_date = max(contract.end_date, world.machine_of(contract).end_date(world.now))
    return _settled(increase.id, contract.id)


def reject_increase(world: World, account: int, pending_id: object) -> Answer:
    """The price stays until the contract's end, which does not move."""
    increase = _increase(world, account, pending_id)
    del world.increases[increase.id]
    return _settled(increase.id, increase.contract_id)


def _increase(world: World, account: int, pending_id: object) -> Increase:
    increase = world.increases.get(pending_id) if isinstance(pending_id, int) else None
    if increase is None or increase.account != account:
        raise MarketRefusal(404, "no_pending_price_increase", "")
    return increase


def _settled(pending_id: int, contract_id: int) -> Answer:
    return {"success": True, "pending_price_increase_id": pending_id, "contract_id": contract_id}


def prepay(world: World, account: int, instance_id: object, amount: object) -> Answer:
    """A deposit for a discount on the GPUs. The money stays in the credit; it is only promised."""
    contract = world.mine(account, instance_id)
    if contract is None:
        raise invalid("No such instance")
    if contract.is_bid:
        raise invalid("An interruptible instance cannot be reserved.")
    deposit = number(amount)
    if deposit is None or deposit <= 0:
        raise invalid("amount must be > 0")
    if deposit > usd(world.purse(account).credit(world.now)):
        raise invalid("Insufficient credit", "insufficient_credit")
    months = deposit / (max(contract.prices.gpu, 1) / 1e9 * HOURS_PER_MONTH)
    if months * HOURS_PER_MONTH * 3600 > contract.end_date - world.now:
        raise invalid("Cannot rent instance for that length of time", "rental_too_long")
    most = world.machine_of(contract).discount_max
    discount = round(most * min(months, 6.0) / 6.0, 6)
    full = contract.prices.gpu / (1 - contract.discount)
    contract.deposit, contract.discount = contract.deposit + deposit, discount
    _reprice(world, contract, replace(contract.prices, gpu=round(full * (1 - discount))))
    return {"success": True, "timescale": months, "discount_rate": discount}


def balance(world: World, account: int, instance_id: object) -> Answer:
    contract = world.need(account, instance_id)
    return {
        "success": True,
        "refundable_deposit": contract.deposit,
        "total_discount": contract.discount,
        "discount_months": 6 if contract.discount else 0,
    }


def update_template(
    world: World,
    account: int,
    instance_id: object,
    body: object,
    template: Mapping[str, Any] | None,
) -> Answer:
    """What runs from the next start on; at once where the body says ``recycle``."""
    contract = world.mine(account, instance_id)
    if contract is None:
        text = "Instance not found or you don't have permission to modify it"
        raise MarketRefusal(404, "not_found", text)
    if not isinstance(body, Mapping):
        raise invalid("Invalid json body")
    order = _renewed(contract, body, template)
    if order.launch.image != contract.launch.image:
        contract.pulled = False
    contract.launch = order.launch
    return recycle(world, account, instance_id) if body.get("recycle") is True else _true()


def _true() -> Answer:
    return {"success": True}


def _renewed(
    contract: Contract, body: Mapping[str, Any], template: Mapping[str, Any] | None
) -> Order:
    """What the body and its template say, and where they say nothing what there was."""
    was = contract.launch
    before: dict[str, Any] = {} if template else {
        "image": was.image, "onstart": was.onstart, "env": dict(was.env),
        "args": list(was.args), "runtype": was.runtype,
    }  # fmt: skip
    names = ("image", "onstart", "env", "args", "args_str", "runtype")
    said = {name: body[name] for name in names if body.get(name) is not None}
    if "args_str" in said:
        before.pop("args", None)
    return read_order({**before, **said}, template)


def destroy(world: World, account: int, instance_id: object) -> Answer:
    moves.destroy(world, world.need(account, instance_id))
    return {"success": True}


def destroy_many(world: World, account: int, ids: object) -> Answer:
    """Those that exist; MarketRefusal(404) where none does."""
    if ids is None or ids == []:
        raise invalid("instance_ids array is required")
    if not isinstance(ids, list) or any(
        isinstance(each, bool) or not isinstance(each, int) for each in ids
    ):
        raise invalid("invalid request format")
    mine = [each for each in dict.fromkeys(ids) if world.mine(account, each) is not None]
    if not mine:
        raise MarketRefusal(404, "instances_not_found", "No instances found.")
    for each in mine:
        moves.destroy(world, world.contracts[each])
    return {"success": True}
