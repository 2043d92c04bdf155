"""Money by the hour: nothing lost, nothing twice, and few writings."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledger_support import NOON, an_intent, open_ledger

from vast_pyworker.controller.ledger.charges import Charge, Kind, charges_at, hour_of
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.model import Desired, Intent


def charge(
    micro: int, at: float = NOON, *, intent: Intent | None = None, kind: Kind = "gpu"
) -> Charge:
    known = intent or an_intent(instance_id=7)
    return Charge(known.instance_id, known.id, known.group, kind, micro, hour_of(at))


@pytest.fixture
def paid(ledger: Ledger) -> Ledger:
    """A ledger with one instance, counted from noon."""
    ledger.intents.write(an_intent(instance_id=7))
    ledger.spend.accrue((), NOON)
    return ledger


def test_nothing_was_counted_before_the_first_time(ledger: Ledger) -> None:
    assert ledger.spend.last_at() is None
    assert ledger.spend.spent_micro(0.0) == 0
    assert ledger.spend.hours(0.0) == [] and ledger.spend.by_instance() == {}


def test_charges_are_summed_by_hour_group_instance_and_kind(ledger: Ledger) -> None:
    other = an_intent("b2", group="draw", instance_id=8)
    ledger.intents.write_all([an_intent(instance_id=7), other])
    ledger.spend.accrue([charge(100), charge(5, kind="disk"), charge(40, intent=other)], NOON)
    ledger.spend.accrue([charge(100), charge(50, NOON + 3600)], NOON + 3600)
    assert ledger.spend.spent_micro(NOON) == 295
    assert ledger.spend.spent_micro(NOON + 3599) == 295
    assert ledger.spend.spent_micro(NOON + 3600) == 50
    assert ledger.spend.spent_micro(NOON, "chat") == 255
    assert ledger.spend.spent_micro(NOON, "unknown") == 0
    assert ledger.spend.by_instance() == {7: 255, 8: 40}
    assert ledger.spend.by_intent("a1") == 255
    rows = [(each.hour - NOON, each.group, each.kind, each.micro_usd) for each in hours(ledger)]
    assert rows == [
        (0, "chat", "disk", 5),
        (0, "chat", "gpu", 200),
        (0, "draw", "gpu", 40),
        (3600, "chat", "gpu", 50),
    ]


def test_the_database_is_written_once_a_minute_and_at_the_turn_of_the_hour(paid: Ledger) -> None:
    start = paid.commits
    for second in range(10, 60, 10):
        paid.spend.accrue([charge(1000)], NOON + second)
    assert paid.commits == start
    paid.spend.accrue([charge(1000)], NOON + 60)
    assert paid.commits == start + 1
    paid.spend.accrue([charge(1000)], NOON + 3595)
    paid.spend.accrue([charge(1000)], NOON + 3599)
    paid.spend.accrue([charge(1000, NOON + 3600)], NOON + 3601)
    assert paid.commits == start + 3


def test_an_empty_fleet_writes_nothing(ledger: Ledger) -> None:
    ledger.spend.accrue((), NOON)
    start = ledger.commits
    for minute in range(200):
        ledger.spend.accrue((), NOON + 60 * minute)
    assert ledger.commits == start
    assert ledger.spend.last_at() == NOON + 60 * 199


def test_a_clock_that_goes_back_moves_nothing_back(paid: Ledger) -> None:
    paid.spend.accrue([charge(1000)], NOON + 60)
    paid.spend.accrue((), NOON - 7200)
    assert paid.spend.last_at() == NOON + 60
    assert paid.spend.spent_micro(NOON) == 1000


def test_a_crash_loses_only_what_will_be_counted_again(tmp_path: Path) -> None:
    first = open_ledger(tmp_path)
    first.intents.write(an_intent(instance_id=7))
    first.spend.accrue((), NOON)
    first.spend.accrue([charge(6000)], NOON + 60)
    first.spend.accrue([charge(3000)], NOON + 90)
    first.abandon()
    second = open_ledger(tmp_path)
    assert second.spend.last_at() == NOON + 60
    assert second.spend.spent_micro(NOON) == 6000
    assert second.spend.by_instance() == {7: 6000}
    second.close()


def test_an_orderly_end_loses_nothing(tmp_path: Path) -> None:
    first = open_ledger(tmp_path)
    first.intents.write(an_intent(instance_id=7))
    first.spend.accrue((), NOON)
    first.spend.accrue([charge(3000)], NOON + 30)
    first.close()
    second = open_ledger(tmp_path)
    assert second.spend.last_at() == NOON + 30
    assert second.spend.spent_micro(NOON) == 3000
    second.close()


def test_sums_of_long_ago_are_read_from_the_database(tmp_path: Path) -> None:
    year = 365 * 86400
    first = open_ledger(tmp_path)
    first.intents.write(an_intent(instance_id=7))
    first.spend.accrue([charge(3000)], NOON)
    first.spend.accrue([charge(500, NOON + year)], NOON + year)
    first.close()
    second = open_ledger(tmp_path)
    assert second.spend.spent_micro(NOON + year) == 500
    assert second.spend.spent_micro(NOON) == 3500
    assert second.spend.spent_micro(NOON, "chat") == 3500
    second.close()


# --- what ends and begins between two counts ---


def test_an_intent_is_paid_until_it_is_closed(tmp_path: Path) -> None:
    first = open_ledger(tmp_path)
    intent = an_intent(instance_id=7)
    first.intents.write(intent)
    first.spend.accrue((), NOON)
    first.spend.accrue(charges_at(intent, 0.36, NOON, NOON + 10), NOON + 10)
    first.intents.close("a1", NOON + 15, "gone")
    first.abandon()
    second = open_ledger(tmp_path)
    assert second.spend.by_instance() == {7: 1500}
    assert second.spend.spent_micro(NOON) == 1500
    second.close()


def test_a_late_charge_for_what_is_closed_is_not_counted_twice(paid: Ledger) -> None:
    intent = paid.intents.open()["a1"]
    paid.intents.close("a1", NOON + 5, "gone")
    paid.spend.accrue(charges_at(intent, 0.36, NOON, NOON + 10), NOON + 10)
    assert paid.spend.by_instance() == {7: 500}


def test_what_never_existed_cost_nothing(paid: Ledger) -> None:
    order = an_intent("b2", created_at=NOON)
    paid.intents.write(order)
    paid.spend.accrue(charges_at(order, 0.72, NOON, NOON + 70), NOON + 70)
    paid.spend.accrue(charges_at(order, 0.72, NOON + 70, NOON + 75), NOON + 75)
    assert paid.spend.by_intent("b2") == 15_000
    paid.intents.close("b2", NOON + 76, "nothing was created: the offer was gone")
    assert paid.spend.by_intent("b2") == 0
    assert paid.spend.spent_micro(NOON) == 0
    kinds = {each.kind: each.micro_usd for each in hours(paid)}
    assert kinds == {"gpu": 15_000, "reconciled": -15_000}


def test_what_turns_up_after_all_is_charged_from_its_beginning(paid: Ledger) -> None:
    paid.intents.write(an_intent("b2"))
    paid.intents.close("b2", NOON + 60, "nothing was created")
    paid.spend.accrue((), NOON + 300)
    paid.intents.write(an_intent("b2", instance_id=8, desired=Desired.DESTROY))
    assert paid.spend.by_instance()[8] == 30_000
    late = charges_at(paid.intents.open()["b2"], 0.36, NOON + 300, NOON + 310)
    paid.spend.accrue(late, NOON + 310)
    assert paid.spend.by_instance()[8] == 31_000


def test_what_is_seen_again_is_charged_for_the_time_between(paid: Ledger) -> None:
    paid.intents.close("a1", NOON + 10, "gone")
    paid.spend.accrue((), NOON + 60)
    paid.intents.write(an_intent(instance_id=7, desired=Desired.DESTROY))
    assert paid.spend.by_instance() == {7: 6000}


def test_a_stranger_with_our_label_is_charged_from_its_beginning(paid: Ledger) -> None:
    paid.spend.accrue((), NOON + 100)
    strays = [an_intent(f"s{n}", instance_id=100 + n, created_at=NOON + 50) for n in range(3)]
    paid.intents.write_all(strays)
    assert paid.spend.by_instance() == {7: 0, 100: 5000, 101: 5000, 102: 5000}
    assert paid.spend.spent_micro(NOON) == 15_000


def hours(ledger: Ledger) -> list:  # type: ignore[type-arg]
    return ledger.spend.hours(NOON)
