"""docs/failures.md is what the tests say, and no row is forgotten."""

from __future__ import annotations

from pathlib import Path

import failures_table
from catalogue import FAILURES
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


def test_every_test_says_what_is_done_in_a_sentence() -> None:
    for told in failures_table.tests():
        assert told.says.endswith("."), f"{told.name} needs a sentence as its docstring"


def test_names_of_the_tests_are_said_once() -> None:
    names = [told.name for told in failures_table.tests()]
    assert len(names) == len(set(names))
