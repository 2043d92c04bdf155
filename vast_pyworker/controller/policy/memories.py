"""Extremes of the last while, kept small: what a stabilisation window remembers.

A peak is kept until it is too old or one at least as high comes after it, so the first kept is
always the highest. A clock that goes back makes nothing older or younger than now.
"""

from __future__ import annotations

Peaks = tuple[tuple[float, float], ...]


def with_peak(peaks: Peaks, value: float, now: float, window_s: float) -> Peaks:
    """``peaks`` and ``value``, without what is older than ``window_s`` or exceeded since."""
    settled = ((min(at, now), each) for at, each in peaks)
    kept = ((at, each) for at, each in settled if now - at < window_s and each > value)
    return (*kept, (now, value))


def highest(peaks: Peaks) -> float:
    """The highest of the window; there has to be one."""
    return peaks[0][1]
