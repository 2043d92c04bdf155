"""What the tests of the ledger share: wishes, a clock, a ledger in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.model import Desired, Intent

NOON = 1_760_011_200.0  # 2025-10-09 12:00:00 UTC


def an_intent(intent_id: str = "a1", **fields: Any) -> Intent:
    """One for group ``chat`` at 0.36 $/h, which is 100 millionths of a dollar a second."""
    known = {
        "group": "chat",
        "label": f"fleet/chat/{intent_id}",
        "created_at": NOON,
        "desired": Desired.RUN,
        "desired_at": NOON,
        "reason": "two are wanted",
        "set_by": "controller",
        "usd_per_hour_cap": 0.72,
        "usd_per_hour": 0.36,
    }
    return Intent(**{"id": intent_id, **known, **fields})


def open_ledger(
    folder: Path, *, holder: str = "tests", watch: Callable[[str], None] | None = None
) -> Ledger:
    return Ledger.open(str(folder / "ledger.db"), holder=holder, now=lambda: NOON, watch=watch)
