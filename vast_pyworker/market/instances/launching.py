"""Creates: from an ask and an order to a contract. Refuses before anything has changed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from vast_pyworker.market.accounts.billing import STORAGE, nano
from vast_pyworker.market.faults.book import Fault
from vast_pyworker.market.offers.search import search
from vast_pyworker.market.refusal import MarketRefusal, invalid
from vast_pyworker.market.rentals import life
from vast_pyworker.market.rentals.contracts import BROKEN, STUCK, Contract, Prices
from vast_pyworker.market.supply.machines import HOURS_PER_MONTH, Ask, Machine
from vast_pyworker.market.world import moves
from vast_pyworker.market.world.repricing import raise_price
from vast_pyworker.market.world.world import EXPIRE, World

from .launch_body import Order, read_order

MOST_AT_ONCE = 64
AT_CREATE = frozenset(
    ("price_change", "offer_gone", "create_stopped", "stuck_loading", "oci_failure", "start_queued")
)
"""World faults that change a create rather than befall what it made."""

Answer = dict[str, Any]


def create(
    world: World,
    account: int,
    ask_id: int,
    order: Order,
    faults: Mapping[str, Fault],
    ssh_keys: Sequence[str] = (),
) -> Answer:
    """One contract, running as soon as it can or standing still."""
    if world.purse(account).credit(world.now) <= 0:
        raise invalid("You lack credit, see the billing page.", "insufficient_credit")
    machine, ask = _ask(world, ask_id, gone="offer_gone" in faults)
    if "price_change" in faults:
        machine = raise_price(world, machine, faults["price_change"].params["factor"])
    contract = _draft(world, account, machine, ask, order)
    if "start_queued" in faults:
        free_s = faults["start_queued"].params["free_s"]
        moves.let_stranger_in(world, contract, per_gpu=None, for_s=free_s)
    if order.cancel_unavail and not moves.can_place(world, moves.claim_of(contract, world.now)):
        raise _no_longer(ask_id)
    _sign(world, contract, ssh_keys)
    contract.fate = _fate(faults)
    if "create_stopped" in faults or not order.runs:
        life.stop(contract)
        started = False
    else:
        started = _start(world, contract)
    return {"success": started, "new_contract": contract.id, "instance_api_key": contract.key}


def bulk_create(
    world: World,
    account: int,
    body: object,
    template: Mapping[str, Any] | None,
    faults: Mapping[str, Fault],
    ssh_keys: Sequence[str] = (),
) -> Answer:
    """The same order for several asks; each has its own result."""
    ids = _ask_ids(body)
    order = read_order(body, template)
    results: list[Answer] = []
    for ask_id in ids:
        try:
            made = create(world, account, ask_id, order, faults, ssh_keys)
            state = "running" if made["success"] else "stopped"
            results.append({"ask_id": ask_id, **made, "state": state})
        except MarketRefusal as refusal:
            said = {"success": False, "error": refusal.code, "msg": refusal.msg}
            results.append({"ask_id": ask_id, **said})
    created = [each["new_contract"] for each in results if "new_contract" in each]
    failed = [each["ask_id"] for each in results if "new_contract" not in each]
    sums = {"created": created, "failed": failed, "elapsed": 0.0}
    return {"success": bool(created), "results": results, **sums}


def launch(
    world: World,
    account: int,
    body: object,
    template: Mapping[str, Any] | None,
    faults: Mapping[str, Fault],
    ssh_keys: Sequence[str] = (),
) -> Answer:
    """A search by ``q``, and the first of its offers that can be had."""
    order = read_order(body, template)
    query = body.get("q") if isinstance(body, Mapping) else None
    if not isinstance(query, Mapping):
        raise MarketRefusal(400, "invalid_args", "q must be an object", shape="message")
    query = {"allocated_storage": order.disk_gb, **query, "select_cols": ["id"]}
    offers = [offer["id"] for offer in search(world, query, world.now)]
    for ask_id in offers:
        try:
            made = create(world, account, ask_id, order, faults, ssh_keys)
        except MarketRefusal as refusal:
            if refusal.status not in (404, 410):
                raise
            continue
        return {**made, "ask_id": ask_id}
    text = "No offers match the query." if not offers else "No offer of the search is left."
    raise MarketRefusal(200, "offer_not_found", text, shape="message")


def _ask(world: World, ask_id: int, *, gone: bool) -> tuple[Machine, Ask]:
    found = world.catalogue.ask(ask_id)
    if found is None:
        text = f"error 404/3603: no_such_ask Instance type by id {ask_id} is not available."
        raise MarketRefusal(404, "no_such_ask", text, ask_id=ask_id)
    machine, ask = found
    if gone:
        world.withdrawn.add(ask_id)
    left = machine.end_date(world.now) <= world.now
    if ask_id in world.withdrawn or machine.machine_id in world.offline or left:
        raise _no_longer(ask_id)
    return machine, ask


def _no_longer(ask_id: int) -> MarketRefusal:
    text = f"error 410/3907: no_such_ask Instance type {ask_id} is no longer available."
    return MarketRefusal(410, "no_such_ask", text, ask_id=ask_id)


def _draft(world: World, account: int, machine: Machine, ask: Ask, order: Order) -> Contract:
    """The contract that would be made; the world does not know it yet. Its disk is what was asked
    for or what there is, whichever is less, and nobody is told."""
    disk_gb = min(order.disk_gb, machine.disk_share_gb(ask.num_gpus))
    base = machine.usd_per_hour(ask.num_gpus) if order.price is None else order.price
    return Contract(
        id=world.next_contract,
        account=account,
        machine_id=machine.machine_id,
        ask_id=ask.id,
        gpu_ids=ask.gpu_ids,
        disk_gb=disk_gb,
        is_bid=order.price is not None,
        prices=Prices(
            gpu=nano(base),
            storage=nano(machine.storage_cost * disk_gb / HOURS_PER_MONTH),
            up=nano(machine.inet_up_cost),
            down=nano(machine.inet_down_cost),
        ),
        storage_cost=machine.storage_cost,
        launch=order.launch,
        label=order.label,
        created_at=world.now,
        end_date=machine.end_date(world.now),
        key="",
    )


def _sign(world: World, contract: Contract, ssh_keys: Sequence[str]) -> None:
    """From here on it exists and its disk is paid for."""
    world.next_contract += 1
    contract.key = world.accounts.instance_key(contract.account, contract.id, world.now)
    contract.ssh_keys = [(world.number(), key) for key in ssh_keys]
    contract.host_key = random.Random(f"{world.seed}/key/{contract.id}").randbytes(32).hex()
    world.contracts[contract.id] = contract
    world.shelf(contract.account).put(contract.id, contract.label)
    purse = world.purse(contract.account)
    purse.begin(contract.id, STORAGE, contract.prices.storage, world.now)
    world.later(contract.end_date - world.now, EXPIRE, contract.id)


def _fate(faults: Mapping[str, Fault]) -> str:
    if "oci_failure" in faults:
        return BROKEN
    return STUCK if "stuck_loading" in faults else ""


def _start(world: World, contract: Contract) -> bool:
    """True where it got its GPUs; else it waits for them."""
    contract.wants = True
    if moves.place(world, contract):
        return True
    if contract.is_bid:
        life.outbid(contract, world.rng("outbid").choice(life.OUTBID_SHAPES))
    else:
        life.queue(contract)
    moves.wait(world, contract)
    return False


def _ask_ids(body: object) -> list[int]:
    if not isinstance(body, Mapping):
        raise invalid("Invalid json body")
    ids = body.get("ids")
    if ids is None:
        raise invalid("error missings offer 'ids' parameter")
    if not isinstance(ids, list) or not ids:
        raise invalid("no ask ids provided")
    if len(ids) > MOST_AT_ONCE:
        raise invalid(f"too many ask ids provided; max is {MOST_AT_ONCE}")
    if any(isinstance(each, bool) or not isinstance(each, int) for each in ids):
        raise invalid("ask ids must be integers")
    return ids
