"""Every golden plan beside this file is what the planner makes of it, to the letter."""

from __future__ import annotations

from pathlib import Path

import pytest
from plan_cases import halves, paths, read_case


@pytest.mark.parametrize("path", paths(), ids=lambda path: path.stem)
def test_the_plan_is_the_golden_one(path: Path) -> None:
    upper, expected = halves(path)
    assert read_case(upper).planned() + "\n" == expected


def test_there_are_cases_for_the_whole_life() -> None:
    assert len(paths()) >= 25
