"""Any calls in any order, and any time between them: what must always hold of the market."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from small_market import Rig, plain

from vast_pyworker.market.faults.kinds import WORLD_KINDS
from vast_pyworker.market.refusal import MarketRefusal
from vast_pyworker.market.rentals.contracts import HOLDING, QUEUED, RUNNING

ASKS = st.integers(0, 10)
PICK = st.integers(0, 30)
PRICES = st.sampled_from([None, None, 0.3, 0.45, 0.5, 0.9, 2.0])
SECONDS = st.sampled_from([0.0, 0.5, 7.0, 40.0, 600.0, 90_000.0, 3_000_000.0])


class MarketRules(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig(plain(4), credit=60.0)
        self.market, self.account = self.rig.market, self.rig.account
        self.asks = self.rig.machines[0].asks
        self.ever: list[int] = []
        self.destroyed: set[int] = set()

    def pick(self, index: int) -> int:
        return self.ever[index % len(self.ever)] if self.ever else 1

    def ask(self, call: Any) -> dict[str, Any] | None:
        """A call that may be refused, but never without a status."""
        try:
            answer: dict[str, Any] = call()
        except MarketRefusal as refusal:
            assert refusal.status in (200, 400, 404, 410)
            return None
        return answer

    @rule(ask=ASKS, price=PRICES, cancel=st.sampled_from([True, False, None]))
    def create(self, ask: int, price: float | None, cancel: bool | None) -> None:
        number = self.asks[ask % len(self.asks)].id
        body = {"image": "x", "disk": 50.0, "price": price, "cancel_unavail": cancel}
        answer = self.ask(lambda: self.market.create(self.account, number, body))
        if answer is not None:
            assert answer["new_contract"] not in self.ever
            self.ever.append(answer["new_contract"])

    @rule(index=PICK, state=st.sampled_from(["running", "stopped"]))
    def set_state(self, index: int, state: str) -> None:
        self.ask(lambda: self.market.set_state(self.account, self.pick(index), state))

    @rule(state=st.sampled_from(["running", "stopped"]))
    def set_all(self, state: str) -> None:
        self.ask(lambda: self.market.set_state_many(self.account, self.ever[-64:], state))

    @rule(index=PICK, price=PRICES)
    def change_bid(self, index: int, price: float | None) -> None:
        self.ask(lambda: self.market.change_bid(self.account, self.pick(index), price))

    @rule(index=PICK, call=st.sampled_from(["reboot", "recycle", "show", "balance"]))
    def act(self, index: int, call: str) -> None:
        self.ask(lambda: getattr(self.market, call)(self.account, self.pick(index)))

    @rule(index=PICK)
    def destroy(self, index: int) -> None:
        number = self.pick(index)
        if self.ask(lambda: self.market.destroy(self.account, number)) is not None:
            self.destroyed.add(number)

    @rule(seconds=SECONDS)
    def advance(self, seconds: float) -> None:
        self.market.advance(seconds)

    @rule(usd=st.sampled_from([5.0, 100.0]))
    def pay(self, usd: float) -> None:
        self.market.add_credit(self.account, usd)

    @rule(kind=st.sampled_from(sorted(set(WORLD_KINDS) - {"offer_gone"})), index=PICK)
    def strike(self, kind: str, index: int) -> None:
        self.ask(lambda: self.market.strike(kind, self.pick(index)))

    @rule(index=PICK)
    def end(self, index: int) -> None:
        self.rig.runtime.ended = [(self.pick(index), 1)]
        self.market.tick()

    @rule(accept=st.booleans())
    def answer_increase(self, accept: bool) -> None:
        for row in self.market.price_increases(self.account)["pending_price_increases"]:
            number = row["pending_price_increase_id"]
            if accept:
                self.market.accept_price_increase(self.account, number)
            else:
                self.market.reject_price_increase(self.account, number)

    @rule()
    def restart(self) -> None:
        again = Rig(*self.rig.machines, credit=60.0)
        again.accounts.restore(self.rig.accounts.state())
        again.market.restore(self.market.state())
        self.rig, self.market = again, again.market

    @invariant()
    def charges_are_what_the_credit_fell_by(self) -> None:
        world = self.market._gate.world
        purse = world.purse(self.account)
        charged = sum(charge.units for charge in purse.entries(world.now))
        assert purse.paid - charged == purse.credit(world.now)

    @invariant()
    def no_gpu_is_held_twice_and_none_by_who_stands_still(self) -> None:
        world = self.market._gate.world
        held: dict[int, int] = {}
        for contract in world.contracts.values():
            if contract.phase in HOLDING:
                for gpu in contract.gpu_ids:
                    assert held.setdefault(gpu, contract.id) == contract.id
        strangers = {gpu: s.id for s in world.strangers.values() for gpu in s.gpu_ids}
        machine = self.rig.machines[0].machine_id
        assert world.seats.holders(machine) == {**held, **strangers}
        assert not set(held) & set(strangers)

    @invariant()
    def who_waits_cannot_have_its_gpus(self) -> None:
        world = self.market._gate.world
        machine = self.rig.machines[0]
        waiting = {claim.id: claim for claim in world.seats.waiting(machine.machine_id)}
        queued = {c.id for c in world.contracts.values() if c.phase == QUEUED}
        assert set(waiting) == queued
        if machine.machine_id not in world.offline:
            current = world.catalogue.machine(machine.machine_id)
            assert current is not None
            assert all(world.seats.losers(current, claim) is None for claim in waiting.values())

    @invariant()
    def gpus_are_paid_for_exactly_while_running(self) -> None:
        world = self.market._gate.world
        rates = {"gpu": 0, "storage": 0}
        for contract in world.contracts.values():
            if contract.phase == RUNNING and contract.lost is None:
                rates["gpu"] += contract.prices.gpu
            if contract.lost != "offline":
                rates["storage"] += contract.prices.storage
        paid = world.purse(self.account).rates
        assert {kind: paid[kind] for kind in rates} == rates

    @invariant()
    def without_credit_nothing_runs(self) -> None:
        world = self.market._gate.world
        if world.purse(self.account).credit(world.now) <= 0:
            assert not [c for c in world.contracts.values() if c.phase in HOLDING]

    @rule()
    def pages_are_what_there_is(self) -> None:
        rows, token = [], None
        while True:
            page = self.market.list_instances(self.account, limit=3, after_token=token)
            rows += page["instances"]
            token = page["next_token"]
            if token is None:
                break
        world = self.market._gate.world
        assert [row["id"] for row in rows] == sorted(world.contracts)
        assert page["total_instances"] == len(rows)
        assert not self.destroyed & {row["id"] for row in rows}
        for row in rows:
            assert row == self.market.show(self.account, row["id"])
            assert row["dph_total"] == pytest.approx(
                row["dph_base"] + row["storage_cost"] * row["disk_space"] / 720
            )
            assert (row["ports"] is None) == (row["actual_status"] != "running")


TestAnyOrder = MarketRules.TestCase
TestAnyOrder.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
