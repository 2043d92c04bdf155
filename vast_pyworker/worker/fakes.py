"""Stand-ins for the parts of a model's life, for tests and for trying things out by hand.

Each keeps the contract of its seam (``scene``, ``senses``, ``jobs``) and does what it is told: a
process that dies on request, a probe with a script, a clock that is set. Nothing here waits,
starts a thread or opens anything.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from vast_pyworker.errors import BenchmarkFailed

from .capacity.benchmark import BenchmarkSpec
from .modellog.patterns import Match, Pattern, PatternTable
from .modelserver.probe import ProbeResult, Verdict
from .phases.jobs import Done, done

OK = ProbeResult(Verdict.OK, "its health check says 200", 200)
REFUSED = ProbeResult(Verdict.REFUSED, "nobody listens on its port")
TIMED_OUT = ProbeResult(Verdict.TIMEOUT, "no answer within 20 s")
UNWELL = ProbeResult(Verdict.BAD_STATUS, "its health check says 503", 503)


class Clock:
    """A clock that stands still until it is told otherwise. Call it for the time."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> float:
        self.now += seconds
        return self.now


class FakeSupervisor:
    """A process in name only. ``die`` ends it; ticks start it again ``back_off_s`` later, until
    it has failed more than ``limit`` times. ``asked`` holds the reasons of all restarts."""

    def __init__(self, *, back_off_s: float = 1.0, limit: int = 3) -> None:
        self.asked: list[str] = []
        self.gave_up = False
        self.log_offset: int | None = None
        self.start_error: Exception | None = None
        self.starts = 0
        self.proven = 0
        self.stopped = False
        self._alive: bool | None = None
        self._back_off_s = back_off_s
        self._limit = limit
        self._failures = 0
        self._reason: str | None = None
        self._start_at: float | None = None

    def start(self) -> str:
        if self.start_error is not None:
            raise self.start_error
        self._alive = True
        self.starts += 1
        return "Started."

    def tick(self, now: float) -> str | None:
        if self._alive is not False or self.gave_up:
            return None
        if self._start_at is None:
            self._start_at = now + self._back_off_s
        if now < self._start_at:
            return None
        self._start_at = None
        return self.start()

    def restart(self, reason: str) -> str | None:
        self.asked.append(reason)
        self.die(f"The model server was stopped because of this: {reason}")
        return None

    def die(self, reason: str = "The model server ended with status 1") -> None:
        self._alive, self._reason = False, reason
        self._failures += 1
        self.gave_up = self._failures > self._limit

    def stop(self, deadline_s: float) -> None:
        self._alive, self.stopped = None, True

    def alive(self) -> bool | None:
        return self._alive

    def exit_reason(self) -> str | None:
        return None if self._alive else self._reason

    def loaded(self) -> None:
        self.proven += 1


class ScriptedProbe:
    """Answers what ``answer`` is, or first what ``then`` was given. ``asked`` counts."""

    def __init__(self, answer: ProbeResult = OK) -> None:
        self.answer = answer
        self.asked = 0
        self._script: deque[ProbeResult] = deque()

    def then(self, *results: ProbeResult) -> None:
        self._script.extend(results)

    def __call__(self) -> ProbeResult:
        self.asked += 1
        return self._script.popleft() if self._script else self.answer


class ScriptedLog:
    """A log that is written by ``write``."""

    def __init__(self, patterns: Iterable[Pattern] = ()) -> None:
        self.behind = False
        self.closed = False
        self.matches: Counter[str] = Counter()
        self.renewed_from: list[int | None] = []
        self._table = PatternTable(patterns)
        self._lines: list[str] = []

    def write(self, *lines: str) -> None:
        self._lines += lines

    def poll(self, now: float) -> list[Match]:
        lines, self._lines = self._lines, []
        found = self._table.scan(lines, now)
        self.matches.update(match.action for match in found)
        return found

    def renew(self, start: int | None) -> None:
        self.renewed_from.append(start)
        self._table.reset()

    def close(self) -> None:
        self.closed = True

    def document(self) -> dict[str, Any]:
        return {"matches": dict(self.matches)}


@dataclass(frozen=True)
class FakeCapacity:
    max_perf: float


@dataclass
class FakeBenchmark:
    """Measures ``max_perf``, or fails while ``failure`` says why."""

    max_perf: float = 100.0
    failure: str = ""
    measured: int = 0
    forgotten: int = 0
    cancelled: int = 0

    def measure(self, spec: BenchmarkSpec, now: float) -> FakeCapacity:
        self.measured += 1
        if self.failure:
            raise BenchmarkFailed(self.failure)
        return FakeCapacity(self.max_perf)

    def forget(self, spec: BenchmarkSpec) -> None:
        self.forgotten += 1

    def cancel(self) -> None:
        self.cancelled += 1


@dataclass
class FakeTraffic:
    """Accounting by decree."""

    in_flight: int = 0
    at_model: int = 0
    progress: int = 0
    served_total: float = 0.0

    def take(self) -> FakeTraffic:
        return self


@dataclass
class InlineJobs:
    """Jobs that are done when they are started, or, while ``held``, when ``release`` is called."""

    held: bool = False
    begun: list[str] = field(default_factory=list)
    _waiting: dict[str, tuple[Callable[[], Any], Any]] = field(default_factory=dict)
    _ended: list[Done] = field(default_factory=list)

    def start(self, name: str, work: Callable[[], Any], tag: Any = None) -> bool:
        if name in self._waiting or any(ended.name == name for ended in self._ended):
            return False
        self.begun.append(name)
        if self.held:
            self._waiting[name] = (work, tag)
        else:
            self._ended.append(done(name, work, tag))
        return True

    def release(self) -> None:
        """Do what waits."""
        waiting, self._waiting = self._waiting, {}
        self._ended += [done(name, work, tag) for name, (work, tag) in waiting.items()]

    def finished(self) -> list[Done]:
        ended, self._ended = self._ended, []
        return ended
