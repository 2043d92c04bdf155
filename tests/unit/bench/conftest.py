"""Lets the tests import the benchmark, which is no part of the package, and the samples beside."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
for folder in (HERE, HERE.parents[2] / "scripts" / "bench"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
