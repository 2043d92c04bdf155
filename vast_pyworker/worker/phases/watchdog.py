"""Notices an engine that hangs while it says that it is well.

Pure: requests run, and for too long nothing advances. What advances is anything that a working
engine cannot help moving: bytes of answers, ends of requests, its own token counters. An engine
that is merely busy moves, so it is never suspected, and one without requests has nothing to show.
"""

from __future__ import annotations

from collections.abc import Mapping


class Watchdog:
    """Feed it what is known at each moment; it says for how long nothing has moved.

    ``timeout_s`` of 0 means never to suspect anything. A counter that is not among ``marks`` is
    unknown for the moment: neither a standstill nor a move. ``moved``: whether the last check saw
    a move.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.moved = False
        self._marks: dict[str, float] = {}
        self._since: float | None = None

    def check(self, now: float, running: int, marks: Mapping[str, float]) -> str:
        """One sentence if the engine hangs, else ""."""
        self.moved = any(self._marks.get(name) != value for name, value in marks.items())
        self._marks.update(marks)
        if self.moved or running <= 0 or self._since is None:
            self._since = now if running > 0 else None
            return ""
        if not 0 < self.timeout_s <= now - self._since:
            return ""
        requests = "1 request" if running == 1 else f"{running} requests"
        return f"no progress for {self.timeout_s:.0f} s with {requests} running"

    def still_for_s(self, now: float) -> float:
        """Seconds since anything moved, 0.0 while nothing runs."""
        return 0.0 if self._since is None else now - self._since

    def forget(self) -> None:
        """What runs from here on is another process."""
        self._marks.clear()
        self.moved = False
        self._since = None
