"""The market's time: real, faster than real, or moved by hand.

Holds no threads and no timers: whoever has the clock asks it. Nothing here sleeps.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Clock:
    """Epoch seconds that run at ``factor`` times real time and can be moved on.

    ``epoch`` is what ``now()`` says first. Factor 1 is real time, 60 an hour a minute, and 0
    stands still: only ``advance`` moves it. Safe to share between threads.
    """

    def __init__(
        self, factor: float, *, epoch: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        if not 0 <= factor < float("inf"):
            raise ValueError(f"the clock's factor is {factor}; give 0 or a positive number")
        self.factor = factor
        self._monotonic = monotonic
        self._began_at = monotonic()
        self._epoch = epoch
        self._lock = threading.Lock()

    def now(self) -> float:
        """Epoch seconds; never goes back."""
        with self._lock:
            return self._now()

    def advance(self, seconds: float) -> float:
        """Moves on by ``seconds`` and returns the new time; ValueError for a step back."""
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"cannot advance by {seconds} s; give 0 or a positive number")
        with self._lock:
            self._epoch += seconds
            return self._now()

    def _now(self) -> float:
        return self._epoch + (self._monotonic() - self._began_at) * self.factor
