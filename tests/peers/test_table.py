"""docs/peers.md is what the tests say, and no number is forgotten."""

from __future__ import annotations

import table
from worker_support import ROOT


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs/peers.md").read_text() == table.page(), (
        "run: python tests/peers/table.py > docs/peers.md"
    )


def test_every_number_has_a_test_or_a_reason() -> None:
    shown = {told.number for told in table.tests()}
    assert shown.isdisjoint(table.NOT_SHOWN)
    assert shown | table.NOT_SHOWN.keys() == {*table.DEFECTS, *table.PAINS}


def test_names_of_tests_are_said_once() -> None:
    names = [told.name for told in table.tests()]
    assert len(names) == len(set(names))
