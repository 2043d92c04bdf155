"""Prices that change between two looks: what is charged for the time that nobody saw."""

from __future__ import annotations

from pathlib import Path

from test_money_rows_1 import assert_counted, unbilled


def test_m14_a_price_that_falls_is_paid_as_it_was(tmp_path: Path) -> None:
    """Time that is over costs the dearest price known of it, also where a list shows less since."""
    with unbilled(tmp_path) as made:
        made.run(120)
        made.time.at += 3600.0
        made.provider.outside.reprice(min(made.provider.truth()), 0.01)
        assert_counted(made)
