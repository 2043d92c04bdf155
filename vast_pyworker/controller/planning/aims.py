"""What a group is to have now: the policy's want within the bounds, and what replacing needs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vast_pyworker.model import Bounds, Want

from .context import Context
from .words import listed


@dataclass(frozen=True)
class Aim:
    """``hot`` are to serve, ``cold`` to stand by; ``surge`` run beside them while they replace."""

    hot: int
    cold: int
    reason: str
    surge: int = 0

    @property
    def running(self) -> int:
        return self.hot + self.surge

    def with_surge(self, surge: int) -> Aim:
        return replace(self, surge=surge)


def aim_of(want: Want, bounds: Bounds, context: Context) -> Aim:
    """Never outside the bounds, but for what another hand deleted and nobody wants back."""
    hot = min(max(want.hot, bounds.min_instances), bounds.max_instances)
    reason = want.reason
    if context.shrunk:
        hot = max(0, hot - context.shrunk)
        reason = listed((reason, f"less {context.shrunk} that another hand deleted"))
    return Aim(hot, max(0, want.cold), reason)
