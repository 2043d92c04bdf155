"""Where the rigs are, and how many seeds the random histories are drawn from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
_ROOMS = (HERE, TESTS / "unit" / "controller", TESTS / "contract")
sys.path[:0] = [str(each) for each in _ROOMS if str(each) not in sys.path]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("histories")
    group.addoption("--seeds", type=int, default=1000, help="how many histories are tried")
    group.addoption("--seed", type=int, default=None, help="one history alone, said step by step")
