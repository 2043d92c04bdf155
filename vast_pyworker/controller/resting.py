"""How long rents of a group wait after the provider turned one down. In memory only.

Every try is a row in the ledger and a call at the provider, so that a refusal that lasts, as of an
account without credit, is met less and less often.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vast_pyworker.errors import ProviderError, RateLimited

FIRST_REST_S = 10.0
LONGEST_REST_S = 300.0


@dataclass(frozen=True)
class _Rest:
    count: int
    until: float
    why: str


class Rests:
    """Used from any thread, each group from one at a time. ``mono`` never jumps."""

    def __init__(self, mono: Callable[[], float]) -> None:
        self._mono = mono
        self._rests: dict[str, _Rest] = {}

    def why(self, group: str) -> str:
        """Why the group's rents wait now; "" where they do not."""
        rest = self._rests.get(group)
        return rest.why if rest is not None and self._mono() < rest.until else ""

    def begin(self, group: str, refusal: ProviderError) -> None:
        """One was turned down: wait, longer each time, and as long as the provider says."""
        before = self._rests.get(group)
        count = before.count if before else 0
        wait_s = min(FIRST_REST_S * 2**count, LONGEST_REST_S)
        told_s = refusal.retry_after_s if isinstance(refusal, RateLimited) else None
        until = self._mono() + max(wait_s, told_s or 0.0)
        self._rests[group] = _Rest(count + 1, until, f"the last rent was turned down: {refusal}")

    def end(self, group: str) -> None:
        """One came through."""
        self._rests.pop(group, None)
