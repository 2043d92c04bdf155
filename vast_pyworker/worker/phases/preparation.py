"""From loaded to ready: the backend's ``setup()``, then a capacity. Each is tried until it works.

What is here: what comes next, and the waits between attempts. What is not: doing it in a thread
(``jobs``), and telling anybody (``lifecycle``). Pure but for the hooks it hands out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

FIRST_RETRY_S = 5.0
LONGEST_RETRY_S = 300.0
OUTSIDE_MEASURE_S = 900.0

Step = Literal["setup", "measure", "await_measure", "wait", "ready"]


@dataclass
class Retry:
    """When something may be tried again; the waits double."""

    at: float = 0.0
    wait_s: float = FIRST_RETRY_S

    def failed(self, now: float) -> None:
        self.at = now + self.wait_s
        self.wait_s = min(2 * self.wait_s, LONGEST_RETRY_S)


class Preparation:
    """Of one life of the model; ``begin`` again for the next.

    ``claimed_perf`` is the capacity the backend states itself. One that the log watch of 2024
    reports (``told_perf``) goes before a measurement of ours; while it measures, we wait.
    """

    def __init__(
        self,
        *,
        setup: Callable[[], Any] | None,
        measure: Callable[[], Any] | None,
        claimed_perf: float = 0.0,
    ) -> None:
        self.setup = setup
        self.measure = measure
        self._claimed_perf = claimed_perf
        self.begin()

    def begin(self) -> None:
        """The model has been started anew: nothing has been done for it yet."""
        self.told_perf: float | None = None
        self._outside_until: float | None = None
        self._is_set_up = self.setup is None
        self._perf: float | None = None
        self._retry = Retry()

    def next_step(self, now: float) -> Step:
        if now < self._retry.at:
            return "wait"
        if not self._is_set_up:
            return "setup"
        if self.told_perf is not None or self._perf is not None:
            return "ready"
        if self._outside_until is not None and now < self._outside_until:
            return "await_measure"
        return "measure" if self.measure is not None else "ready"

    @property
    def max_perf(self) -> float:
        """The capacity to go by, once ready; 0.0: none is known, and none was asked for."""
        if self.told_perf is not None:
            return self.told_perf
        return self._claimed_perf if self._perf is None else self._perf

    def outside_measures(self, now: float) -> bool:
        """The log watch says that it measures; False if it said so before: it has not."""
        if self._outside_until is not None:
            self._outside_until = now
            return False
        self._outside_until = now + OUTSIDE_MEASURE_S
        return True

    def was_set_up(self) -> None:
        self._is_set_up, self._retry = True, Retry()

    def was_measured(self, max_perf: float) -> None:
        self._perf = max_perf

    def failed(self, now: float) -> None:
        self._retry.failed(now)
