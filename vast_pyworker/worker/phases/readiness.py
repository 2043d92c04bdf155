"""What the worker says it is doing: the state machine behind every probe, report and 503.

What is here: the states, which may follow which, why and since when. What is not: finding out
(``lifecycle`` gathers the evidence), clocks of its own, I/O.

Each method states a fact; a fact that comes too late or out of turn changes nothing. Three rules
hold whatever is said in whatever order: requests are accepted in ready and busy only; draining
ends in stopped and nowhere else; a worker that must be measured is never called loaded without a
capacity.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from vast_pyworker.model import State

from .announcing import Announcer, Listener, Transition

__all__ = ["ACCEPTING", "Readiness", "Transition"]

EVERY = frozenset(State)
ACCEPTING = frozenset({State.READY, State.BUSY})
FAILING = frozenset({State.DEGRADED, State.ERROR})
LIVE = EVERY - {State.DRAINING, State.STOPPED}
BEFORE_LOADED = frozenset({State.STARTING, State.DOWNLOADING, State.LOADING})

LONGEST_RETRY_AFTER_S = 60.0
QUOTE = ", saying "
"""Before a line of the model's log that a reason ends in."""
_RETRY_AFTER_S: Mapping[State, float] = {
    State.STARTING: 5.0,
    State.DOWNLOADING: 15.0,
    State.LOADING: 5.0,
    State.BENCHMARKING: 5.0,
    State.READY: 1.0,
    State.BUSY: 1.0,
    State.DEGRADED: 5.0,
    State.ERROR: 30.0,
    State.DRAINING: 10.0,
    State.STOPPED: 10.0,
}


