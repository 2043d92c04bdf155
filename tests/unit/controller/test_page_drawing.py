"""Charts, words and the samples behind them: pure."""

from __future__ import annotations

from itertools import pairwise

import pytest

from vast_pyworker.controller.history import LONGEST_STEP_S, MOST, History, Sample
from vast_pyworker.controller.page.charts import HEIGHT, WIDTH, chart, rounded_up
from vast_pyworker.controller.page.words import age, amount, money, price, tick


def test_a_line_goes_from_edge_to_edge_and_up_with_the_value():
    drawn = chart({"load": [(0.0, 0.0), (10.0, 100.0)]}, {})
    assert drawn.lines["load"] == f"M0.0,100.0L{WIDTH}.0,{HEIGHT - 100 / 150 * HEIGHT:.1f}"
    assert drawn.top == pytest.approx(150.0)


@pytest.mark.parametrize(
    ("most", "end"),
    [(0.0, 1.0), (-1.0, 1.0), (1.0, 1.0), (1.01, 1.5), (0.42, 0.5), (37.0, 50.0), (9.9, 10.0),
     (1e-5, 1e-5), (123_456.0, 150_000.0), (float("nan"), 1.0), (float("inf"), 1.0)],
)  # fmt: skip
def test_a_scale_ends_at_a_number_that_is_easily_read(most, end):
    assert rounded_up(most) == pytest.approx(end)


def test_the_unknown_is_a_gap_and_not_nought():
    drawn = chart({"load": [(0.0, 1.0), (1.0, 1.0), (2.0, None), (3.0, 1.0), (4.0, 1.0)]}, {})
    assert drawn.lines["load"].count("M") == 2


@pytest.mark.parametrize("points", [[], [(5.0, None)], [(5.0, 0.0)], [(5.0, 3.0)]])
def test_few_samples_are_no_fault(points):
    drawn = chart({"load": points}, {"load": points}, limit=None, show_limit=True)
    assert drawn.is_empty is (not [v for _, v in points if v is not None])


def test_a_limit_shows_where_it_is_near_and_not_where_it_is_far():
    points = [(0.0, 1.0), (1.0, 2.0)]
    assert chart({"x": points}, {}, limit=4.0, show_limit=True).limit_y is not None
    assert chart({"x": points}, {}, limit=400.0, show_limit=True).limit_y is None
    assert chart({"x": points}, {}, limit=None, show_limit=True).limit_y is None


@pytest.mark.parametrize(
    ("said", "written"),
    [
        (age(None), "\N{EN DASH}"), (age(59), "59 s"), (age(3599), "59 min"), (age(-5), "0 s"),
        (age(3 * 3600 + 60), "3 h 1 min"), (age(90_000), "1 d 1 h"),
        (money(None), "\N{EN DASH}"), (money(1234.5), "$1,234.50"), (price(0.1234), "$0.123"),
        (money(0.0042), "$0.004"), (money(0.0), "$0.00"), (money(0.1), "$0.10"),
        (tick(0.5), "$0.5"), (tick(0.03), "$0.03"), (tick(20.0), "$20"), (tick(1500.0), "$1,500"),
        (tick(1.5), "$1.50"),
        (amount(None), "\N{EN DASH}"), (amount(0.0), "0"), (amount(73.84), "73.8"),
        (amount(12_345), "12.3 k"), (amount(2_500_000), "2.5 M"),
    ],
)  # fmt: skip
def test_words(said, written):
    assert said == written


def sample(at):
    return Sample(at, 1.0, 2.0)


def test_history_is_bounded_and_reaches_a_day_back():
    history = History()
    for at in range(0, 200_000, 5):
        history.add(sample(float(at)))
    samples = history.samples()
    assert len(samples) <= MOST
    assert samples[-1].at - samples[0].at >= 20 * 3600
    steps = {b.at - a.at for a, b in pairwise(samples)}
    assert max(steps) <= LONGEST_STEP_S * 2


def test_a_clock_that_went_back_begins_it_anew():
    history = History()
    history.add(sample(100.0))
    history.add(sample(50.0))
    assert [each.at for each in history.samples()] == [50.0]
