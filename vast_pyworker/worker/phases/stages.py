"""The stages on the way up: down, loading, preparing. What comes after is ``serving``.

A stage lives until the next begins. It is handed the time, what the log says and the jobs that
have ended; its ``tick`` does what is due and says what is going on, and what stage comes next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from vast_pyworker.model import State
from vast_pyworker.worker.modellog.log_reports import MEASURING
from vast_pyworker.worker.modellog.patterns import Match

from .jobs import Done
from .readiness import FAILING
from .scene import Scene, probe_result_of

LOADING_PROBE_S = 0.5
START_RETRY_S = 30.0


Name = Literal["down", "loading", "preparing", "serving"]


@dataclass(frozen=True)
class Step:
    """What a tick did, as a sentence without numbers that always change; and what comes next."""

    sentence: str
    then: Name | None = None


class Stage:
    """The base of all; there is a new one each time that the stage is reached."""

    name: Name

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def tick(self, now: float) -> Step:
        raise NotImplementedError

    def heed(self, match: Match, now: float) -> Name | None:
        """Take in what the log says; the stage that this leads to, if any."""
        return None

    def finish(self, done: Done, now: float) -> None:
        """Take in the end of a job of this life."""


class Down(Stage):
    """The model server is ours to start, and does not run.

    While ``is_starting`` the supervisor may be ending what was left of an earlier model, and a
    question to it would have to wait for that.
    """

    name: Name = "down"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.is_starting = False
        self._start_at = float("-inf")

    def tick(self, now: float) -> Step:
        supervisor = self.scene.supervisor
        assert supervisor is not None
        if self.is_starting:
            return Step("the model server is being started")
        if supervisor.gave_up:
            reason = supervisor.exit_reason() or "the model server cannot be started"
            self.scene.readiness.error(reason)
            return Step(reason)
        if supervisor.alive() is None:
            if now >= self._start_at:
                self.is_starting = self.scene.jobs.start("start", supervisor.start, self.scene.life)
            return Step("the model server is being started")
        reason = supervisor.exit_reason() or "the model server does not run"
        if self.scene.readiness.state not in FAILING:
            self.scene.readiness.loading(reason)
        return Step(f"{reason}; it is being started again")

    def finish(self, done: Done, now: float) -> None:
        if done.name != "start":
            return
        self.is_starting = False
        if done.error is not None:
            self._start_at = now + START_RETRY_S
            self.scene.readiness.error(str(done.error))


class Loading(Stage):
    """The model loads, as far as we know; evidence is gathered until it is complete."""

    name: Name = "loading"

    def __init__(self, scene: Scene, now: float) -> None:
        super().__init__(scene)
        self._since = now
        self._is_overdue = False

    def tick(self, now: float) -> Step:
        scene = self.scene
        if scene.evidence.complete:
            return Step("the model has loaded", "preparing")
        if scene.evidence.wants_probe:
            scene.ask_probe(now, LOADING_PROBE_S)
        sentence = f"waiting for {scene.evidence}"
        progress = scene.look_for_download(now)
        if progress is not None:
            scene.readiness.downloading(progress.document(), str(progress))
            sentence = f"{progress}; {sentence}"
        elif scene.readiness.state is not State.ERROR:
            scene.readiness.loading(sentence)
        self._mind_the_time(now)
        return Step(sentence)

    def heed(self, match: Match, now: float) -> Name | None:
        scene = self.scene
        if match.action == "error":
            scene.readiness.error(match.reason)
        elif match.action == "loading" and not self._is_overdue:
            scene.readiness.loading(f"waiting for {scene.evidence}")
        heed_loaded(scene, match, now)
        return None

    def finish(self, done: Done, now: float) -> None:
        if done.name == "probe":
            self.scene.evidence.see_probe(probe_result_of(done))
        elif done.name == "disk":
            self.scene.finish_disk(done, now)

    def _mind_the_time(self, now: float) -> None:
        """Report once that it takes too long; the evidence may still come, and then is believed."""
        limit_s = self.scene.model.limits.readiness_timeout_s
        if self._is_overdue or not 0 < limit_s <= now - self._since:
            return
        self._is_overdue = True
        where = self.scene.model.log_path or "the model server's log"
        self.scene.readiness.error(
            f"the model has not loaded within {limit_s:.0f} s, still waiting for "
            f"{self.scene.evidence}: see {where}, or raise READINESS_TIMEOUT"
        )


class Preparing(Stage):
    """The model has loaded: ``setup()`` runs, then the capacity is found out."""

    name: Name = "preparing"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._has_failed = False  # told until an attempt has succeeded

    def tick(self, now: float) -> Step:
        scene, preparation = self.scene, self.scene.preparation
        step = preparation.next_step(now)
        if step == "setup" and preparation.setup is not None:
            return self._run("setup", preparation.setup, "the backend's setup() runs")
        if step == "measure" and preparation.measure is not None:
            return self._run("benchmark", preparation.measure, "capacity is being measured")
        if step == "await_measure":
            return self._say("the log watch measures the model")
        if step == "wait":
            return Step(f"{scene.readiness.reason}; it is tried again")
        scene.readiness.loaded(preparation.max_perf, load_time_s=scene.load_time_s)
        if scene.supervisor is not None:
            scene.supervisor.loaded()
        return Step("the model is ready", "serving")

    def heed(self, match: Match, now: float) -> Name | None:
        if match.action == "error":
            self._has_failed = True
            self.scene.readiness.error(match.reason)
        heed_loaded(self.scene, match, now)
        return None

    def finish(self, done: Done, now: float) -> None:
        if done.name == "setup":
            self._finish_setup(done, now)
        elif done.name == "benchmark":
            self._finish_benchmark(done, now)

    def _finish_setup(self, done: Done, now: float) -> None:
        if done.error is None:
            self._has_failed = False
            self.scene.preparation.was_set_up()
        else:
            name = type(done.error).__name__
            self._fail(f"the backend's setup() raised {name}: {done.error}", now)

    def _finish_benchmark(self, done: Done, now: float) -> None:
        max_perf = getattr(done.result, "max_perf", 0.0)
        if done.error is not None:
            self._fail(str(done.error) or repr(done.error), now)
        elif not (isfinite(max_perf) and max_perf > 0):
            self._fail(f"the benchmark gave a capacity of {max_perf:g}", now)
        else:
            self.scene.preparation.was_measured(max_perf)

    def _run(self, name: str, work: Callable[[], Any], sentence: str) -> Step:
        self.scene.jobs.start(name, work, self.scene.life)
        return self._say(sentence)

    def _say(self, sentence: str) -> Step:
        """A failure is told until an attempt succeeds, not only until the next one begins."""
        if not self._has_failed:
            self.scene.readiness.benchmarking(sentence)
        return Step(sentence)

    def _fail(self, reason: str, now: float) -> None:
        self._has_failed = True
        self.scene.preparation.failed(now)
        self.scene.readiness.error(reason)


def heed_loaded(scene: Scene, match: Match, now: float) -> None:
    """What a log says on the way up that is true in every stage of it."""
    fields = match.fields
    if match.action in ("loading", "progress") and scene.senses.download is not None:
        scene.senses.download.note_log(now, fields)
    elif match.action == "capacity" and "capacity" in fields:
        scene.readiness.set_capacity(fields["capacity"])
    elif match.action in ("loaded", MEASURING):
        scene.evidence.see_log()
        scene.load_time_s = fields.get("load_time", scene.load_time_s)
        if match.action == MEASURING:
            scene.preparation.outside_measures(now)
        elif "max_perf" in fields:
            scene.preparation.told_perf = fields["max_perf"]
