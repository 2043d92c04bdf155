"""The provider's bill has the last word on every instance that the ledger knows."""

from __future__ import annotations

from math import ceil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_support import NOON, an_intent, open_ledger

from vast_pyworker.controller.ledger.charges import Charge, charges_at, hour_of
from vast_pyworker.controller.ledger.ledger import Ledger

LATER = NOON + 2 * 3600.0


@pytest.fixture
def paid(ledger: Ledger) -> Ledger:
    """A ledger with two hours and ten seconds of one instance, the last of them not written."""
    intent = an_intent(instance_id=7)
    ledger.intents.write(intent)
    ledger.spend.accrue((), NOON)
    ledger.spend.accrue(charges_at(intent, 0.36, NOON, LATER), LATER)
    ledger.spend.accrue(charges_at(intent, 0.36, LATER, LATER + 10), LATER + 10)
    return ledger


def by_hour(ledger: Ledger) -> dict[int, int]:
    found: dict[int, int] = {}
    for each in ledger.spend.hours(0.0):
        hour = int(each.hour - NOON) // 3600
        found[hour] = found.get(hour, 0) + each.micro_usd
    return found


def test_a_higher_bill_counts_now(paid: Ledger) -> None:
    paid.spend.reconcile({7: 1.0}, LATER + 20)
    assert paid.spend.by_instance() == {7: 1_000_000}
    assert by_hour(paid) == {0: 360_000, 1: 360_000, 2: 280_000}
    assert paid.spend.spent_micro(LATER) == 280_000


def test_a_lower_bill_is_taken_from_the_newest_hours_and_none_falls_below_nothing(
    paid: Ledger,
) -> None:
    paid.intents.close("a1", LATER + 10, "gone")
    paid.spend.reconcile({7: 0.5}, LATER + 20)
    assert paid.spend.by_instance() == {7: 500_000}
    assert by_hour(paid) == {0: 360_000, 1: 140_000, 2: 0}
    paid.spend.reconcile({7: 0.01}, LATER + 20)
    assert by_hour(paid) == {0: 10_000, 1: 0, 2: 0}
    assert paid.spend.spent_micro(NOON, "chat") == 10_000


def test_a_lower_bill_of_one_that_is_still_there_is_only_late(paid: Ledger) -> None:
    before = paid.spend.by_instance()
    paid.spend.reconcile({7: 0.5}, LATER + 20)
    assert paid.spend.by_instance() == before


def test_the_same_bill_again_writes_nothing(paid: Ledger) -> None:
    paid.spend.reconcile({7: 0.5}, LATER + 20)
    before = paid.commits
    paid.spend.reconcile({7: 0.5}, LATER + 30)
    assert paid.commits == before


def test_a_closed_instance_is_still_reconciled(paid: Ledger) -> None:
    paid.intents.close("a1", LATER + 20, "gone")
    paid.spend.reconcile({7: 0.25}, LATER + 30)
    assert paid.spend.by_instance() == {7: 250_000}


@pytest.mark.parametrize("usd", [-1.0, float("nan"), float("inf")])
def test_a_bill_that_cannot_be_is_left_out(paid: Ledger, usd: float) -> None:
    before = paid.spend.by_instance()
    paid.spend.reconcile({7: usd, 12345: 5.0}, LATER + 20)
    assert paid.spend.by_instance() == before


bills = st.lists(st.dictionaries(st.integers(0, 3), st.floats(0, 3), max_size=4), max_size=5)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(bills, st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 900_000))))
def test_sums_are_what_was_billed_and_no_hour_is_below_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    seen: list[dict[int, float]],
    charges: list[tuple[int, int, int]],
) -> None:
    ledger = open_ledger(Path(tmp_path_factory.mktemp("bills")))
    ledger.intents.write_all(an_intent(f"i{n}", instance_id=n) for n in range(4))
    hours = [
        Charge(n, f"i{n}", "chat", "gpu", micro, hour_of(NOON) + 3600 * hour)
        for n, hour, micro in charges
    ]
    ledger.spend.accrue(hours, NOON)
    for n in range(4):
        ledger.intents.close(f"i{n}", NOON, "gone")
    for number, bill in enumerate(seen):
        ledger.spend.reconcile(bill, NOON + 3600 * number)
        sums = ledger.spend.by_instance()
        assert all(sums[n] == ceil(usd * 1e6 - 1e-3) for n, usd in bill.items())
        assert min(by_hour(ledger).values(), default=0) >= 0
        assert sum(sums.values()) == sum(by_hour(ledger).values()) == ledger.spend.spent_micro(0.0)
    ledger.close()
