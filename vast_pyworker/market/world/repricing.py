"""Hosts that ask for more than they did. Increases that an owner may refuse are not made here."""

from __future__ import annotations

from dataclasses import replace

from vast_pyworker.market.supply.machines import Machine

from .world import World


def raise_price(world: World, machine: Machine, factor: float) -> Machine:
    """The host asks for more from now on; what is rented keeps its price."""
    dearer = replace(
        machine,
        usd_per_gpu_hour=machine.usd_per_gpu_hour * factor,
        min_bid_per_gpu=machine.min_bid_per_gpu * factor,
    )
    world.catalogue.replace(dearer)
    world.repriced.add(machine.machine_id)
    return dearer
