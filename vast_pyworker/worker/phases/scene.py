"""What the stages of a lifecycle have in common: the parts they act on, and this life's findings.

What is here: the seams to the parts that others provide, and the schedule of questions. What is
not: what happens when (``stages``, ``serving``, ``lifecycle``).
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from vast_pyworker.worker.capacity.benchmark import BenchmarkSpec
from vast_pyworker.worker.contract.spec import ModelSpec
from vast_pyworker.worker.modelserver.probe import ProbeResult, Verdict
from vast_pyworker.worker.modelserver.progress import Progress
from vast_pyworker.worker.modelserver.senses import Senses

from .crosscheck import CrossCheck
from .evidence import Evidence
from .jobs import Done, Jobs
from .preparation import Preparation
from .readiness import Readiness
from .vigil import Vigil

log = logging.getLogger(__name__)

DISK_INTERVAL_S = 1.0


class Supervisor(Protocol):
    """Whoever keeps the model's process. Only ``start`` and ``stop`` may block for long."""

    @property
    def gave_up(self) -> bool:
        """Whether it will not start the model again of itself."""
        ...

    @property
    def log_offset(self) -> int | None:
        """Where in the log this life of the model begins; None: unknown."""
        ...

    def start(self) -> str:
        """Start or take over the model; raises ModelError where that is hopeless."""
        ...

    def tick(self, now: float) -> str | None:
        """Do what is due: starting it again is, once its back-off is over."""
        ...

    def restart(self, reason: str) -> str | None:
        """Begin to end the model, to be started again by later ticks."""
        ...

    def stop(self, deadline_s: float) -> None: ...

    def alive(self) -> bool | None:
        """Whether it runs; None: ``start`` has not been called."""
        ...

    def exit_reason(self) -> str | None: ...

    def loaded(self) -> None:
        """The model has proved that it can load."""
        ...


class Capacity(Protocol):
    """A measured capacity."""

    @property
    def max_perf(self) -> float: ...


class Benchmark(Protocol):
    """``measure`` may block for minutes; ``forget`` and ``cancel`` do not."""

    def measure(self, spec: BenchmarkSpec, now: float) -> Capacity:
        """The capacity, as kept or measured; raises BenchmarkFailed. ``now`` is Unix seconds."""
        ...

    def forget(self, spec: BenchmarkSpec) -> None: ...

    def cancel(self) -> None:
        """Make the ``measure`` that is under way, if any, raise."""
        ...


class Totals(Protocol):
    @property
    def served_total(self) -> float: ...


class Traffic(Protocol):
    """The accounting: requests held now, those of them that the model has, and a number that grows
    while answers do."""

    @property
    def in_flight(self) -> int: ...

    @property
    def at_model(self) -> int: ...

    @property
    def progress(self) -> int: ...

    def take(self) -> Totals: ...


@dataclass
class Scene:
    """``life`` numbers the lives of the model server; a job's result counts in its own life only.

    ``restarts`` counts by cause: "exited", or what the vigil found.
    """

    model: ModelSpec
    readiness: Readiness
    traffic: Traffic
    senses: Senses
    jobs: Jobs
    supervisor: Supervisor | None = None
    benchmark: Benchmark | None = None
    wall: Callable[[], float] = time.time
    life: int = 0
    restarts: Counter[str] = field(default_factory=Counter)
    gauges: dict[str, float] = field(default_factory=dict)
    crosscheck: CrossCheck = field(default_factory=CrossCheck)
    restart_asked: bool = False
    load_time_s: float | None = None
    evidence: Evidence = field(init=False)
    preparation: Preparation = field(init=False)
    vigil: Vigil = field(init=False)
    _probed_at: float | None = None
    _looked_at: float | None = None

    def __post_init__(self) -> None:
        model, benchmark = self.model, self.benchmark
        spec = model.benchmark
        self.evidence = Evidence(model.evidence)
        self.vigil = Vigil(model.limits)
        self.preparation = Preparation(
            setup=model.hooks.setup,
            measure=partial(self._measure, benchmark, spec) if benchmark and spec else None,
            claimed_perf=model.max_perf,
        )

    def begin_life(self) -> None:
        """The model server was started or ended: what was known of it is history."""
        self.life += 1
        self.restart_asked = False
        self.evidence.clear()
        self.preparation.begin()
        self.vigil.forget()
        self.gauges.clear()
        self.crosscheck.forget()
        self._probed_at = None

    def ask_probe(self, now: float, every_s: float) -> None:
        """Probe, unless that was done less than ``every_s`` ago or is being done."""
        probe = self.senses.probe
        due = self._probed_at is None or now - self._probed_at >= every_s
        if probe is not None and due and self.jobs.start("probe", probe, self.life):
            self._probed_at = now

    def look_for_download(self, now: float) -> Progress | None:
        """How far a download has come, if there is one; its folder is measured now and then."""
        meter = self.senses.download
        if meter is None:
            return None
        due = self._looked_at is None or now - self._looked_at >= DISK_INTERVAL_S
        if meter.has_folder and due and self.jobs.start("disk", meter.look, self.life):
            self._looked_at = now
        return meter.progress(now)

    def finish_disk(self, done: Done, now: float) -> None:
        if self.senses.download is not None and done.result is not None:
            self.senses.download.note_disk(now, done.result)

    def model_requests(self) -> dict[str, float]:
        """What the model server said last of the requests in it; what is unknown is left out."""
        model = self.model
        named = {"running": model.running_gauge, "waiting": model.waiting_gauge}
        known = {key: self.gauges[name] for key, name in named.items() if name in self.gauges}
        surplus = self.crosscheck.surplus
        return known if surplus is None else known | {"surplus": surplus}

    def _measure(self, benchmark: Benchmark, spec: BenchmarkSpec) -> Any:
        return benchmark.measure(spec, self.wall())


def probe_result_of(done: Done) -> ProbeResult:
    """What a probe found; one that raised, which none should, found the server broken."""
    if isinstance(done.result, ProbeResult):
        return done.result
    log.error("A health probe failed in itself: %r", done.error)
    return ProbeResult(Verdict.BROKEN, f"the probe failed in itself ({done.error!r})")
