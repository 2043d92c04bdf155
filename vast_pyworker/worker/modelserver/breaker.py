"""How long to wait before the model is started again, and when to stop trying.

What is here: one pure decision, taken again at each failure, from times that are handed in. What
is not: processes, clocks, threads. A model that fails is a nuisance; a model that fails in a loop
is rent paid for nothing, so after too many restarts the breaker opens and stays open until a
person, or a new worker, closes it.
"""

from __future__ import annotations

from collections import deque

WINDOW_S = 600.0
FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0
PROOF_S = 3600.0  # a life this long proves the model even if nobody said that it had loaded


class Breaker:
    """Allows ``limit`` restarts within ``window_s``; the next failure opens it.

    A restart is forgotten once the window has passed *and* the model has loaded since: a model
    that needs five minutes to fail is in a loop as surely as one that needs a second.

    ``is_open`` and ``reason`` are plain attributes, readable from any thread; the methods belong
    to the one thread that supervises. Times are seconds of any clock that only moves forward.
    """

    def __init__(
        self,
        limit: int,
        *,
        window_s: float = WINDOW_S,
        first_delay_s: float = FIRST_DELAY_S,
        longest_delay_s: float = LONGEST_DELAY_S,
    ) -> None:
        self.is_open = False
        self.reason = ""
        self._limit = limit
        self._window_s = window_s
        self._first_delay_s = first_delay_s
        self._longest_delay_s = longest_delay_s
        self._restarts: deque[float] = deque()
        self._loaded_at: float | None = None

    def failed(self, now: float, reason: str) -> float | None:
        """Count a failure: seconds until the next start, or None when the breaker is now open.

        The waits double from ``first_delay_s`` to ``longest_delay_s``, without jitter: there is
        one model on a machine, so nobody can stampede, and the log can be read with a watch.
        """
        self._forget(now)
        if self.is_open or len(self._restarts) >= self._limit:
            self.trip(reason)
            return None
        self._restarts.append(now)
        exponent = min(len(self._restarts) - 1, 32)
        return float(min(self._first_delay_s * 2**exponent, self._longest_delay_s))

    def loaded(self, now: float) -> None:
        """The model has loaded: from here on, old restarts may be forgotten."""
        self._loaded_at = now

    def trip(self, reason: str) -> None:
        """Open at once, for what no restart can mend. The first reason is kept."""
        if not self.is_open:
            self.is_open, self.reason = True, reason

    def reset(self) -> None:
        """Close the breaker and forget every failure: somebody has mended something."""
        self.is_open, self.reason = False, ""
        self._restarts.clear()

    def restarts(self, now: float) -> int:
        """Restarts that count at ``now``."""
        self._forget(now)
        return len(self._restarts)

    def _forget(self, now: float) -> None:
        while self._restarts and now - self._restarts[0] > self._window_s and self._proven(now):
            self._restarts.popleft()

    def _proven(self, now: float) -> bool:
        """Whether the model has worked since the oldest restart that still counts."""
        if self._loaded_at is not None and self._loaded_at >= self._restarts[0]:
            return True
        return now - self._restarts[-1] > PROOF_S
