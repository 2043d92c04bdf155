"""The stage in which the model serves: the vigil's judgements carried out, capacity kept true.

What is not here: the judgements themselves (``vigil``, ``remeasuring``: pure).
"""

from __future__ import annotations

import logging

from vast_pyworker.model import State
from vast_pyworker.worker.capacity.remeasuring import Remeasuring
from vast_pyworker.worker.modellog.log_reports import MEASURING
from vast_pyworker.worker.modellog.patterns import Match
from vast_pyworker.worker.modelserver.probe import Verdict

from .jobs import Done
from .readiness import ACCEPTING
from .scene import Scene, probe_result_of
from .stages import Name, Stage, Step
from .vigil import Action, Judgement

log = logging.getLogger(__name__)

TROUBLED_PROBE_S = 2.0
REFUSED_PROBE_S = 1.0
GAUGES_INTERVAL_S = 10.0


class Serving(Stage):
    """``readiness`` is ready or busy, or degraded or in error until the vigil sees it recover."""

    name: Name = "serving"

    def __init__(self, scene: Scene, now: float) -> None:
        super().__init__(scene)
        self._log_progress = 0
        self._asked_gauges_at: float | None = None
        self._progress_before_measure: int | None = None  # None: no measurement is under way
        self._remeasuring: Remeasuring | None = None
        max_perf = scene.readiness.max_perf
        if scene.preparation.measure is not None and max_perf > 0:
            self._remeasuring = Remeasuring(max_perf, now, scene.traffic.take().served_total)

    def tick(self, now: float) -> Step:
        scene = self.scene
        if scene.model.evidence:
            running = scene.traffic.in_flight
            self._ask(now, running)
            self._carry_out(scene.vigil.judge(now, running, self._marks()))
        self._mind_capacity(now)
        return Step(self._sentence())

    def heed(self, match: Match, now: float) -> Name | None:
        scene = self.scene
        if match.action == "error":
            scene.vigil.note_fatal(match.reason, now)
            scene.readiness.error(match.reason)
        elif match.action == "progress":
            self._log_progress += 1
        elif match.action == "capacity" and "capacity" in match.fields:
            scene.readiness.set_capacity(match.fields["capacity"])
        elif match.action in ("loaded", MEASURING):
            self._heed_loaded(match)
        elif match.action == "loading" and self._log_is_all_we_have():
            return self._load_anew()
        return None

    def finish(self, done: Done, now: float) -> None:
        if done.name == "probe":
            self.scene.vigil.note_probe(probe_result_of(done), now, self._marks())
        elif done.name == "gauges":
            self._finish_gauges(done, now)
        elif done.name == "remeasure":
            self._finish_measure(done, now)

    def _finish_gauges(self, done: Done, now: float) -> None:
        """Keep the model's own numbers, and compare them with ours where nobody measures it."""
        scene = self.scene
        scene.gauges = {} if done.error else dict(done.result)
        scene.crosscheck.surplus = None
        told = scene.model_requests()
        if "running" not in told or self._progress_before_measure is not None:
            return
        theirs = told["running"] + told.get("waiting", 0.0)
        doubt = scene.crosscheck.note(now, scene.traffic.at_model, theirs)
        if doubt:
            log.warning("%s", doubt)

    def _sentence(self) -> str:
        """The same for ready and busy, which alternate too often to be logged."""
        readiness = self.scene.readiness
        if readiness.state not in ACCEPTING:
            return f"{readiness.state}: {readiness.reason}"
        if readiness.max_perf > 0:
            return f"serving up to {readiness.max_perf:.4g} {self.scene.model.unit} per second"
        return "serving"

    def _marks(self) -> dict[str, float]:
        """Numbers that an engine at work cannot help changing; unknown ones are left out."""
        gauges = self.scene.gauges
        known = {n: gauges[n] for n in self.scene.model.progress_counters if n in gauges}
        return {"answers": self.scene.traffic.progress, "log": self._log_progress, **known}

    def _ask(self, now: float, running: int) -> None:
        """Probe and read gauges when due. A health check is asked for again sooner when in doubt:
        a port that refuses does so at once, and a recovery should not wait."""
        scene = self.scene
        last = scene.vigil.pulse.last
        if scene.readiness.state not in ACCEPTING:
            scene.ask_probe(now, TROUBLED_PROBE_S)
        elif self._probes_regularly():
            refused = last is not None and last.verdict is Verdict.REFUSED
            usual_s = scene.model.limits.probe_interval_s
            scene.ask_probe(now, min(usual_s, REFUSED_PROBE_S) if refused else usual_s)
        gauges = scene.senses.gauges
        asked_at = self._asked_gauges_at
        due = asked_at is None or now - asked_at >= self._gauges_interval_s()
        wanted = running or scene.model.running_gauge  # idle too: somebody may go past us
        if gauges and wanted and due and scene.jobs.start("gauges", gauges, scene.life):
            self._asked_gauges_at = now

    def _gauges_interval_s(self) -> float:
        """Often enough for the watchdog to see them move several times before it would bark."""
        timeout_s = self.scene.model.limits.progress_timeout_s
        return min(GAUGES_INTERVAL_S, timeout_s / 4) if timeout_s else GAUGES_INTERVAL_S

    def _probes_regularly(self) -> bool:
        model = self.scene.model
        watched = model.evidence & {"probe", "port"} or model.health_url or model.hooks.health
        return bool(watched) and model.limits.probe_interval_s > 0

    def _carry_out(self, judgement: Judgement) -> None:
        scene = self.scene
        if judgement.action is Action.DEGRADE:
            scene.readiness.degraded(judgement.reason)
        elif judgement.action is Action.RECOVER:
            scene.readiness.recovered(judgement.reason)
        elif judgement.action is Action.RESTART and scene.supervisor is not None:
            scene.restart_asked = True
            scene.restarts[judgement.cause] += 1
            scene.supervisor.restart(judgement.reason)

    def _heed_loaded(self, match: Match) -> None:
        """A loaded line of a model that serves changes nothing, but ends an error of its log."""
        scene = self.scene
        if scene.vigil.cause == "fatal":
            scene.vigil.forget()
            scene.readiness.recovered("its log says that it has loaded")
        if "max_perf" in match.fields:
            scene.readiness.loaded(match.fields["max_perf"], reason="the log watch measured it")

    def _log_is_all_we_have(self) -> bool:
        """Whether a line about loading is to be believed: nobody else could say otherwise."""
        return self.scene.supervisor is None and self.scene.model.evidence <= {"log"}

    def _load_anew(self) -> Name:
        scene = self.scene
        scene.begin_life()
        scene.evidence.require_log()
        scene.readiness.loading("its log says that the model is loading again")
        return "loading"

    def _mind_capacity(self, now: float) -> None:
        """Measure again when production contradicts the number and nobody is in the way; stop
        doing so as soon as somebody is."""
        scene, remeasuring = self.scene, self._remeasuring
        if remeasuring is None:
            return
        if self._progress_before_measure is not None:
            if scene.traffic.in_flight and scene.benchmark is not None:
                scene.benchmark.cancel()
            return
        contradiction = remeasuring.rebenchmark_if_contradicted(
            now,
            scene.traffic.take().served_total,
            saturated=scene.readiness.state is State.BUSY,
            running=scene.traffic.in_flight,
        )
        spec, benchmark = scene.model.benchmark, scene.benchmark
        if contradiction is None or spec is None or benchmark is None:
            return
        measure = scene.preparation.measure
        if scene.readiness.state is State.READY and measure is not None:
            benchmark.forget(spec)
            if scene.jobs.start("remeasure", measure, scene.life):
                log.info("Measuring capacity again: %s.", contradiction)
                self._progress_before_measure = scene.traffic.progress

    def _finish_measure(self, done: Done, now: float) -> None:
        """Believe the number, unless requests came in between and shared the model with it."""
        scene, remeasuring = self.scene, self._remeasuring
        if remeasuring is None:
            return
        disturbed = scene.traffic.progress != self._progress_before_measure
        self._progress_before_measure = None
        if done.error is not None or disturbed or scene.traffic.in_flight:
            remeasuring.failed(now)
            return
        max_perf = done.result.max_perf
        remeasuring.measured(max_perf, now, scene.traffic.take().served_total)
        scene.readiness.loaded(max_perf, reason=f"capacity was measured again: {max_perf:.4g}")
