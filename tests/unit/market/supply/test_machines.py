from __future__ import annotations

import pytest
from market_parts import DAY_S, EPOCH, ask_for, machine_of

from vast_pyworker.market.supply.hosts import slots
from vast_pyworker.market.supply.machines import Occupancy, asks_left, is_rented, min_bid


def test_asks_are_every_slot_of_1_2_4_and_all_gpus() -> None:
    assert list(slots(1)) == [(0,)]
    assert list(slots(4)) == [(0,), (1,), (2,), (3,), (0, 1), (2, 3), (0, 1, 2, 3)]
    assert list(slots(6))[6:] == [(0, 1), (2, 3), (4, 5), (0, 1, 2, 3), (0, 1, 2, 3, 4, 5)]


def test_taking_a_gpu_takes_every_ask_that_it_is_in() -> None:
    machine = machine_of(4)
    left = asks_left(machine, Occupancy(on_demand=frozenset({1})))
    assert [ask.gpu_ids for ask in left] == [(0,), (2,), (3,), (2, 3)]
    assert asks_left(machine) == machine.asks
    assert asks_left(machine, Occupancy(on_demand=frozenset(range(4)))) == ()


def test_gpus_of_strangers_are_taken_from_the_start() -> None:
    machine = machine_of(4, held_gpus=frozenset({0, 1}))
    assert [ask.gpu_ids for ask in asks_left(machine)] == [(2,), (3,), (2, 3)]


def test_a_bid_does_not_keep_an_on_demand_contract_away() -> None:
    machine = machine_of(2)
    assert not is_rented(machine, machine.asks[0], Occupancy(bids={0: 9.0}))


def test_min_bid_is_the_floor_or_more_than_the_highest_running_bid() -> None:
    machine = machine_of(2, min_bid_per_gpu=0.1)
    both = ask_for(machine, 2)
    assert min_bid(machine, both) == pytest.approx(0.2)
    assert min_bid(machine, both, Occupancy(bids={1: 0.05})) == pytest.approx(0.2)
    assert 0.6 < min_bid(machine, both, Occupancy(bids={0: 0.3, 1: 0.2})) < 0.62
    assert min_bid(machine, machine.asks[0], Occupancy(bids={1: 0.3})) == pytest.approx(0.1)


def test_a_host_lists_anew_or_leaves() -> None:
    stays = machine_of(1, listed_until=EPOCH + DAY_S, relisted_s=30 * DAY_S)
    leaves = machine_of(1, listed_until=EPOCH + DAY_S, relisted_s=0.0)
    assert stays.end_date(EPOCH) == leaves.end_date(EPOCH) == EPOCH + DAY_S
    assert stays.end_date(EPOCH + DAY_S) == EPOCH + 31 * DAY_S
    assert stays.end_date(EPOCH + 400 * DAY_S) > EPOCH + 400 * DAY_S
    assert leaves.end_date(EPOCH + 400 * DAY_S) == EPOCH + DAY_S


def test_disk_is_shared_by_the_fraction_and_priced_by_the_month() -> None:
    machine = machine_of(4, disk_gb=1000.0, storage_cost=0.72)
    assert machine.disk_share_gb(1) == 250.0
    assert machine.disk_share_gb(4) == 1000.0
    assert machine.storage_usd_per_hour(100) == pytest.approx(0.1)
