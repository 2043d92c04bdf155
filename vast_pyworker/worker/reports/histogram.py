"""A histogram of seconds in fixed buckets: many observations are counted at once.

What is here: counting and frozen snapshots. What is not: a lock (the accounting holds one) and
the exposition format (``metrics``).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

# From a proxied health check to a long generation; the last bucket, +Inf, is implied.
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


@dataclass(frozen=True)
class Distribution:
    """A histogram at one moment.

    ``counts[i]`` observations lie above ``BOUNDS_S[i - 1]`` and at or below ``BOUNDS_S[i]``; the
    last count lies above every bound. ``total_s`` is the sum of all observations.
    """

    counts: tuple[int, ...]
    total_s: float

    def cumulative(self) -> list[tuple[str, float]]:
        """Pairs of upper bound and count at or below it, as Prometheus wants them."""
        pairs, below = [], 0
        for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), self.counts, strict=True):
            below += count
            pairs.append((bound, float(below)))
        return pairs


class Histogram:
    """Counts observations in ``BOUNDS_S``; the caller serialises access."""

    __slots__ = ("_counts", "_total_s")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self._total_s = 0.0

    def observe(self, seconds: list[float]) -> None:
        """Count durations, which are sorted for it; a clock set back counts as 0."""
        seconds.sort()
        below = 0
        for place, bound in enumerate(BOUNDS_S):
            at_most = bisect_right(seconds, bound)
            self._counts[place] += at_most - below
            below = at_most
        self._counts[-1] += len(seconds) - below
        self._total_s += sum(seconds[bisect_right(seconds, 0.0) :])

    def snapshot(self) -> Distribution:
        return Distribution(tuple(self._counts), self._total_s)
