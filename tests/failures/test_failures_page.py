"""docs/failures.md is what the tests say, and no row is forgotten."""

from __future__ import annotations

from pathlib import Path

import failures_table
from catalogue import FAILURES, MONEY
from elsewhere import ELSEWHERE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "failures.md"


def test_the_page_is_what_the_tests_say() -> None:
    assert PAGE.read_text() == failures_table.page(), (
        "run: python tests/failures/failures_table.py > docs/failures.md"
    )


def test_the_catalogue_has_every_row() -> None:
    wanted = [*(f"M{n}" for n in range(1, 31)), *(f"A{n}" for n in range(1, 17))]
    assert list(FAILURES) == [*wanted, *(f"S{n}" for n in range(1, 9))]


def test_every_row_has_a_test_or_a_reason() -> None:
    shown = {told.row for told in failures_table.tests()}
    assert shown | ELSEWHERE.keys() == FAILURES.keys()
    assert shown.isdisjoint(ELSEWHERE)


def test_every_row_says_what_is_done_in_a_sentence() -> None:
    """A test at the market may leave it to the one beside it."""
    for told in failures_table.tests():
        silent = "market" in told.file and not told.says
        assert silent or told.says.endswith("."), f"{told.name} needs a sentence as its docstring"
    said = {told.row for told in failures_table.tests() if told.says}
    assert said | ELSEWHERE.keys() == FAILURES.keys()


def test_every_way_to_lose_money_is_tried_at_the_market() -> None:
    tried = {
        told.row
        for told in failures_table.tests()
        if told.file.startswith("test_money_rows_market")
    }
    assert tried == MONEY.keys()


def test_names_of_the_tests_are_said_once() -> None:
    names = [told.name for told in failures_table.tests()]
    assert len(names) == len(set(names))
