"""Reads the model server's log and says what it means; here, and as a process fed by ``tail -f``.

    tail -f LOG | python -m vast_pyworker.worker.logwatch

What is here: a file and a table of patterns joined, within a time budget. What is not: what that
process does (``logwatch_process``), and deciding anything (``lifecycle``).
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .modellog.patterns import Match, PatternTable
from .modellog.tail import Tail

BUDGET_S = 0.02


class LineListener(Protocol):
    """Who else wants the lines; must not block."""

    def feed(self, lines: Sequence[str]) -> None: ...


class LogWatch:
    """The matches in a log as it grows. For one thread.

    One poll takes about ``budget_s`` seconds at most, however fast the log grows; ``behind`` says
    that there is more. ``matches`` counts by action, ``lines`` all of them.
    """

    def __init__(
        self,
        tail: Tail,
        table: PatternTable,
        *,
        listener: LineListener | None = None,
        budget_s: float = BUDGET_S,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.behind = False
        self.lines = 0
        self.matches: Counter[str] = Counter()
        self._tail = tail
        self._table = table
        self._listener = listener
        self._budget_s = budget_s
        self._clock = clock

    def poll(self, now: float) -> list[Match]:
        """What the lines written since the last poll mean, in order."""
        until = self._clock() + self._budget_s
        found: list[Match] = []
        while True:
            lines = self._tail.poll()
            self.lines += len(lines)
            found += self._table.scan(lines, now)
            if self._listener is not None and lines:
                self._listener.feed(lines)
            self.behind = self._tail.behind
            if not self.behind or self._clock() >= until:
                break
        self.matches.update(match.action for match in found)
        return found

    def renew(self, start: int | None) -> None:
        """The model was started anew: forget what was counted, and all before byte ``start``."""
        self._table.reset()
        if start is not None:
            self._tail.skip_to(start)

    def close(self) -> None:
        self._tail.close()

    def document(self) -> dict[str, Any]:
        """For ``/pyworker/status``."""
        return {
            "path": str(self._tail.path),
            "problem": self._tail.problem or None,
            "lines": self.lines,
            "cut_lines": self._tail.cut_lines,
            "reopened": self._tail.reopened,
            "matches": dict(self.matches),
        }


if __name__ == "__main__":
    from .modellog.logwatch_process import main

    sys.exit(main(os.environ, sys.stdin.fileno()))
