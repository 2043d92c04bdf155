"""Who gets the GPUs: on demand before bids, a higher bid before a lower one."""

from __future__ import annotations

import pytest
from small_market import Rig, plain, refused_unchanged

from vast_pyworker.market.rentals.bids import Claim, Seats

SHAPES = {
    "stopped": ("stopped", "stopped", "stopped", "stopped"),
    "exited": ("exited", "stopped", "stopped", "stopped"),
    "intended": ("stopped", "running", "stopped", "stopped"),
}


def test_on_demand_takes_the_gpus_of_a_bid_which_resumes_by_itself() -> None:
    rig = Rig()
    bid = rig.running(price=0.5)
    dear = rig.answer()
    assert dear["success"] is True
    assert rig.states(bid) in SHAPES.values()
    assert rig.row(bid)["ports"] is None
    rig.market.advance(86400)
    assert rig.states(bid) in SHAPES.values()
    rig.market.destroy(rig.account, dear["new_contract"])
    rig.market.advance(600)
    assert rig.states(bid)[0] == "running"
    rig.check_books()


def test_the_highest_bid_runs_and_an_equal_one_waits() -> None:
    rig = Rig()
    low, equal, high = rig.running(price=0.5), rig.answer(price=0.5), rig.answer(price=0.6)
    assert (equal["success"], high["success"]) == (False, True)
    assert rig.states(low) in SHAPES.values()
    rig.market.destroy(rig.account, high["new_contract"])
    rig.market.advance(600)
    assert rig.states(low)[0] == "running" or rig.states(equal["new_contract"])[0] == "running"
    assert len([n for n in (low, equal["new_contract"]) if rig.row(n)["ports"] is not None]) == 1


@pytest.mark.parametrize("shape", SHAPES)
def test_an_outbid_one_can_be_seen_in_three_shapes(shape: str) -> None:
    rig = Rig()
    number = rig.running(price=0.5)
    rig.market.strike("outbid", number, params={"shape": shape, "back_s": 100})
    assert rig.states(number) == SHAPES[shape]
    assert rig.row(number)["min_bid"] > 0.5
    rig.market.advance(700)
    assert rig.states(number)[0] == "running"


def test_all_three_shapes_come_by_themselves() -> None:
    seen = set()
    for seed in range(20):
        rig = Rig(seed=seed)
        number = rig.running(price=0.5)
        rig.market.strike("outbid", number)
        seen.add(rig.states(number))
    assert seen == set(SHAPES.values())


def test_a_bid_that_is_too_low_makes_a_contract_that_stands_still_and_costs() -> None:
    rig = Rig()
    answer = rig.answer(price=0.39)
    assert answer["success"] is False
    number = answer["new_contract"]
    assert rig.states(number) in SHAPES.values()
    before = rig.market.credit(rig.account)
    rig.market.advance(3600)
    assert before - rig.market.credit(rig.account) == pytest.approx(20 * 0.72 / 720)
    assert rig.market.change_bid(rig.account, number, 0.4) == {"success": True}
    rig.market.advance(600)
    assert rig.states(number)[0] == "running"


def test_a_higher_bid_wins_the_gpus_back_and_is_what_is_paid() -> None:
    rig = Rig()
    number = rig.running(price=0.5)
    rig.market.strike("outbid", number)
    least = rig.row(number)["min_bid"]
    assert rig.market.change_bid(rig.account, number, least) == {"success": True}
    rig.market.advance(600)
    assert rig.states(number)[0] == "running"
    assert rig.row(number)["dph_base"] == pytest.approx(least)
    assert rig.market.spend_rate(rig.account)["gpu_cost_per_hour"] == pytest.approx(least)


def test_a_bid_lowered_below_a_waiting_one_loses() -> None:
    rig = Rig()
    first, second = rig.running(price=0.6), rig.create(price=0.5)
    rig.market.change_bid(rig.account, first, 0.45)
    rig.market.advance(600)
    assert rig.states(second)[0] == "running"
    assert rig.states(first) in SHAPES.values()


def test_a_bid_lowered_below_the_hosts_least_loses() -> None:
    rig = Rig()
    number = rig.running(price=0.6)
    rig.market.change_bid(rig.account, number, 0.1)
    assert rig.states(number) in SHAPES.values()


@pytest.mark.parametrize("price", [None, 0, -1, 0.0009, 33, "1", True, float("nan"), float("inf")])
def test_a_bid_that_cannot_be_is_refused(price: object) -> None:
    rig = Rig()
    number = rig.create(price=0.5)
    refusal = refused_unchanged(rig, lambda: rig.market.change_bid(rig.account, number, price))
    assert (refusal.status, refusal.code) == (400, "invalid_args")


def test_the_price_on_demand_cannot_be_changed() -> None:
    rig = Rig()
    number = rig.create()
    refusal = refused_unchanged(rig, lambda: rig.market.change_bid(rig.account, number, 1.0))
    assert refusal.msg == "Can't change price of on-demand contract."


def test_one_dear_wish_for_all_gpus_displaces_several_and_leaves_none_idle() -> None:
    rig = Rig(plain(4))
    singles = [ask for ask in rig.machines[0].asks if ask.num_gpus == 1]
    small = [rig.running(ask, price=0.5) for ask in singles]
    pair = rig.create(rig.ask(2), price=1.4)
    rig.market.advance(600)
    assert rig.states(pair)[0] == "running"
    running = [number for number in small if rig.states(number)[0] == "running"]
    assert len(running) == 2
    whole = rig.create(rig.ask(4))
    rig.market.advance(600)
    assert rig.states(whole)[0] == "running"
    assert not [number for number in (*small, pair) if rig.row(number)["ports"]]
    rig.market.destroy(rig.account, whole)
    rig.market.advance(600)
    assert rig.states(pair)[0] == "running"
    assert len([n for n in small if rig.states(n)[0] == "running"]) == 2


def test_a_search_sees_who_runs_and_what_outbids_them() -> None:
    rig = Rig()
    rig.running(price=0.5)
    one = rig.machines[0].asks[0].id
    offers = {
        each["id"]: each for each in rig.market.search({"type": "bid", "disable_bundling": True})
    }
    assert offers[one]["min_bid"] == pytest.approx(0.505)
    rig.create()
    offers = {each["id"]: each for each in rig.market.search({"disable_bundling": True})}
    assert offers[one]["rentable"] is False


def test_gpus_that_are_held_are_never_held_twice() -> None:
    seats = Seats()
    seats.hold(Claim(1, 7, (0, 1), None, 0.0))
    with pytest.raises(ValueError, match="held already"):
        seats.hold(Claim(2, 7, (1,), None, 0.0))


def test_who_is_forgotten_leaves_nothing() -> None:
    seats = Seats()
    seats.hold(Claim(1, 7, (0, 1), 0.5, 0.0))
    seats.wait(Claim(2, 7, (1,), 0.4, 0.0))
    seats.forget(1)
    seats.forget(2)
    assert (seats.occupied, seats.waiting(7), seats.holders(7)) == ({}, [], {})
