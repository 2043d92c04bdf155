"""The loop's two clocks, and the moment at which somebody set the one on the wall.

Ages, deadlines and money are counted in Unix seconds, and those of the ledger survive a restart.
Where the wall clock is set, all of them are to be moved with it, or an hour that never was makes
every instance an hour late, and an hour that came twice is paid for once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

SET_BY_S = 1.0  # less is the clock's own correction


@dataclass(frozen=True)
class Moment:
    """``now`` is Unix seconds; ``step_s`` by how much the clock was set since the last moment."""

    now: float
    step_s: float = 0.0


class Clocks:
    """Used from one thread. ``mono`` never goes back nor jumps, and runs on through a suspend."""

    def __init__(self, now: Callable[[], float], mono: Callable[[], float]) -> None:
        self._now = now
        self._mono = mono
        self._last: tuple[float, float] | None = None

    def look(self, counted_until: float | None) -> Moment:
        """``counted_until`` is the last moment that the ledger knows of: at a start, a clock
        behind it was set back while nobody looked."""
        now, mono = self._now(), self._mono()
        before, self._last = self._last, (now, mono)
        if before is None:
            return Moment(now, min(0.0, now - counted_until) if counted_until else 0.0)
        step_s = (now - before[0]) - (mono - before[1])
        return Moment(now, step_s if abs(step_s) >= SET_BY_S else 0.0)
