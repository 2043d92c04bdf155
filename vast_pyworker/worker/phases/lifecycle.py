"""Brings one model up, watches over it, and says at every step what it is doing and why.

One thread, one loop, one ``tick``, one sentence. What is here: the loop, the beginning and the
end. What is not: what is done in each stage (``stages``, ``serving``), the judgements
(``evidence``, ``preparation``, ``vigil``, ``remeasuring``: pure), whatever may block (``jobs``),
processes (``supervisor``), and what is told to the outside (``readiness``).

    down -> loading -> preparing -> serving -> down ...

``down``: the model server is ours to start and does not run. ``loading``: evidence is gathered.
``preparing``: ``setup()``, then a capacity. ``serving``: the vigil. A model that is started
elsewhere is never down; one that shows nothing to wait for is serving from the start.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from vast_pyworker.worker.contract.spec import ModelSpec
from vast_pyworker.worker.modellog.log_reports import match_of
from vast_pyworker.worker.modellog.patterns import Match
from vast_pyworker.worker.modelserver.senses import Senses, senses_of

from .jobs import Jobs, ThreadJobs, within
from .readiness import ACCEPTING, LIVE, Readiness, unquoted
from .scene import Benchmark, Scene, Supervisor, Traffic
from .serving import Serving
from .stages import Down, Loading, Name, Preparing, Stage

log = logging.getLogger(__name__)

SERVING_WAIT_S = 0.25
LOADING_WAIT_S = 0.05
BEHIND_WAIT_S = 0.01
MOST_POSTED = 1000
DRAIN_POLL_S = 0.02
TEARDOWN_S = 10.0


class Lifecycle:
    """The life of one model server, and of whatever comes after it.

    ``now`` is a clock that only grows; ``wall`` gives Unix seconds. ``senses`` and ``jobs`` are
    the real ones unless given. ``sentence`` is what the last tick did; it is logged when it
    changes. ``start`` and ``stop`` are for one thread; ``observe``, ``report``, ``drain`` and
    ``document`` for any; ``tick`` belongs to the loop, or to a test in its place.
    """

    def __init__(
        self,
        model: ModelSpec,
        readiness: Readiness,
        traffic: Traffic,
        *,
        supervisor: Supervisor | None = None,
        benchmark: Benchmark | None = None,
        senses: Senses | None = None,
        jobs: Jobs | None = None,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.sentence = ""
        self._now = now
        self._wake = threading.Event()
        self._ending = False
        self._farewell_said = self._overrun = False
        self._alive: bool | None = None
        self._posted: queue.Queue[Match] = queue.Queue(MOST_POSTED)
        self._thread = threading.Thread(target=self._run, name="lifecycle", daemon=True)
        self._scene = Scene(
            model,
            readiness,
            traffic,
            senses if senses is not None else senses_of(model),
            jobs if jobs is not None else ThreadJobs(self._wake.set),
            supervisor,
            benchmark,
            wall,
        )
        self._stage: Stage = Down(self._scene)

    # For the composition root

    def start(self) -> None:
        """Begin, and go on in a thread."""
        self.begin()
        self._thread.start()

    def begin(self) -> None:
        """Say where things stand before the first tick: a worker without a model is ready now."""
        scene = self._scene
        model, preparation = scene.model, scene.preparation
        scene.readiness.benchmark_required = preparation.measure is not None
        if scene.supervisor is not None:
            scene.readiness.starting()
        elif model.evidence or preparation.setup or preparation.measure:
            scene.readiness.loading("waiting for the model server")
            self._enter("loading", self._now())
        else:
            scene.readiness.assume_ready(model.max_perf)
            self._enter("serving", self._now())

    def stop(self, model_deadline_s: float | None) -> None:
        """End the loop, then the model within ``model_deadline_s``; None leaves it running, for
        the next worker to take over. Blocks."""
        self._ending = True
        self._wake.set()
        scene = self._scene
        if scene.benchmark is not None:
            scene.benchmark.cancel()
        if self._thread.is_alive():
            self._thread.join()
        if scene.model.hooks.teardown is not None:
            self._tear_down(scene.model.hooks.teardown)
        if scene.supervisor is not None and model_deadline_s is not None:
            scene.supervisor.stop(model_deadline_s)
        if scene.senses.log is not None:
            scene.senses.log.close()
        scene.readiness.stopped()

    def drain(self, deadline_s: float, *, pause: Callable[[float], object] = time.sleep) -> bool:
        """Take no more requests and wait for those in flight: whether they all ended in time."""
        self._scene.readiness.draining()
        self._wake.set()
        until = self._now() + deadline_s
        while self._scene.traffic.in_flight > 0:
            if self._now() >= until:
                return False
            pause(DRAIN_POLL_S)
        return True

    # For whoever knows something

    def observe(self, match: Match) -> None:
        """Take in evidence from outside, at the next tick, which comes at once."""
        try:
            self._posted.put_nowait(match)
        except queue.Full:
            if not self._overrun:
                log.warning("Too much is reported at once; some was dropped: %s", match.action)
            self._overrun = True
        self._wake.set()

    def report(self, kind: str, body: Mapping[str, Any]) -> None:
        """Take in what was posted to ``/report_KIND``; the caller has checked the token."""
        match = match_of(kind, body)
        if match is not None:
            self.observe(match)

    # For whoever asks

    @property
    def restarts(self) -> Mapping[str, int]:
        """Restarts of the model server by cause."""
        return self._scene.restarts

    @property
    def log_matches(self) -> Mapping[str, int]:
        """Lines that meant something, by action."""
        source = self._scene.senses.log
        return source.matches if source is not None else {}

    @property
    def probe_failures(self) -> int | None:
        """Failed health checks of a loaded model; None: it is not probed."""
        scene = self._scene
        return scene.vigil.pulse.failures_total if scene.senses.probe is not None else None

    @property
    def model_requests(self) -> Mapping[str, float]:
        """``running`` and ``waiting`` at the model, and its ``surplus`` over ours, where known."""
        return self._scene.model_requests()

    def document(self) -> dict[str, Any]:
        """For ``/pyworker/status``."""
        scene = self._scene
        last, source = scene.vigil.pulse.last, scene.senses.log
        return {
            "stage": self._stage.name,
            "sentence": self.sentence,
            "server": scene.model.server_url,
            "evidence": sorted(scene.evidence.required),
            "missing": sorted(scene.evidence.missing),
            "supervised": scene.supervisor is not None,
            "alive": self._alive,
            "restarts": dict(scene.restarts),
            "probe": None if last is None else {"verdict": str(last.verdict), "says": last.detail},
            "probe_failures": self.probe_failures,
            "gauges": dict(scene.gauges),
            "log": source.document() if source is not None else None,
        }

    # The loop

    def tick(self, now: float) -> str:
        """Take in what is new, do what is due: one sentence that says so."""
        scene = self._scene
        for done in scene.jobs.finished():
            if done.tag == scene.life:
                self._stage.finish(done, now)
        for match in self._matches(now):
            self._enter(self._stage.heed(match, now), now)
        if scene.readiness.state not in LIVE:
            return self._say_farewell()
        self._follow_process(now)
        step = self._stage.tick(now)
        while step.then is not None:
            self._enter(step.then, now)
            step = self._stage.tick(now)
        return self._say(step.sentence)

    def _run(self) -> None:
        while not self._ending:
            try:
                self.tick(self._now())
            except Exception:  # the edge of the loop: nothing may end the watch over the model
                log.exception("A step of the model's life failed; the next one is taken.")
            self._wake.wait(self._wait_s())
            self._wake.clear()

    def _wait_s(self) -> float:
        source = self._scene.senses.log
        if source is not None and source.behind:
            return BEHIND_WAIT_S
        return LOADING_WAIT_S if self._stage.name == "loading" else SERVING_WAIT_S

    def _matches(self, now: float) -> list[Match]:
        """What the log and others say. The log of a model that does not run is not read: it is
        read from where the next life of the model begins."""
        source = self._scene.senses.log
        matches = source.poll(now) if source is not None and self._stage.name != "down" else []
        while not self._posted.empty():
            matches.append(self._posted.get_nowait())
        return matches

    def _follow_process(self, now: float) -> None:
        """Let the supervisor do what is due, and notice when the process comes and goes."""
        scene, stage = self._scene, self._stage
        if scene.supervisor is None or (isinstance(stage, Down) and stage.is_starting):
            return
        scene.supervisor.tick(now)
        self._alive = alive = scene.supervisor.alive()
        if alive and self._stage.name == "down":
            scene.begin_life()
            if scene.senses.log is not None:
                scene.senses.log.renew(scene.supervisor.log_offset)
            scene.readiness.loading("the model server has been started")
            self._enter("loading", now)
        elif not alive and self._stage.name != "down":
            self._lose_process(scene.supervisor, now)

    def _lose_process(self, supervisor: Supervisor, now: float) -> None:
        scene = self._scene
        if not scene.restart_asked:
            scene.restarts["exited"] += 1
        if scene.benchmark is not None:
            scene.benchmark.cancel()
        if scene.readiness.state in ACCEPTING:
            scene.readiness.degraded(supervisor.exit_reason() or "the model server has ended")
        scene.begin_life()
        self._enter("down", now)

    def _enter(self, name: Name | None, now: float) -> None:
        if name is None:
            return
        scene = self._scene
        made: dict[Name, Callable[[], Stage]] = {
            "down": lambda: Down(scene),
            "loading": lambda: Loading(scene, now),
            "preparing": lambda: Preparing(scene),
            "serving": lambda: Serving(scene, now),
        }
        self._stage = made[name]()

    def _say_farewell(self) -> str:
        if not self._farewell_said and self._scene.benchmark is not None:
            self._scene.benchmark.cancel()
        self._farewell_said = True
        return self._say(f"{self._scene.readiness.state}: {self._scene.readiness.reason}")

    def _say(self, sentence: str) -> str:
        if sentence != self.sentence:
            self.sentence = sentence
            log.info("%s: %s.", self._scene.model.name, unquoted(sentence).rstrip("."))
        return sentence

    def _tear_down(self, teardown: Callable[[], Any]) -> None:
        """Call the backend's hook, for as long as can be waited for it."""
        ended = within(TEARDOWN_S, "teardown", teardown)
        if ended is None:
            log.warning("The backend's teardown() takes over %.0f s; going on.", TEARDOWN_S)
        elif ended.error is not None:
            log.warning("The backend's teardown() failed: %r", ended.error)
