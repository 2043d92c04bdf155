"""Makes the Lifecycle of a worker's model, with its real parts. Wires; starts nothing.

What the parts do is told where they are: ``supervisor``, ``benchmark``, ``senses``, ``lifecycle``.
"""

from __future__ import annotations

from pathlib import Path

from vast_pyworker import __version__
from vast_pyworker.settings import Settings
from vast_pyworker.worker.capacity.benchmark import Benchmark
from vast_pyworker.worker.capacity.benchmark_cache import BenchmarkCache, Subject, files_of
from vast_pyworker.worker.contract.loading import Loaded
from vast_pyworker.worker.contract.spec import ModelSpec, state_folder
from vast_pyworker.worker.modellog.legacy_logwatch import LegacyLogWatch
from vast_pyworker.worker.modellog.logwatch_process import legacy_watch_of
from vast_pyworker.worker.modelserver.breaker import Breaker
from vast_pyworker.worker.modelserver.senses import senses_of
from vast_pyworker.worker.modelserver.supervisor import Supervisor, model_folder
from vast_pyworker.worker.reports.accounting import Accounting
from vast_pyworker.worker.reports.gpu import GpuGauge

from .lifecycle import Lifecycle
from .readiness import Readiness

CAPACITY_FILE = "capacity.json"


def lifecycle_of(
    spec: ModelSpec,
    settings: Settings,
    loaded: Loaded,
    *,
    readiness: Readiness,
    accounting: Accounting,
    gpus: GpuGauge,
    legacy_watch: LegacyLogWatch | None,
) -> Lifecycle:
    """The life of ``spec``'s model: supervised where there is a command, else only watched."""
    folder = state_folder(settings)
    subject = _Subject(spec, settings, loaded, gpus)
    return Lifecycle(
        spec,
        readiness,
        accounting,
        supervisor=_supervisor(spec, settings, model_folder(folder, settings.port)),
        benchmark=Benchmark(BenchmarkCache(folder / CAPACITY_FILE), subject),
        senses=senses_of(spec, legacy_watch),
    )


def queued_watch_of(loaded: Loaded, settings: Settings) -> LegacyLogWatch | None:
    """The backend's ``LogWatch`` of 2024 behind a queue; None where it has none."""
    watch = legacy_watch_of(loaded, settings)
    return None if watch is None else LegacyLogWatch(watch)


def _supervisor(spec: ModelSpec, settings: Settings, folder: Path) -> Supervisor | None:
    if spec.command is None or spec.log_path is None:
        return None
    return Supervisor(
        spec.command,
        env=spec.env,
        cwd=spec.cwd,
        log_path=spec.log_path,
        state_dir=folder,
        breaker=Breaker(settings.max_restarts),
    )


class _Subject:
    """What a capacity is measured on, as far as it is known when somebody asks."""

    def __init__(self, spec: ModelSpec, settings: Settings, loaded: Loaded, gpus: GpuGauge) -> None:
        self._spec = spec
        self._model_path = settings.model_path
        self._backend = loaded.name
        self._gpus = gpus

    def __call__(self) -> Subject:
        size, changed_at = files_of(Path(self._model_path)) if self._model_path else (None, None)
        gpus = self._gpus.snapshot()
        return Subject(
            backend=self._backend,
            model=self._spec.model_name or self._model_path,
            version=__version__,
            model_bytes=size,
            model_changed_at=changed_at,
            gpus=None if gpus is None else tuple(gpu.name or "unknown" for gpu in gpus),
            driver=self._gpus.driver_version,
        )