class Readiness:
    """The state of one worker. Every method may be called from any thread.

    Plain attributes, readable without a lock: ``state``; ``reason``, one phrase; ``since``, Unix
    seconds; ``accepting``, whether requests are let in; ``retry_after_s``, what a 503 announces;
    ``error_msg``, "" unless degraded or in error; ``load_time_s``, seconds from the start to the
    first loaded, 0.0 before and unchanged after; ``max_perf``, units of work per second, 0.0 while
    the model is not loaded or not measured; ``capacity``, what the model's log says it can hold,
    or None; ``progress``, the latest download document, or None.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.time,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        benchmark_required: bool = False,
        history: int = 64,
    ) -> None:
        self.benchmark_required = benchmark_required
        self.state = State.STARTING
        self.reason = "the worker has started"
        self.since = now()
        self.accepting = False
        self.retry_after_s = _RETRY_AFTER_S[State.STARTING]
        self.error_msg = ""
        self.load_time_s = 0.0
        self.max_perf = 0.0
        self.capacity: float | None = None
        self.progress: dict[str, Any] | None = None
        self._now = now
        self._monotonic = monotonic
        self._born = monotonic()
        self._saturated = False
        self._is_loaded = False
        self._counts: Counter[State] = Counter({State.STARTING: 1})
        first = Transition(State.STARTING, State.STARTING, self.reason, self.since)
        self._history = deque([first], maxlen=history)
        self._lock = threading.Lock()
        self._announcer = Announcer()

    def subscribe(self, callback: Listener) -> None:
        """Call ``callback`` with each later Transition, in order, outside the lock."""
        self._announcer.subscribe(callback)

    # Facts about a model that is not up yet

    def starting(self, reason: str = "the model server is being started") -> None:
        """The model server is being started, for the first time or again."""
        with self._lock:
            self._begin_anew(State.STARTING, reason)
        self._announcer.tell()

    def loading(self, reason: str = "the model is loading") -> None:
        """The model is loading; if it was loaded before, it no longer is."""
        with self._lock:
            self._begin_anew(State.LOADING, reason)
        self._announcer.tell()

    def downloading(
        self, progress: Mapping[str, Any], reason: str = "the model is being downloaded"
    ) -> None:
        """Weights are arriving. In error the progress is kept and the error stays."""
        with self._lock:
            if self.state in BEFORE_LOADED | {State.ERROR} and not self._is_loaded:
                self.progress = dict(progress)
                self._enter(State.DOWNLOADING, reason, BEFORE_LOADED)
                self.retry_after_s = self._wait_to_announce()
        self._announcer.tell()

    def benchmarking(self, reason: str = "capacity is being measured") -> None:
        """The model has loaded and is being measured; a ready worker stays ready meanwhile."""
        with self._lock:
            self._enter(State.BENCHMARKING, reason, LIVE - ACCEPTING)
        self._announcer.tell()

    # Facts about a model that is up

    def loaded(
        self,
        max_perf: float,
        *,
        load_time_s: float | None = None,
        reason: str = "the model has loaded",
    ) -> None:
        """The model serves ``max_perf`` units of work per second.

        A capacity that is not a positive number is an error where one is required, unless the
        model is serving already: then the one known so far stands. ``load_time_s`` replaces our
        own measurement of it the first time.
        """
        with self._lock:
            if self.state in LIVE:
                self._load(max_perf, load_time_s, reason)
        self._announcer.tell()

    def assume_ready(self, max_perf: float = 0.0) -> None:
        """There is no model to watch: take requests at once."""
        with self._lock:
            if self.state in BEFORE_LOADED:
                self._load(max_perf, None, "there is no model server to wait for")
        self._announcer.tell()

    def degraded(self, reason: str) -> None:
        """A loaded model cannot be relied on just now."""
        with self._lock:
            self._enter(State.DEGRADED, reason, ACCEPTING | {State.DEGRADED})
        self._announcer.tell()

    def recovered(self, reason: str = "the model answers again") -> None:
        """What was wrong has passed: back to ready if the model had loaded, else to loading."""
        with self._lock:
            target = self._serving_state() if self._is_loaded else State.LOADING
            self._enter(target, reason, FAILING)
        self._announcer.tell()

    def error(self, reason: str) -> None:
        """The worker cannot serve until something changes."""
        with self._lock:
            self._enter(State.ERROR, reason, LIVE)
        self._announcer.tell()

    def set_saturated(self, saturated: bool) -> None:
        """Whether every place is taken: ready or busy. Requests are let in either way."""
        if saturated == self._saturated:
            return
        with self._lock:
            self._saturated = saturated
            reason = "every place is taken" if saturated else "there is room again"
            self._enter(self._serving_state(), reason, ACCEPTING)
        self._announcer.tell()

    def set_capacity(self, capacity: float) -> None:
        """The model's log says how much it can hold at once, in the backend's units."""
        self.capacity = capacity

    # The end

    def draining(self, reason: str = "the worker has been asked to stop") -> None:
        """No more requests; those in flight may end. Only ``stopped`` follows."""
        with self._lock:
            self._enter(State.DRAINING, reason, LIVE)
        self._announcer.tell()

    def stopped(self, reason: str = "the worker has stopped") -> None:
        with self._lock:
            self._enter(State.STOPPED, reason, EVERY)
        self._announcer.tell()

    @property
    def public_reason(self) -> str:
        """The reason for anybody to read: a line of the model's log may hold a prompt."""
        return unquoted(self.reason)

    def document(self) -> dict[str, Any]:
        """Everything above as JSON values, for ``/pyworker/status``."""
        with self._lock:
            return {
                "state": str(self.state),
                "reason": self.reason,
                "since": self.since,
                "count": self._counts[self.state],
                "counts": {str(state): n for state, n in self._counts.items()},
                "accepting": self.accepting,
                "error_msg": self.error_msg,
                "load_time_s": self.load_time_s,
                "max_perf": self.max_perf,
                "capacity": self.capacity,
                "progress": self.progress,
                "history": [transition.document() for transition in self._history],
            }

    # The lock is held in all that follow

    def _begin_anew(self, state: State, reason: str) -> None:
        if self.state in LIVE:
            self._is_loaded = False
            self.max_perf = 0.0
            self._enter(state, reason, LIVE)

    def _load(self, max_perf: float, load_time_s: float | None, reason: str) -> None:
        measured = isfinite(max_perf) and max_perf > 0
        if not measured and self.benchmark_required and not self._is_loaded:
            self._enter(State.ERROR, _no_capacity(max_perf), LIVE)
            return
        is_news = measured and max_perf != self.max_perf
        self._is_loaded = True
        self.max_perf = max_perf if measured else self.max_perf
        self.progress = None
        if not self.load_time_s:
            self.load_time_s = load_time_s or max(self._monotonic() - self._born, 1e-3)
        if self.state not in ACCEPTING:
            self._enter(self._serving_state(), reason, LIVE)
        elif is_news:
            self._record(Transition(self.state, self.state, reason, self._now()))

    def _serving_state(self) -> State:
        return State.BUSY if self._saturated else State.READY

    def _enter(self, state: State, reason: str, allowed_from: frozenset[State]) -> None:
        """Go to ``state`` if the present one is in ``allowed_from``; else change nothing."""
        previous = self.state
        if previous not in allowed_from or (previous is state and self.reason == reason):
            return
        self.reason = reason
        if previous is state and state not in FAILING:
            return
        self.state = state
        self.accepting = state in ACCEPTING
        self.error_msg = reason if state in FAILING else ""
        self.retry_after_s = self._wait_to_announce()
        at = self._now()
        if previous is not state:
            self.since = at
            self._counts[state] += 1
        self._record(Transition(previous, state, reason, at))

    def _record(self, transition: Transition) -> None:
        """To listeners, and into the history; ready and busy alternate too often for that."""
        if not ACCEPTING.issuperset((transition.previous, transition.state)):
            self._history.append(transition)
        self._announcer.add(transition)

    def _wait_to_announce(self) -> float:
        left = (self.progress or {}).get("seconds_left")
        if self.state is not State.DOWNLOADING or left is None:
            return _RETRY_AFTER_S[self.state]
        return min(max(float(left), 1.0), LONGEST_RETRY_AFTER_S)


def unquoted(reason: str) -> str:
    """``reason`` for anybody to read, also in our own log: no line of the model's log."""
    return reason.partition(QUOTE)[0]


def _no_capacity(max_perf: float) -> str:
    return (
        f"the benchmark gave a capacity of {max_perf:g}, which cannot be true; "
        "correct the backend's benchmark or its workload"
    )
