"""Money that may be spent: every limit for itself, and no where anything is unknown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vast_pyworker.controller.budget import window_ends, window_starts
from vast_pyworker.controller.spending import Budget, budget_of
from vast_pyworker.model import Desired, Intent, Limits

NOON = 1_760_011_200.0  # 2025-10-09 12:00:00 UTC
DAY = 86400.0
WIDE = Limits(instances=10, usd_per_hour=5.0)
EMPTY = Budget(WIDE, 0.0, 0, 0, 0, NOON)


def limited(**fields: float | None) -> Budget:
    return replace(EMPTY, limits=replace(WIDE, **fields))  # type: ignore[arg-type]


def test_what_fits_is_allowed_and_says_nothing() -> None:
    verdict = limited(usd_per_day=12.0, usd_per_month=600.0).verdict(1.0)
    assert (verdict.allowed, verdict.sentence) == (True, "")


def test_the_number_of_instances_is_a_ceiling() -> None:
    full = replace(EMPTY, instances=9)
    assert full.verdict(0.1).allowed
    assert full.verdict(0.1, planned=1).sentence == (
        "One more would be 11 instances of at most 10 (limits.instances)."
    )


def test_dollars_an_hour_are_a_ceiling_for_all_that_is_committed() -> None:
    budget = replace(EMPTY, committed_usd_per_hour=4.0, instances=4)
    assert budget.verdict(1.0).allowed
    assert budget.verdict(0.5, planned=1).allowed
    assert budget.verdict(0.5, planned=2).sentence == (
        "One more at $0.500/h would be $5.500/h of at most $5.000/h (limits.usd_per_hour)."
    )


def test_one_more_counts_for_an_hour_also_where_the_day_ends_sooner() -> None:
    late = replace(limited(usd_per_day=12.0), now=NOON + DAY / 2 - 120.0)
    assert replace(late, spent_day_micro=11_500_000).verdict(0.5).allowed
    refused = replace(late, spent_day_micro=11_500_001).verdict(0.5)
    assert refused.sentence == (
        "One more at $0.500/h could take the day to $12.00 of at most $12.00 "
        "(limits.usd_per_day): $11.50 is spent, and $0.500/h for the 0.0 hours left may follow, "
        "and one more counts for an hour: its image is billed."
    )


def test_a_day_has_room_for_what_may_still_come_in_it() -> None:
    budget = replace(
        limited(usd_per_day=20.0),
        committed_usd_per_hour=1.0,
        instances=1,
        spent_day_micro=5_000_000,
    )
    assert budget.verdict(0.25).allowed
    assert budget.verdict(0.26).sentence == (
        "One more at $0.260/h could take the day to $20.12 of at most $20.00 "
        "(limits.usd_per_day): $5.00 is spent, and $1.260/h for the 12.0 hours left may follow."
    )
    assert replace(budget, now=NOON + 11 * 3600).verdict(3.9).allowed


def test_a_month_has_room_for_what_may_still_come_in_it() -> None:
    budget = replace(limited(usd_per_month=100.0), spent_month_micro=46_000_000)
    assert budget.verdict(0.1).allowed
    refused = budget.verdict(0.11)
    assert "could take the month to $105.40 of at most $100.00 (limits.usd_per_month)" in (
        refused.sentence
    )


def test_limits_that_are_not_set_do_not_limit() -> None:
    assert replace(EMPTY, spent_day_micro=None, spent_month_micro=None).verdict(5.0).allowed


@pytest.mark.parametrize(
    ("budget", "usd_per_hour"),
    [
        (EMPTY, None),
        (EMPTY, float("nan")),
        (EMPTY, float("inf")),
        (EMPTY, -0.1),
        (replace(EMPTY, instances=None), 0.1),
        (replace(EMPTY, committed_usd_per_hour=None), 0.1),
        (replace(EMPTY, committed_usd_per_hour=float("nan")), 0.1),
        (replace(limited(usd_per_day=1000.0), spent_day_micro=None), 0.1),
        (replace(limited(usd_per_month=1000.0), spent_month_micro=None), 0.1),
    ],
)
def test_what_is_unknown_is_refused_in_a_sentence(
    budget: Budget, usd_per_hour: float | None
) -> None:
    verdict = budget.verdict(usd_per_hour)
    assert not verdict.allowed
    assert verdict.sentence.startswith("Nothing is rented") and "known" in verdict.sentence


def test_what_there_is_can_go_on_until_the_money_of_a_window_is_spent() -> None:
    budget = replace(
        limited(usd_per_day=10.0),
        committed_usd_per_hour=2.0,
        instances=2,
        spent_day_micro=9_000_000,
    )
    assert budget.exhausted(1800.0) == ""
    assert budget.exhausted(2400.0) == (
        "The day costs $10.33 of at most $10.00 (limits.usd_per_day) within 40 minutes: "
        "$9.00 is spent, and all runs at $2.000/h."
    )
    assert replace(budget, now=NOON + 12 * 3600 - 60).exhausted(2400.0) == ""
    assert replace(budget, spent_day_micro=None).exhausted(2400.0) == ""


def test_windows_are_those_of_utc() -> None:
    midnight = NOON - DAY / 2
    assert window_starts(NOON) == (midnight, midnight - 8 * DAY)
    assert window_ends(NOON) == (midnight + DAY, midnight + 23 * DAY)
    assert window_starts(midnight) == (midnight, midnight - 8 * DAY)
    assert window_starts(midnight - 1)[0] == midnight - DAY
    december = 1_766_966_400.0  # 2025-12-29
    assert window_ends(december)[1] == 1_767_225_600.0  # 2026-01-01


# --- from what is open and what was spent ---


class Spent:
    """Sums as the ledger gives them; ``day`` is what the hours of this day hold."""

    def __init__(self, day: int, month: int, last_at: float | None) -> None:
        self.day, self.month, self.last = day, month, last_at

    def spent_micro(self, since: float, group: str | None = None) -> int:
        return self.day if since == window_starts(NOON)[0] else self.month

    def last_at(self) -> float | None:
        return self.last


def an_intent(**fields: object) -> Intent:
    known = Intent(
        id="a1", group="chat", label="", created_at=NOON, desired=Desired.RUN, desired_at=NOON,
        reason="", set_by="", usd_per_hour_cap=0.72, usd_per_hour=0.36,
    )  # fmt: skip
    return replace(known, **fields)  # type: ignore[arg-type]


def budget(intents: Iterable[Intent], spent: Spent) -> Budget:
    limits = replace(WIDE, usd_per_day=10.0, usd_per_month=100.0)
    return budget_of(limits, intents, spent, NOON)


def test_all_that_is_open_is_committed_at_its_running_price() -> None:
    intents = [
        an_intent(),
        an_intent(usd_per_hour=None),
        an_intent(desired=Desired.STOP),
        an_intent(desired=Desired.DESTROY, held=True),
    ]
    found = budget(intents, Spent(1_000_000, 2_000_000, NOON))
    assert found.committed_usd_per_hour == pytest.approx(3 * 0.36 + 0.72)
    assert found.instances == 4
    assert (found.spent_day_micro, found.spent_month_micro) == (1_000_000, 2_000_000)


def test_time_that_is_not_counted_yet_is_spent_too() -> None:
    found = budget([an_intent()], Spent(0, 0, NOON - 100))
    assert found.spent_day_micro == 10_000
    long_ago = budget([an_intent()], Spent(0, 0, NOON - 2 * DAY))
    assert long_ago.spent_day_micro == 12 * 360_000
    assert long_ago.spent_month_micro == 48 * 360_000


def test_a_clock_that_went_back_takes_nothing_off() -> None:
    assert budget([an_intent()], Spent(7, 7, NOON + 500)).spent_day_micro == 7


def test_money_that_was_never_counted_is_unknown_unless_there_is_nothing_to_count() -> None:
    assert not budget([an_intent()], Spent(0, 0, None)).verdict(0.1).allowed
    assert budget([], Spent(0, 0, None)).verdict(0.1).allowed


prices = st.floats(0.01, 2.0)


@given(
    st.lists(prices, max_size=8),
    st.integers(0, 20_000_000),
    st.floats(0, DAY - 1),
    prices,
    st.integers(0, 3),
)
def test_what_is_allowed_cannot_exceed_any_limit_before_its_window_ends(
    running: list[float], spent: int, into_s: float, usd_per_hour: float, planned: int
) -> None:
    limits = Limits(instances=6, usd_per_hour=4.0, usd_per_day=30.0, usd_per_month=2000.0)
    now = window_starts(NOON)[0] + into_s
    found = Budget(limits, sum(running), len(running), spent, spent, now)
    if found.verdict(usd_per_hour, planned).allowed:
        rate = sum(running) + (planned + 1) * usd_per_hour
        hours = (window_ends(now)[0] - now) / 3600
        assert len(running) + planned + 1 <= 6 and rate <= 4.0 + 1e-6
        assert spent / 1e6 + rate * hours <= 30.0 + 1e-6
