"""Decides when a measured capacity is to be measured again: contradicted, and the model idle.

Pure. Whether production contradicts it is ``drift``'s judgement; here is when to act on it. A
measurement that comes out as before says that the benchmark is unlike the traffic, not that it
was wrong: then the next one waits longer and longer.
"""

from __future__ import annotations

from .drift import Contradiction, Drift

STRETCH_S = 10.0
IDLE_S = 10.0
FIRST_HOLD_S = 600.0
LONGEST_HOLD_S = 24 * 3600.0
ALIKE = 1.25


class Remeasuring:
    """Watches the capacity ``max_perf`` from ``now`` on. For one thread.

    ``contradiction`` is what production says against it, or None.
    """

    def __init__(self, max_perf: float, now: float, served: float) -> None:
        self._hold_s = FIRST_HOLD_S
        self._held_until = now
        self._idle_since: float | None = None
        self._watch(max_perf, now, served)

    def rebenchmark_if_contradicted(
        self, now: float, served: float, *, saturated: bool, running: int
    ) -> Contradiction | None:
        """The contradiction, when it is time to measure because of it.

        ``served`` is the work served since the process began; ``saturated``: requests wait.
        """
        self._take_in(now, served, saturated)
        if running:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
        idle = self._idle_since is not None and now - self._idle_since >= IDLE_S
        return self.contradiction if idle and now >= self._held_until else None

    def measured(self, max_perf: float, now: float, served: float) -> None:
        """It was measured again: watch the new number, and be slower if it is the old one."""
        alike = 1 / ALIKE <= max_perf / self.max_perf <= ALIKE
        self._hold_s = min(2 * self._hold_s, LONGEST_HOLD_S) if alike else FIRST_HOLD_S
        self._held_until = now + self._hold_s
        self._watch(max_perf, now, served)

    def failed(self, now: float) -> None:
        """It could not be measured: the number stands, try again later."""
        self._held_until = now + self._hold_s
        self._hold_s = min(2 * self._hold_s, LONGEST_HOLD_S)

    def _watch(self, max_perf: float, now: float, served: float) -> None:
        self.max_perf = max_perf
        self.contradiction: Contradiction | None = None
        self._drift = Drift(max_perf)
        self._stretch_from = (now, served)
        self._saturated = True
        self._idle_since = None

    def _take_in(self, now: float, served: float, saturated: bool) -> None:
        """Hand the drift whole stretches; one is saturated if every moment of it was."""
        began, served_then = self._stretch_from
        self._saturated = self._saturated and saturated
        if now - began < STRETCH_S:
            return
        self._drift.note(served - served_then, now - began, saturated=self._saturated)
        self._stretch_from, self._saturated = (now, served), True
        self.contradiction = self._drift.contradiction() or self.contradiction
