"""Notice that production contradicts the capacity that was measured.

What is here: one pure judgement of what was served, over a few minutes. What is not: counting
(``accounting``) and what follows (``lifecycle`` measures again, when the model is quiet).

Two things are evidence. More work is served than the model is said to be able to: it can. Or
requests wait all the time and yet far less is served: it cannot, with requests like these.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

PATIENCE_S = 300.0
MORE = 1.25
LESS = 0.5


@dataclass(frozen=True)
class Contradiction:
    """What production did, in units of work a second, against what was promised."""

    served_perf: float
    max_perf: float

    def __str__(self) -> str:
        return (
            f"production serves {self.served_perf:.4g} units a second, "
            f"the benchmark said {self.max_perf:.4g}"
        )


class Drift:
    """Watches one measured capacity; make another for the next one."""

    def __init__(self, max_perf: float, *, patience_s: float = PATIENCE_S) -> None:
        self._max_perf = max_perf
        self._patience_s = patience_s
        self._stretches: deque[tuple[float, float, bool]] = deque()
        self._seconds = 0.0
        self._work = 0.0

    def note(self, work: float, seconds: float, *, saturated: bool) -> None:
        """``work`` units were served in the last ``seconds``; ``saturated``: requests waited
        all the while."""
        self._stretches.append((work, seconds, saturated))
        self._work += work
        self._seconds += seconds
        while self._seconds - self._stretches[0][1] >= self._patience_s:
            old_work, old_seconds, _ = self._stretches.popleft()
            self._work -= old_work
            self._seconds -= old_seconds

    def contradiction(self) -> Contradiction | None:
        """What contradicts the capacity over the last few minutes; None: nothing, or too early."""
        if self._seconds < self._patience_s:
            return None
        served_perf = self._work / self._seconds
        too_low = served_perf > MORE * self._max_perf
        waited = all(saturated for _, _, saturated in self._stretches)
        too_high = waited and served_perf < LESS * self._max_perf
        return Contradiction(served_perf, self._max_perf) if too_low or too_high else None
