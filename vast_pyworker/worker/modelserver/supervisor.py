"""Keep one model server running: start it or adopt it, start it again when it ends, give up.

What is here: the decisions, one step per ``tick``, none of which waits. What is not: how
processes are found and ended (``process``), why they ended (``exits``), how long to wait
(``breaker``), and whether the model is of any use (``lifecycle``).

The model outlives the worker that started it. A worker that begins looks for the recorded
process, and if the same command in the same folder started it, takes it over as it is, loaded.
"""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from signal import SIGKILL, SIGTERM

from vast_pyworker.errors import ModelError
from vast_pyworker.worker.phases.readiness import QUOTE, unquoted

from . import exits, life, process
from .breaker import Breaker
from .life import Life

log = logging.getLogger(__name__)

STOP_GRACE_S = 10.0
UNKILLABLE_S = 30.0
LAST_LINES = 5


class _Phase(Enum):
    IDLE = "nothing is supervised"
    RUNNING = "the model runs, as far as we know"
    ENDING = "signalled, or dead with survivors; decided upon once nothing of it runs"
    WAITING = "for next_start_at"
    GAVE_UP = "for reset()"


class Supervisor:
    """One model server. Methods may be called from any thread; ``start`` and ``stop`` block.

    ``env`` is the whole environment to pass on; secrets are taken out here. ``now`` is the clock
    that ``tick`` and ``next_start_at`` speak of. Sentences that are returned have been logged.
    Plain attributes: ``next_start_at`` (None: no start is due) and ``restarts`` (since ``start``).
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str | Path | None,
        log_path: str | Path,
        state_dir: str | Path,
        breaker: Breaker,
        now: Callable[[], float] = time.monotonic,
        stop_grace_s: float = STOP_GRACE_S,
    ) -> None:
        self.next_start_at: float | None = None
        self.restarts = 0
        self._command = tuple(command)
        self._cwd = None if cwd is None else Path(cwd)
        self._log_path = Path(log_path)
        self._state_dir = Path(state_dir)
        self._label = process.label_of(self._state_dir)
        self._wanted = life.fingerprint_of(self._command, self._cwd)
        self._env = process.environment_of(env, self._label)
        self._breaker = breaker
        self._now = now
        self._stop_grace_s = stop_grace_s
        self._lock = threading.RLock()
        self._phase = _Phase.IDLE
        self._life: Life | None = None
        self._child: subprocess.Popen[bytes] | None = None  # None also when adopted
        self._oom_kills: int | None = None
        self._reason: str | None = None
        self._kill_at = 0.0
        self._killed_at: float | None = None

    @property
    def gave_up(self) -> bool:
        """Whether the model has failed too often, or for good; ``reset`` tries again."""
        return self._breaker.is_open

    @property
    def pid(self) -> int | None:
        """Number of the process that is supervised, or was last."""
        now = self._life
        return now.pid if now else None

    @property
    def log_offset(self) -> int | None:
        """Size of the log when this life of the model began; None: there is no life."""
        now = self._life
        return now.log_offset if now else None

    def start(self) -> str:
        """Take over the recorded model or start one; raises ModelError where that is hopeless.

        What an earlier worker left under another command is ended first, which may take as long
        as a stop.
        """
        with self._lock:
            if self._phase is _Phase.RUNNING:
                return f"The model server runs already as process {self.pid}."
            if self.gave_up:
                raise ModelError(self._breaker.reason)
            with life.alone(self._state_dir):
                earlier = life.recorded(self._state_dir)
                if earlier is not None and earlier.goes_on and earlier.fingerprint == self._wanted:
                    self._run(earlier, None)
                    return _said(f"Took over the model server that runs as process {self.pid}.")
                process.end(self._label, earlier, self._stop_grace_s)
                return self._begin()

    def restart(self, reason: str) -> str | None:
        """End the model and start it again after the back-off; None if that is under way.

        Does not wait: the next ticks do the rest. Counts as a failure.
        """
        with self._lock:
            if self._phase is not _Phase.RUNNING:
                return None
            if not self._lives():
                return self._ended()
            self._reason = f"The model server was stopped because of this: {reason}"
            self._phase, self._kill_at = _Phase.ENDING, self._now() + self._stop_grace_s
            process.send(process.members(self._label, self._life), SIGTERM)
            return _said(f"Stopping the model server (process {self.pid}): {reason}")

    def stop(self, deadline_s: float) -> None:
        """End the model and all it has started, by SIGKILL after ``deadline_s``; no restarts."""
        with self._lock:
            last, child = self._life, self._child
            was_idle = self._phase is _Phase.IDLE
            self._life = self._child = self._reason = self.next_start_at = None
            self._phase = _Phase.IDLE
        if was_idle:
            return
        process.end(self._label, last, deadline_s)
        if child is not None:
            child.poll()
        life.forget(self._state_dir)

    def alive(self) -> bool | None:
        """Whether the model's process runs and is meant to; None: nothing is supervised."""
        with self._lock:
            if self._phase is _Phase.IDLE:
                return None
            return self._phase is _Phase.RUNNING and self._lives()

    def exit_reason(self) -> str | None:
        """Why the model ended, as one sentence; None while it runs, and before it ever did."""
        with self._lock:
            if self._phase is _Phase.RUNNING:
                return None if self._lives() else self._why_it_ended()
            return self._reason

    def loaded(self) -> None:
        """The model has loaded: failures from before may now be forgotten with time."""
        with self._lock:
            self._breaker.loaded(self._now())

    def reset(self) -> None:
        """Somebody has mended something: forget the failures, start at the next tick."""
        with self._lock:
            self._breaker.reset()
            if self._phase is _Phase.GAVE_UP:
                self._phase, self.next_start_at = _Phase.WAITING, self._now()

    def tick(self, now: float) -> str | None:
        """Take the next step, if one is due: what was done and why, or None."""
        with self._lock:
            if self._phase is _Phase.RUNNING and not self._lives():
                return self._ended()
            if self._phase is _Phase.ENDING:
                return self._settle(now)
            if self._phase is _Phase.WAITING and now >= (self.next_start_at or 0.0):
                return self._begin_again()
            return None

    def _lives(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        return self._life is not None and self._life.goes_on

    def _begin(self) -> str:
        try:
            offset = self._log_path.stat().st_size if self._log_path.exists() else 0
            child = process.spawn(
                self._command, env=self._env, cwd=self._cwd, log_path=self._log_path
            )
        except ModelError as exc:
            self._give_up(str(exc))
            raise
        except OSError as exc:
            return self._failed(f"The model server could not be started ({exc.strerror})")
        self._run(Life.of(child.pid, self._wanted, offset), child)
        return _said(f"Started the model server as process {child.pid}: {self._command[0]}.")

    def _begin_again(self) -> str:
        self.restarts += 1
        try:
            return self._begin()
        except ModelError as exc:
            return str(exc)

    def _run(self, begun: Life, child: subprocess.Popen[bytes] | None) -> None:
        self._life, self._child = begun, child
        self._phase, self.next_start_at, self._killed_at = _Phase.RUNNING, None, None
        self._oom_kills = exits.oom_kills()
        try:
            life.record(begun, self._state_dir)
        except OSError as exc:
            log.warning(
                "Could not write down process %s in %s (%s): free space there, or a worker that "
                "restarts will start the model anew.",
                *(begun.pid, self._state_dir, exc.strerror),
            )

    def _ended(self) -> str:
        """The leader died of itself: kill what it left behind, then decide."""
        self._reason = self._why_it_ended()
        self._phase, self._kill_at = _Phase.ENDING, self._now()
        return self._settle(self._now()) or _said(f"{self._reason}; ending what it left behind.")

    def _settle(self, now: float) -> str | None:
        """Once nothing of the model runs, decide what is next; SIGKILL when its grace is over."""
        left = process.members(self._label, self._life)
        reason = self._reason or ""
        if not left and not self._lives():
            return self._failed(reason)
        if now >= self._kill_at:
            process.send(left, SIGKILL)
            self._killed_at = now if self._killed_at is None else self._killed_at
        if self._killed_at is None or now < self._killed_at + UNKILLABLE_S:
            return None
        stuck = process.numbers(left)
        return self._give_up(f"{reason}; {stuck} cannot be killed: restart the instance.")

    def _failed(self, reason: str) -> str:
        self._reason = reason
        now = self._now()
        wait_s = self._breaker.failed(now, self._farewell(reason, self._breaker.restarts(now)))
        if wait_s is None:
            return self._give_up(self._breaker.reason)
        self._phase, self.next_start_at = _Phase.WAITING, now + wait_s
        return _said(f"{reason}; starting it again in {wait_s:g} s.", logging.WARNING)

    def _farewell(self, reason: str, restarts: int) -> str:
        lines = exits.last_lines(self._log_path, self.log_offset or 0, LAST_LINES)
        ending = f"{QUOTE}at last: {' | '.join(lines)}" if lines else ""
        return (
            f"{reason}; gave up after {restarts} restarts: mend what {self._log_path} says, "
            f"then restart the worker{ending}."
        )

    def _give_up(self, reason: str) -> str:
        self._breaker.trip(reason)
        self._reason = reason
        self._phase, self.next_start_at = _Phase.GAVE_UP, None
        return _said(reason, logging.ERROR)

    def _why_it_ended(self) -> str:
        kills = exits.oom_kills()
        starved = kills is not None and self._oom_kills is not None and kills > self._oom_kills
        returncode = None if self._child is None else self._child.poll()
        how = exits.how_it_ended(returncode, out_of_memory=starved)
        last = exits.last_lines(self._log_path, self.log_offset or 0, 1)
        return f"The model server {how}" + (f"{QUOTE}{last[0]!r}" if last else "")


def model_folder(state_dir: str | Path, port: int) -> Path:
    """Where the worker on this port keeps its model's record; several workers share a state_dir.

    What ``Supervisor`` and ``stop_recorded`` are given as theirs must be one worker's alone, for
    a worker ends whatever it finds there and did not start.
    """
    return Path(state_dir) / f"model-{port}"


def stop_recorded(state_dir: str | Path, deadline_s: float) -> bool:
    """End the model of the worker with this state folder; whether there was one to end.

    For a process that did not start it: gunicorn's master on its way out, ``--stop``.
    """
    folder = Path(state_dir)
    had_any = process.end(process.label_of(folder), life.recorded(folder), deadline_s)
    life.forget(folder)
    return had_any


def _said(sentence: str, level: int = logging.INFO) -> str:
    log.log(level, "%s", unquoted(sentence))  # a line of the model's log may hold a prompt
    return sentence
