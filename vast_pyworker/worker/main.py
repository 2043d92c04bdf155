"""Builds the worker from the environment: a composition root, called by gunicorn in its worker.

Every part is made here, wired here, started when the server serves and stopped when it drains. A
backend that cannot be loaded ends the start with one sentence; where an autoscaler listens, the
worker stays up instead and reports it, because nobody else would tell.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from vast_pyworker import __version__
from vast_pyworker.engine import Origin, Server
from vast_pyworker.errors import PyworkerError
from vast_pyworker.settings import Settings

from . import metrics, transport
from .accounting import Accounting
from .app import WorkerApp, create_app
from .auth import Gatekeeper
from .cancelling import CancelHook
from .gpu import GpuGauge
from .gunicorn_log import configure, secrets_of
from .host import DiskGauge, HostGauge
from .jsonlog import Redaction
from .legacy_logwatch import LegacyLogWatch
from .lifecycle import Lifecycle
from .loading import Loaded, construct, folders, load_backend
from .model_life import lifecycle_of, queued_watch_of
from .passage import Passage, cancel_within
from .plain_http import PlainHttp
from .pubkey import PublicKey
from .readiness import Readiness
from .reporter import Reporter
from .session_callback import call_model
from .sessions import Session, Sessions
from .spec import spec_from
from .state import Worker, shared_gate, timeouts_of
from .statement import Gauges, Identity

log = logging.getLogger(__name__)

BOOT_ERROR = 3  # gunicorn's Arbiter.WORKER_BOOT_ERROR
SESSION_TICK_S = 5.0
FLUSH_S = 5.0


def build_app(environ: Mapping[str, str] | None = None) -> WorkerApp:
    """The application of the worker that the environment describes; raises SystemExit."""
    environ = os.environ if environ is None else environ
    try:
        settings = Settings.from_env(environ)
        configure(settings)
        app, parts = _worker_or_beacon(settings)
    except PyworkerError as exc:
        log.error("%s", exc)
        raise SystemExit(BOOT_ERROR) from exc  # else the master would try for ever
    app.on_serving = parts.start
    app.on_draining = parts.drain
    app.on_stopped = parts.stop
    return app


def _worker_or_beacon(settings: Settings) -> tuple[WorkerApp, _Parts]:
    """The worker; where it cannot be and an autoscaler should hear of it, one that says why."""
    try:
        loaded = load_backend(settings.backend, folders(settings.backend_path))
        return _assemble(settings, loaded, _constructed(loaded, settings))
    except PyworkerError as exc:
        if not settings.reports_to or settings.container_id is None:
            raise
        log.error("%s", exc)
        name = settings.backend or "none"
        nothing = Loaded(name, Path(), ModuleType("nothing"), object, {})
        app, parts = _assemble(_without_model(settings), nothing, object())
        parts.fault = Redaction(secrets_of(settings)).clean(str(exc))
        return app, parts


def _constructed(loaded: Loaded, settings: Settings) -> Any:
    return construct(
        loaded,
        container_id=settings.container_id,
        control_server_url=next(iter(settings.reports_to), ""),
        master_token=settings.master_token,
        send_data=bool(settings.reports_to),
    )


def _without_model(settings: Settings) -> Settings:
    """Without the settings that ask something of the model, and so may be what is wrong."""
    return replace(
        settings,
        readiness="",
        model_server=None,
        model_command=None,
        model_log=None,
        health_path=None,
        benchmark_file="",
    )


def _assemble(settings: Settings, loaded: Loaded, backend: Any) -> tuple[WorkerApp, _Parts]:
    """The worker and the parts that run beside its server; nothing runs yet."""
    spec = spec_from(
        backend,
        settings,
        loaded.directory,
        benchmark_module=loaded.benchmark_module,
        has_log_watch=loaded.logwatch_class is not None,
    )
    accounting = Accounting()
    readiness = Readiness(benchmark_required=spec.benchmark is not None)
    key = PublicKey(settings.reports_to, transport.get)
    gatekeeper = Gatekeeper(
        key,
        (settings.url,),
        api_keys=settings.api_keys,
        master_token=settings.master_token,
        accepts_unsigned=settings.accepts_unsigned,
    )
    passages: dict[bytes, Passage] = {}
    worker = Worker(
        settings=settings,
        loaded=loaded,
        backend=backend,
        accounting=accounting,
        readiness=readiness,
        gatekeeper=gatekeeper,
        sessions=Sessions(
            accounting,
            max_sessions=settings.max_sessions,
            on_close=_closing(passages, call_model(spec.server_url, transport.post)),
        ),
        origin=Origin(spec.server_url),
        timeouts=timeouts_of(settings),
        gate=shared_gate(backend, settings, readiness),
        passages=passages,
        on_cancelled=CancelHook.of(backend),
    )
    gpus = GpuGauge()
    watch = queued_watch_of(loaded, settings)
    lifecycle = lifecycle_of(
        spec,
        settings,
        loaded,
        readiness=readiness,
        accounting=accounting,
        gpus=gpus,
        legacy_watch=watch,
    )
    app = create_app(worker)
    plain = PlainHttp.of(app, settings)
    parts = _Parts(worker, key, gpus, lifecycle, watch, _reporter(worker, gpus), plain)
    parts.show()
    return app, parts


def _closing(
    passages: dict[bytes, Passage], tell_model: Callable[[Session], None]
) -> Callable[[Session], None]:
    """What the end of a session means: its requests are cancelled, the model is told."""

    def on_close(session: Session) -> None:
        cancel_within(session.session_id, passages)
        tell_model(session)

    return on_close


def _reporter(worker: Worker, gpus: GpuGauge) -> Reporter | None:
    """Who reports; nobody where there is no autoscaler, no number, or the backend does it."""
    settings = worker.settings
    itself = worker.loaded.reports_itself
    if not settings.reports_to or settings.container_id is None or itself:
        return None
    return Reporter(
        Identity(
            worker_id=settings.container_id,
            url=settings.url,
            mtoken=settings.master_token or "",
            boot_id=secrets.token_hex(8),
        ),
        settings.reports_to,
        worker.accounting,
        worker.readiness,
        transport.post,
        gauges=Gauges(
            disk_used_gib=DiskGauge().used_gib,
            queue=lambda: (worker.queued, worker.gate.estimated_wait_s()),
            gpus=gpus.documents,
            progress=lambda: worker.readiness.progress,
        ),
        extended=settings.extended_reports,
    )


@dataclass
class _Parts:
    """What runs beside the server: started with it, stopped after it."""

    worker: Worker
    key: PublicKey
    gpus: GpuGauge
    lifecycle: Lifecycle
    legacy_watch: LegacyLogWatch | None
    reporter: Reporter | None
    plain: PlainHttp | None
    fault: str = ""
    host: HostGauge = field(default_factory=HostGauge)

    def show(self) -> None:
        """Let /pyworker/status and /metrics see the parts."""
        worker, reporter = self.worker, self.reporter
        lifecycle = self.lifecycle
        worker.evidence = lifecycle.report
        worker.status["model"] = lifecycle.document
        worker.status["gpus"] = self.gpus.documents
        worker.status["host"] = lambda: asdict(self.host.snapshot())
        if reporter is not None:
            worker.status["reports"] = reporter.status
        sources = metrics.Sources(
            accounting=worker.accounting,
            readiness=worker.readiness,
            build={"version": __version__, "backend": worker.loaded.name},
            gates=worker.gates,
            reports=reporter,
            gpus=self.gpus.documents,
            disk_used_bytes=DiskGauge().used_bytes,
            restarts=lambda: lifecycle.restarts,
            log_matches=lambda: lifecycle.log_matches,
            probe_failures=lambda: lifecycle.probe_failures,
        )
        worker.render_metrics = lambda: metrics.render(sources)

    def start(self, server: Server) -> None:
        worker = self.worker
        self.gpus.start(wait_s=0.0)
        if worker.settings.reports_to:
            self.key.start()
        if self.reporter is not None:
            self._start_reporter(self.reporter)
        if isinstance(worker.on_cancelled, CancelHook):
            worker.on_cancelled.start()
        if self.plain is not None:
            self.plain.start(server.loop)
        self._expire_sessions(server)
        if self.fault:
            worker.readiness.error(self.fault)
        else:
            if self.legacy_watch is not None:
                self.legacy_watch.start()
            self.lifecycle.start()
        log.info("%s is served at %s.", worker.loaded.name, worker.settings.url)

    def _start_reporter(self, reporter: Reporter) -> None:
        self.worker.readiness.subscribe(lambda transition: reporter.wake())
        reporter.start()

    def _expire_sessions(self, server: Server) -> None:
        self.worker.sessions.tick()
        server.loop.call_later(SESSION_TICK_S, self._expire_sessions, server)

    def drain(self, server: Server) -> None:
        """On the loop: be unready at once and say so; requests in flight go on."""
        self.worker.readiness.draining()
        if self.plain is not None:
            self.plain.drain()

    def stop(self, server: Server) -> None:
        """In a thread, when the last request is answered: tell the last news, end the threads."""
        worker = self.worker
        worker.sessions.close_all()
        if self.plain is not None:
            self.plain.stop()
        if isinstance(worker.on_cancelled, CancelHook):
            worker.on_cancelled.stop()
        self.lifecycle.stop(None)  # gunicorn's master ends the model, unless a successor has it
        if self.legacy_watch is not None:
            self.legacy_watch.stop()
        if self.reporter is not None:
            self.reporter.flush(FLUSH_S)
            self.reporter.stop()
        self.key.stop()
        self.gpus.stop()


__all__ = ["build_app"]
