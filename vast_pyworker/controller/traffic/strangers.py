"""Reports that are not trusted: from ids we do not know, or with a token that is not theirs.

Kept to be shown, at most ``LIMIT`` of them, the longest silent forgotten first. No token is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from vast_pyworker.model import Report, State
from vast_pyworker.wire import infer_state

LIMIT = 1000
_TEXT = 200


@dataclass(frozen=True)
class Stranger:
    """One that reports and is not ours. ``why``: "unknown id" or "wrong token"."""

    id: int
    why: str
    first_at: float
    last_at: float
    reports: int
    state: State
    url: str
    version: str
    error: str


class Strangers:
    """The latest word of each."""

    def __init__(self) -> None:
        self._by_id: dict[int, Stranger] = {}

    def note(self, report: Report, why: str, now: float) -> None:
        before = self._by_id.pop(report.worker_id, None)
        if before is None and len(self._by_id) >= LIMIT:
            del self._by_id[next(iter(self._by_id))]
        self._by_id[report.worker_id] = Stranger(
            id=report.worker_id,
            why=why,
            first_at=before.first_at if before else now,
            last_at=now,
            reports=before.reports + 1 if before else 1,
            state=infer_state(report),
            url=report.url[:_TEXT],
            version=report.version[:_TEXT],
            error=report.error_msg[:_TEXT],
        )

    def forget(self, worker_id: int) -> None:
        """It is one of ours now."""
        self._by_id.pop(worker_id, None)

    def all(self) -> tuple[Stranger, ...]:
        """Any thread may ask: a dict is copied in one step, and its values never change."""
        return tuple(self._by_id.copy().values())
