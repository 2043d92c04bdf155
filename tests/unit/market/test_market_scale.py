"""Ten thousand instances: work and memory by the instance, not by the square."""

from __future__ import annotations

import threading
import tracemalloc
from unittest.mock import ANY

from small_market import BODY, Rig, alone

from vast_pyworker.market.refusal import MarketRefusal

MANY, SOME = 10_000, 500


def fill(rig: Rig, asks: list[int]) -> None:
    for ask in asks:
        rig.market.create(rig.account, ask, {**BODY, "label": f"job-{ask}"})
    rig.market.advance(3600)


def memory_of(rig: Rig, asks: list[int]) -> int:
    """Bytes that are held for instances of these offers, in their running state."""
    tracemalloc.start()
    try:
        fill(rig, asks)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_ten_thousand_instances_live_in_a_few_megabytes_and_page_through() -> None:
    rig = Rig(*[alone(number) for number in range(1, MANY + 1)], credit=1e6)
    asks = [machine.asks[0].id for machine in rig.machines]
    assert memory_of(rig, asks[:SOME]) / SOME < 8_000
    fill(rig, asks[SOME:])
    assert rig.market.summary()["instances_by_status"] == {"running": MANY}
    seen, token = [], None
    while True:
        page = rig.market.list_instances(rig.account, after_token=token, select_cols=["id"])
        seen += [row["id"] for row in page["instances"]]
        token = page["next_token"]
        if token is None:
            break
    assert len(seen) == len(set(seen)) == MANY
    assert seen == sorted(seen)
    rig.check_books()


def test_what_is_due_does_not_pile_up() -> None:
    rig = Rig()
    ask = rig.ask()
    for _ in range(1000):
        rig.market.destroy(rig.account, rig.create(ask))
        rig.market.advance(1)
    assert len(rig.market.state()["agenda"]) < 600


def test_a_call_with_nothing_due_looks_at_nothing_else() -> None:
    rig = Rig(*[alone(number) for number in range(1, 200)])
    numbers = [rig.create(machine.asks[0]) for machine in rig.machines]
    rig.market.advance(3600)
    looked: list[int] = []
    world = rig.market._gate.world
    plain = world.contracts

    class Watched(dict[int, object]):
        def __getitem__(self, number: int) -> object:
            looked.append(number)
            return plain[number]

        def get(self, number: int, default: object = None) -> object:  # type: ignore[override]
            looked.append(number)
            return plain.get(number, default)

    world.contracts = Watched(plain)  # type: ignore[assignment]
    rig.row(numbers[5])
    rig.market.list_instances(rig.account, limit=3)
    rig.market.set_label(rig.account, numbers[7], "x")
    assert len(looked) < 10


def test_of_many_callers_at_once_one_gets_the_offer() -> None:
    rig = Rig()
    ask, results = rig.ask().id, []

    def call() -> None:
        try:
            results.append(rig.market.create(rig.account, ask, {**BODY, "cancel_unavail": True}))
        except MarketRefusal as refusal:
            results.append(refusal.status)

    threads = [threading.Thread(target=call, daemon=True) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(results) == 16
    assert [each for each in results if each != 410] == [
        {"success": True, "new_contract": 20_000_000, "instance_api_key": ANY}
    ]
