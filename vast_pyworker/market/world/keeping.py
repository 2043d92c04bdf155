"""The world as JSON values, and back. Prices, money and times keep every digit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from vast_pyworker.errors import SettingError
from vast_pyworker.market.accounts.billing import Purse
from vast_pyworker.market.rentals.bids import Claim
from vast_pyworker.market.rentals.contracts import (
    QUEUED,
    REBOOTING,
    RUNNING,
    UNKNOWN,
    Contract,
    Increase,
    Launch,
    Prices,
)

from . import moves, outages
from .world import World

State = dict[str, Any]
VERSION = 1
_NUMBERS = ("next_contract", "next_number", "draws", "now")


def dump(world: World) -> State:
    return {
        "version": VERSION,
        "seed": world.seed,
        "machines": len(world.catalogue),
        **{name: getattr(world, name) for name in _NUMBERS},
        "contracts": [_contract_row(each) for each in world.contracts.values()],
        "purses": {str(account): purse.state() for account, purse in world.purses.items()},
        "offline": [[machine, *loss] for machine, loss in world.offline.items()],
        "withdrawn": sorted(world.withdrawn),
        "strangers": [asdict(each) for each in world.strangers.values()],
        "increases": [asdict(each) for each in world.increases.values()],
        "prices": [_price_row(world, machine_id) for machine_id in sorted(world.repriced)],
        "agenda": world.agenda.state(),
    }


def restore(world: World, state: Mapping[str, Any]) -> None:
    """Fills a fresh world. What ran starts again, as after its host was rebooted.

    SettingError where the state is of another market: machines come from the seed, not from it.
    """
    mine = {"version": VERSION, "seed": world.seed, "machines": len(world.catalogue)}
    for name, value in mine.items():
        if state.get(name) != value:
            raise SettingError(
                f"the state is of a market with {name} {state.get(name)}, this one has {value}; "
                "start with the same --seed and --hosts, or another --state file"
            )
    for name in _NUMBERS:
        setattr(world, name, state[name])
    _restore_prices(world, state["prices"])
    world.purses = {int(number): Purse.restore(row) for number, row in state["purses"].items()}
    world.offline = {machine: (lost, number) for machine, lost, number in state["offline"]}
    world.withdrawn = set(state["withdrawn"])
    world.increases = {row["id"]: _increase_of(row) for row in state["increases"]}
    world.agenda.restore(state["agenda"])
    _restore_claims(world, state)
    for machine_id, (lost, number) in list(world.offline.items()):
        if lost == UNKNOWN:
            outages.give_up_host(world, machine_id, number)
    for contract in list(world.contracts.values()):
        if contract.phase in (RUNNING, REBOOTING) and contract.lost is None:
            moves.begin(world, contract)


def _restore_claims(world: World, state: Mapping[str, Any]) -> None:
    for row in state["strangers"]:
        claim = Claim(**{**row, "gpu_ids": tuple(row["gpu_ids"])})
        world.strangers[claim.id] = claim
        world.seats.hold(claim)
    for row in state["contracts"]:
        contract = _contract_of(row)
        world.contracts[contract.id] = contract
        world.shelf(contract.account).put(contract.id, contract.label)
        if contract.holds:
            world.seats.hold(moves.claim_of(contract, contract.created_at))
        elif contract.phase == QUEUED:
            world.seats.wait(moves.claim_of(contract, contract.queued_at))


def _contract_row(contract: Contract) -> State:
    row = {each.name: getattr(contract, each.name) for each in fields(contract)}
    ports = contract.ports
    return {
        **row,
        "prices": asdict(contract.prices),
        "launch": asdict(contract.launch),
        "ports": None if ports is None else [[*key, outside] for key, outside in ports.items()],
    }


def _contract_of(row: Mapping[str, Any]) -> Contract:
    launch = row["launch"]
    ports = row["ports"]
    return Contract(
        **{
            **row,
            "gpu_ids": tuple(row["gpu_ids"]),
            "prices": Prices(**row["prices"]),
            "launch": Launch(
                **{
                    **launch,
                    "env": tuple((name, value) for name, value in launch["env"]),
                    "args": tuple(launch["args"]),
                }
            ),
            "ports": None if ports is None else _ports_of(ports),
            "ssh_keys": [(number, key) for number, key in row["ssh_keys"]],
        }
    )


def _ports_of(rows: list[list[Any]]) -> dict[tuple[int, str], int]:
    return {(port, protocol): outside for port, protocol, outside in rows}


def _increase_of(row: Mapping[str, Any]) -> Increase:
    return Increase(**{**row, "prices": Prices(**row["prices"])})


def _price_row(world: World, machine_id: int) -> list[Any]:
    machine = world.catalogue.machine(machine_id)
    if machine is None:
        raise LookupError(f"machine {machine_id} is not in the market")
    return [machine_id, machine.usd_per_gpu_hour, machine.min_bid_per_gpu]


def _restore_prices(world: World, rows: list[list[Any]]) -> None:
    for machine_id, usd_per_gpu_hour, min_bid_per_gpu in rows:
        machine = world.catalogue.machine(machine_id)
        if machine is not None:
            prices = {"usd_per_gpu_hour": usd_per_gpu_hour, "min_bid_per_gpu": min_bid_per_gpu}
            world.catalogue.replace(replace(machine, **prices))
            world.repriced.add(machine_id)
