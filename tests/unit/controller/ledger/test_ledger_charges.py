"""The integral of a price: exact however often it is taken."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vast_pyworker.controller.ledger.charges import HOUR_S, hour_of, integral

HOUR = 1_760_011_200  # one that begins at 12:00 UTC
prices = st.floats(0.0, 50.0)
moments = st.floats(HOUR, HOUR + 5 * HOUR_S)


def test_a_spell_over_three_hours_is_parted_at_their_borders() -> None:
    found = integral(0.36, HOUR + 1800, HOUR + 2 * HOUR_S + 60)
    assert found == [(HOUR, 180_000), (HOUR + 3600, 360_000), (HOUR + 7200, 6_000)]


@pytest.mark.parametrize(
    ("usd_per_hour", "since", "until"),
    [(0.0, HOUR, HOUR + 60), (0.5, HOUR + 60, HOUR), (0.5, HOUR, HOUR), (-1.0, HOUR, HOUR + 60)],
)
def test_nothing_is_due_without_a_price_or_a_time(
    usd_per_hour: float, since: float, until: float
) -> None:
    assert integral(usd_per_hour, since, until) == []


@given(prices, st.lists(moments, min_size=2, max_size=30))
def test_many_looks_add_up_to_one(usd_per_hour: float, looks: list[float]) -> None:
    looks.sort()
    whole: dict[int, int] = {}
    for since, until in pairwise(looks):
        for hour, micro in integral(usd_per_hour, since, until):
            assert micro > 0
            whole[hour] = whole.get(hour, 0) + micro
    assert whole == dict(integral(usd_per_hour, looks[0], looks[-1]))


@given(prices, moments, moments)
def test_the_sum_over_hours_is_the_price_times_the_time(
    usd_per_hour: float, one: float, other: float
) -> None:
    since, until = sorted((one, other))
    found = integral(usd_per_hour, since, until)
    exact = usd_per_hour * 1e6 * (until - since) / HOUR_S
    assert abs(sum(micro for _, micro in found) - exact) <= 6
    assert all(hour == hour_of(hour) for hour, _ in found)
