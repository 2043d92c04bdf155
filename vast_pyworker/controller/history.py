"""Samples of the last day for the page's charts, in memory alone.

It holds ``MOST`` samples. When they are too many every second one is let go and the step doubles,
so that a controller that has just started shows its seconds and an old one its day.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

MOST = 720
LONGEST_STEP_S = 128.0


@dataclass(frozen=True)
class GroupSample:
    """Counts, and work in units a second; None is unknown."""

    wanted: int | None
    ready: int
    hot: int
    cold: int
    load: float | None
    capacity: float | None


@dataclass(frozen=True)
class Sample:
    """The fleet at one moment, Unix seconds; money in dollars."""

    at: float
    usd_per_hour: float
    spent_today: float
    groups: Mapping[str, GroupSample] = field(default_factory=dict)


class History:
    """Written by one thread, read by any. A clock that went back begins it anew."""

    def __init__(self, step_s: float = 1.0) -> None:
        self._samples: deque[Sample] = deque()
        self._first_step_s = self._step_s = step_s
        self._lock = threading.Lock()

    def add(self, sample: Sample) -> None:
        """Keep it, unless the last one is nearer than a step."""
        with self._lock:
            last = self._samples[-1].at if self._samples else None
            if last is not None and sample.at < last:
                self._samples.clear()
                self._step_s = self._first_step_s
            elif last is not None and sample.at - last < self._step_s * 0.9:
                return
            self._samples.append(sample)
            if len(self._samples) > MOST:
                self._thin()

    def samples(self) -> tuple[Sample, ...]:
        """The oldest first."""
        with self._lock:
            return tuple(self._samples)

    def _thin(self) -> None:
        if self._step_s * 2 > LONGEST_STEP_S:
            self._samples.popleft()
            return
        self._step_s *= 2
        self._samples = deque(list(self._samples)[1::2])
