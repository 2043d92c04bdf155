"""Judges a model that serves: leave it alone, stop sending it requests, or start it anew.

Pure: facts and the time go in, one judgement comes out; ``lifecycle`` does what it says. There
are three troubles. *Unwell*: the health check failed too often in a row. *Stalled*: requests run
and nothing moves, whatever the health check says. *Fatal*: its log said so. Each has its own way
of being over; what is not over in time needs a new process. Load alone is never a trouble.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from vast_pyworker.worker.contract.spec import Limits
from vast_pyworker.worker.modelserver.probe import ProbeResult, Pulse

from .watchdog import Watchdog

FATAL_GRACE_S = 60.0
GOOD_PROBES_AFTER_FATAL = 3


class Action(Enum):
    LEAVE = "leave"
    DEGRADE = "degrade"
    RECOVER = "recover"
    RESTART = "restart"


@dataclass(frozen=True)
class Judgement:
    """What to do. ``cause`` is one word for counting, ``reason`` a phrase for people."""

    action: Action
    reason: str = ""
    cause: str = ""


LEAVE = Judgement(Action.LEAVE)


class Vigil:
    """Over one life of a model: make it ``forget`` at the beginning of the next.

    ``cause`` is the present trouble: "unwell", "stalled", "fatal" or "". ``marks`` are numbers
    that change while the engine works; those that are not known are left out.
    """

    def __init__(self, limits: Limits) -> None:
        self.cause = ""
        self.pulse = Pulse()
        self.watchdog = Watchdog(limits.progress_timeout_s)
        self._limits = limits
        self._reason = ""
        self._since = 0.0
        self._marks_at_probe: dict[str, float] = {}

    def note_probe(self, result: ProbeResult, now: float, marks: Mapping[str, float]) -> None:
        before = self._marks_at_probe
        advancing = any(before.get(name, value) != value for name, value in marks.items())
        self._marks_at_probe = {**before, **marks}
        self.pulse.note(result, now, advancing=advancing)

    def note_fatal(self, reason: str, now: float) -> None:
        """The log says that the model has failed; what was good before no longer counts."""
        self._begin("fatal", reason, now)
        self.pulse.forget()

    def judge(self, now: float, running: int, marks: Mapping[str, float]) -> Judgement:
        stall = self.watchdog.check(now, running, marks)
        if self.cause:
            return self._judge_trouble(now, running)
        if stall:
            return self._begin("stalled", stall, now)
        if self.pulse.failures >= self._limits.probe_failures:
            return self._begin("unwell", self._how_unwell(), now)
        return LEAVE

    def forget(self) -> None:
        """Another process is watched from here on."""
        self.cause = self._reason = ""
        self._marks_at_probe.clear()
        self.pulse.forget()
        self.watchdog.forget()

    def _begin(self, cause: str, reason: str, now: float) -> Judgement:
        self.cause, self._reason, self._since = cause, reason, now
        return Judgement(Action.DEGRADE, reason, cause)

    def _judge_trouble(self, now: float, running: int) -> Judgement:
        cause = self.cause
        if self._is_over(now, running):
            self.cause = ""
            return Judgement(Action.RECOVER, self._how_recovered(cause), cause)
        if now - self._since >= self._patience_s():
            return Judgement(Action.RESTART, self._reason, cause)
        return LEAVE

    def _is_over(self, now: float, running: int) -> bool:
        successes = self.pulse.successes
        if self.cause == "fatal":
            return successes >= GOOD_PROBES_AFTER_FATAL
        if self.cause == "unwell":
            return successes > 0
        rested = running == 0 and now - self._since >= self._limits.progress_timeout_s
        return self.watchdog.moved or (rested and successes > 0)

    def _patience_s(self) -> float:
        """Seconds that a trouble may last before only a new process helps."""
        if self.cause == "fatal":
            return FATAL_GRACE_S
        if self.cause == "unwell":
            return self._limits.progress_timeout_s or float("inf")
        return 0.0

    def _how_unwell(self) -> str:
        detail = self.pulse.last.detail if self.pulse.last else ""
        return f"{self.pulse.failures} health checks in a row failed: {detail}"

    def _how_recovered(self, cause: str) -> str:
        moved = cause == "stalled" and self.watchdog.moved
        return "the model moves again" if moved else "the model answers its health check again"
