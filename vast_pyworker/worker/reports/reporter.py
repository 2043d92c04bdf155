"""What the autoscaler is told, and when: one thread, one loop, one tick, one sentence.

An edge (loaded, error, recovered, draining: any change of state but ready <-> busy, of the error or
of the capacity) is reported at once; a change of load within a second; otherwise there is a report
at least every ten seconds. What has happened since the last report is subtracted only when an
address has taken it, so a failed report is repeated in substance by the next. Ended requests are
told each second, at least once.

What is here: when, and from what. What is not: the wire's spelling (``wire``), sending and back-off
(``transport``), counting (``accounting``), putting one report together (``statement``).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vast_pyworker import wire
from vast_pyworker.model import Report, State

from .accounting import Accounting, Counters
from .statement import Gauges, Identity, Situation, compose
from .transport import Address, Addresses, Post

log = logging.getLogger(__name__)

TICK_S = 1.0
HEARTBEAT_S = 10.0
FLUSH_PAUSE_S = 0.05
MAX_ENDS_AT_ONCE = 10_000
ENDS_NOT_TAKEN_BY = "https://cloud.vast.ai/api/v0"  # takes reports only, by Vast's own rule

_Headline = tuple[State, str, float]  # state, error and capacity: what is news at once


class Reporter:
    """Tells the first of ``addresses`` that listens how this worker is doing.

    ``extended`` None: our extra fields go to addresses that announced that they take them; True
    or False: to all or none. ``tick`` may be called by hand as long as the thread is not started.
    """

    def __init__(
        self,
        identity: Identity,
        addresses: Sequence[str],
        accounting: Accounting,
        readiness: Situation,
        post: Post,
        *,
        gauges: Gauges | None = None,
        extended: bool | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._identity = identity
        self._accounting = accounting
        self._readiness = readiness
        self._gauges = gauges or Gauges()
        self._extended = extended
        self._now = now
        self._reports_to = Addresses(addresses, post, now)
        takes_ends = [url for url in addresses if url.rstrip("/") != ENDS_NOT_TAKEN_BY]
        self._ends_to = Addresses(takes_ends, post, now)
        self.results = {"delivered": 0, "failed": 0}
        self.delivered_at: float | None = None
        self._tried_at = self._ended_at = float("-inf")
        self._headline_tried: _Headline | None = None
        self._told: tuple[int, State] | None = None
        self._failing = False
        self._asked = False
        self._handed_over = False
        self._seq = 0
        self._disk_told_gib: float | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._flush_wanted = False
        self._flushed = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to report, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 15.0) -> None:
        """End the thread; waits for a report that is under way."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def wake(self) -> None:
        """Report now if there is news; cheap enough to be called for every request."""
        if self._headline() != self._headline_tried:
            self._wake.set()

    def report_now(self) -> None:
        """Send a report at once, whatever was last sent; returns before it is sent."""
        self._asked = True
        self._wake.set()

    def hand_over(self) -> None:
        """A successor reports under our number from now on: tell of ended requests only."""
        self._handed_over = True

    def flush(self, deadline_s: float) -> bool:
        """Wait until what is known now has been told; False if the deadline passed first."""
        self._flushed.clear()
        self._asked = self._flush_wanted = True
        self._wake.set()
        done = self._flushed.wait(deadline_s)
        self._flush_wanted = False
        return done

    def age_s(self) -> float | None:
        """Seconds since a report was last taken; None if none ever was."""
        return None if self.delivered_at is None else self._now() - self.delivered_at

    def status(self) -> dict[str, Any]:
        """How reporting is going, for people."""
        return {
            "addresses": [
                {"url": a.url, "extended": a.extended, "failures": a.failures, "problem": a.problem}
                for a in self._reports_to.all
            ],
            "age_s": self.age_s(),
            "ends_dropped": self._accounting.ends_dropped,
            **self.results,
        }

    def tick(self) -> str:
        """Send what is due; one sentence of what was done and why, empty when nothing was due."""
        flushing, self._flush_wanted = self._flush_wanted, False
        why = "" if self._handed_over else self._urgent() or self._routine()
        told = self._report(why) if why else ""
        ended = self._tell_ends(flushing)
        if flushing:
            self._settle_flush()
        return " ".join(sentence for sentence in (told, ended) if sentence)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            was_failing = self._failing
            try:
                self._say(self.tick(), was_failing)
            except Exception:
                # The loop must outlive any one report: a silent worker is taken for a dead one.
                log.exception("The report failed unexpectedly; trying again.")
            self._wake.wait(self._pause_s())

    def _pause_s(self) -> float:
        if self._flush_wanted:
            return FLUSH_PAUSE_S
        due_in_s = self._tried_at + TICK_S - self._now()
        return due_in_s if 0 < due_in_s < TICK_S else TICK_S

    def _urgent(self) -> str:
        """Why a report cannot wait, not even for the end of a back-off; empty if it can."""
        if self._asked:
            return "asked for"
        if self._headline() != self._headline_tried:
            return "news"
        silent_s = self._now() - self._tried_at
        return "heartbeat" if silent_s >= HEARTBEAT_S - TICK_S else ""

    def _routine(self) -> str:
        """Why a report is due in its turn; empty if none is, or no address is to be tried yet."""
        if self._now() - self._tried_at < TICK_S or not self._reports_to.ready():
            return ""
        if self._failing:
            return "trying again"
        return "load changed" if self._told != self._load() else ""

    def _headline(self) -> _Headline:
        """The news of the moment; ready and busy are the same news."""
        state = self._readiness.state
        shown = State.READY if state is State.BUSY else state
        return shown, self._readiness.error_msg, self._readiness.max_perf

    def _load(self) -> tuple[int, State]:
        return self._accounting.changes, self._readiness.state

    def _report(self, why: str) -> str:
        self._asked = False
        self._headline_tried, load = self._headline(), self._load()
        counters = self._accounting.take()
        report = self._compose(counters)
        taker = self._reports_to.deliver(wire.REPORT_PATH, self._encoder(report))
        self._tried_at = self._now()
        if taker is None:
            self._failing = True
            self.results["failed"] += 1
            return f"No autoscaler took the report ({why}): {self._reports_to.problems()}"
        self._accounting.acknowledge(counters)
        self._failing = False
        self._told, self._disk_told_gib = load, report.disk_usage_gib
        self.delivered_at = self._tried_at
        self.results["delivered"] += 1
        return f"Reported {report.state} to {taker.url}: {why}."

    def _encoder(self, report: Report) -> Callable[[Address], Mapping[str, Any]]:
        def encode(address: Address) -> dict[str, Any]:
            extended = address.extended if self._extended is None else self._extended
            return wire.encode_report(report, extended)

        return encode

    def _compose(self, counters: Counters) -> Report:
        self._seq += 1
        return compose(
            self._identity,
            self._readiness,
            counters,
            self._gauges,
            seq=self._seq,
            disk_told_gib=self._disk_told_gib,
        )

    def _tell_ends(self, at_once: bool) -> str:
        if not self._ends_to.ready() or (not at_once and self._now() - self._ended_at < TICK_S):
            return ""
        ends = self._accounting.ends(MAX_ENDS_AT_ONCE)
        if not ends:
            return ""
        self._ended_at = self._now()
        body = wire.encode_ends(self._identity.worker_id, self._identity.mtoken, ends)
        taker = self._ends_to.deliver(wire.ENDS_PATH, lambda address: body)
        if taker is None:
            return f"{len(ends)} ended requests wait to be told."
        self._accounting.acknowledge_ends(ends)
        return f"Told {taker.url} of {len(ends)} ended requests."

    def _settle_flush(self) -> None:
        """Answer ``flush`` if all was told, else try again at the next tick."""
        untold = self._failing and not self._handed_over
        if untold or (self._ends_to.all and self._accounting.ends(1)):
            self._flush_wanted = True
        else:
            self._flushed.set()

    def _say(self, sentence: str, was_failing: bool) -> None:
        """Log the sentence; loud when reporting begins to fail and when it works again."""
        if sentence:
            loud = logging.WARNING if self._failing else logging.INFO
            log.log(loud if self._failing != was_failing else logging.DEBUG, "%s", sentence)


__all__ = ["Gauges", "Identity", "Reporter", "Situation"]
