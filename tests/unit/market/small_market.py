"""A market of a few machines, one account and a clock that only the test moves."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from market_parts import EPOCH, ask_for, machine_of

from vast_pyworker.market.accounts.accounts import Accounts
from vast_pyworker.market.faults.book import FaultBook, parse_faults
from vast_pyworker.market.market import Market
from vast_pyworker.market.refusal import MarketRefusal
from vast_pyworker.market.runtime import Box
from vast_pyworker.market.runtime.simulated import SimulatedRuntime
from vast_pyworker.market.supply.machines import Ask, Machine
from vast_pyworker.market.world.clock import Clock

LISTED_S = 30 * 86400.0
BODY: Mapping[str, Any] = {"image": "ubuntu:22.04", "disk": 20.0, "cancel_unavail": False}
MONTH_S = 720 * 3600.0
KEYS = itertools.count(1)


class WatchedRuntime(SimulatedRuntime):
    """The simulated one, which also says what it was told and what has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, int]] = []
        self.boxes: dict[int, Box] = {}
        self.ended: list[tuple[int, int]] = []

    def start(self, box: Box) -> dict[tuple[int, str], int]:
        self.told.append(("start", box.instance_id))
        self.boxes[box.instance_id] = box
        return super().start(box)

    def stop(self, instance_id: int) -> None:
        self.told.append(("stop", instance_id))
        super().stop(instance_id)

    def remove(self, instance_id: int) -> None:
        self.told.append(("remove", instance_id))
        super().remove(instance_id)

    def reap(self) -> list[tuple[int, int]]:
        ended, self.ended = self.ended, []
        return ended


def plain(num_gpus: int = 2, **changes: Any) -> Machine:
    """A machine with round prices: $1 per GPU and hour, bids from $0.40, $0.72 per GB and month."""
    prices = {
        "usd_per_gpu_hour": 1.0,
        "min_bid_per_gpu": 0.4,
        "storage_cost": 0.72,
        "inet_up_cost": 0.0,
        "inet_down_cost": 0.0,
        "inet_down_mbit_s": 800.0,
        "disk_gb": 200.0 * num_gpus,
        "listed_until": EPOCH + LISTED_S,
        "relisted_s": 0.0,
        "discount_max": 0.4,
    }
    return machine_of(num_gpus, **{**prices, **changes})


def alone(number: int) -> Machine:
    """A machine of one GPU that differs from others by its number."""
    return plain(1, machine_id=number, asks=(Ask(9_000_000 + number, number, (0,)),))


class Rig:
    """``account`` is the only one unless ``open`` makes more; ``runtime`` can be asked."""

    def __init__(
        self,
        *machines: Machine,
        credit: float = 1000.0,
        median_s: float = 30.0,
        seed: int = 1,
        faults: object = (),
        epoch: float = EPOCH,
    ) -> None:
        self.machines = machines or (plain(),)
        self.clock = Clock(0, epoch=epoch)
        self.runtime = WatchedRuntime()
        self.accounts = Accounts(lambda: f"key-{next(KEYS)}")
        self.account = self.open("me", credit)
        self.book = FaultBook(seed, parse_faults(faults))  # type: ignore[arg-type]
        self.market = Market(
            self.machines,
            self.clock,
            self.runtime,
            accounts=self.accounts,
            seed=seed,
            faults=self.book,
            loading_median_s=median_s,
        )
        self.market.credit(self.account)

    def open(self, name: str, credit: float) -> int:
        """Another account, whose money the market knows from its first call on."""
        return self.accounts.open(name, credit=credit, now=self.clock.now()).id

    def ask(self, num_gpus: int = 1, machine: int = 0) -> Ask:
        return ask_for(self.machines[machine], num_gpus)

    def create(self, ask: Ask | None = None, *, account: int | None = None, **body: Any) -> int:
        """The number of a new instance, whether it started or not."""
        return int(self.answer(ask, account=account, **body)["new_contract"])

    def answer(
        self, ask: Ask | None = None, *, account: int | None = None, **body: Any
    ) -> dict[str, Any]:
        owner = self.account if account is None else account
        return self.market.create(owner, (ask or self.ask()).id, {**BODY, **body})

    def running(self, ask: Ask | None = None, **body: Any) -> int:
        number = self.create(ask, **body)
        self.market.advance(3600.0)
        assert self.row(number)["actual_status"] == "running"
        return number

    def row(self, number: int, account: int | None = None) -> dict[str, Any]:
        found = self.market.show(self.account if account is None else account, number)
        assert found is not None
        return found

    def states(self, number: int) -> tuple[str | None, str, str, str]:
        """actual, intended, cur, next."""
        row = self.row(number)
        return (row["actual_status"], row["intended_status"], row["cur_state"], row["next_state"])

    def history(self, number: int, *, seconds: float, step: float = 0.5) -> list[str | None]:
        """The different values of actual_status over a time, in order."""
        seen = [self.row(number)["actual_status"]]
        for _ in range(int(seconds / step)):
            self.market.advance(step)
            if (status := self.row(number)["actual_status"]) != seen[-1]:
                seen.append(status)
        return seen

    def check_books(self) -> None:
        """Charges are what the credit fell by, to the last unit."""
        for account in self.accounts:
            bill = self.market.bill(account.id)
            assert bill["paid"] - bill["charged"] == pytest.approx(bill["credit"], abs=1e-9)


def refused(call: Callable[[], object]) -> MarketRefusal:
    with pytest.raises(MarketRefusal) as caught:
        call()
    return caught.value


def refused_unchanged(rig: Rig, call: Callable[[], object]) -> MarketRefusal:
    """The refusal of a call that must leave no trace in the market's state."""
    before = copy.deepcopy(rig.market.state())
    refusal = refused(call)
    assert rig.market.state() == before
    return refusal
