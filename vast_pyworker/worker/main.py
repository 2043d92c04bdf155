"""Builds the worker from the environment: a composition root, called by gunicorn in its worker.

Every part is made here, wired here, started when the server serves and stopped when it drains. A
backend that cannot be loaded ends the start with one sentence; where an autoscaler listens, the
worker stays up instead and reports it, because nobody else would tell.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from vast_pyworker.engine import Origin
from vast_pyworker.errors import PyworkerError
from vast_pyworker.settings import Settings
from vast_pyworker.wire import ASSUMED_PERF

from .app import WorkerApp, create_app
from .contract.loading import Loaded, construct, folders, load_backend
from .contract.spec import ModelSpec, spec_from
from .gunicorn_log import configure, secrets_of
from .jsonlog import Redaction
from .modelserver.asking import address_of, fetch
from .parts import Parts, reporter_of
from .phases.model_life import lifecycle_of, queued_watch_of
from .phases.readiness import Readiness
from .reports import transport
from .reports.accounting import Accounting
from .reports.gpu import GpuGauge
from .state import Worker, shared_gate, timeouts_of
from .traffic.auth import Gatekeeper
from .traffic.cancelling import CancelHook
from .traffic.passage import Passage, cancel_within
from .traffic.plain_http import PlainHttp
from .traffic.pubkey import PublicKey
from .traffic.session_callback import call_model
from .traffic.sessions import Session, Sessions

log = logging.getLogger(__name__)

BOOT_ERROR = 3  # gunicorn's Arbiter.WORKER_BOOT_ERROR


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


def _worker_or_beacon(settings: Settings) -> tuple[WorkerApp, Parts]:
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


def _assemble(settings: Settings, loaded: Loaded, backend: Any) -> tuple[WorkerApp, Parts]:
    """The worker and the parts that run beside its server; nothing runs yet."""
    spec = spec_from(
        backend,
        settings,
        loaded.directory,
        benchmark_module=loaded.benchmark_module,
        has_log_watch=loaded.logwatch_class is not None,
    )
    key = PublicKey(settings.reports_to, transport.get)
    cancel_hook = CancelHook.of(backend)
    worker = _worker(settings, loaded, backend, spec, key, cancel_hook)
    if spec.gauges_url is not None:
        limit_s = spec.limits.probe_timeout_s or 20.0
        worker.upstream_metrics = partial(fetch, address_of(spec.gauges_url), limit_s)
    app = create_app(worker)
    gpus = GpuGauge()
    watch = queued_watch_of(loaded, settings)
    lifecycle = lifecycle_of(
        spec,
        settings,
        loaded,
        readiness=worker.readiness,
        accounting=worker.accounting,
        gpus=gpus,
        legacy_watch=watch,
    )
    reporter, plain = reporter_of(worker, gpus), PlainHttp.of(app, settings)
    if reporter is not None and loaded.flask_dict and not (watch or spec.tells_capacity):
        log.warning(
            "Nobody knows what %s can do, so reports say %g units of work per second: give its "
            "Backend benchmark_route and benchmark_payload(), or max_perf.",
            *(loaded.name, ASSUMED_PERF),
        )
    parts = Parts(worker, key, gpus, lifecycle, watch, reporter, plain, cancel_hook)
    parts.show()
    return app, parts


def _worker(
    settings: Settings,
    loaded: Loaded,
    backend: Any,
    spec: ModelSpec,
    key: PublicKey,
    cancel_hook: CancelHook | None,
) -> Worker:
    accounting = Accounting()
    readiness = Readiness(benchmark_required=spec.benchmark is not None)
    gatekeeper = Gatekeeper(
        key,
        (settings.url,),
        api_keys=settings.api_keys,
        master_token=settings.master_token,
        accepts_unsigned=settings.accepts_unsigned,
    )
    passages: set[Passage] = set()
    sessions = Sessions(
        accounting,
        max_sessions=settings.max_sessions,
        on_close=_closing(passages, call_model(spec.server_url, transport.post)),
    )
    return Worker(
        settings=settings,
        loaded=loaded,
        backend=backend,
        accounting=accounting,
        readiness=readiness,
        gatekeeper=gatekeeper,
        sessions=sessions,
        origin=Origin(spec.server_url),
        timeouts=timeouts_of(settings),
        gate=shared_gate(backend, settings, readiness),
        passages=passages,
        on_cancelled=cancel_hook,
    )


def _closing(
    passages: set[Passage], tell_model: Callable[[Session], None]
) -> Callable[[Session], None]:
    """What the end of a session means: its requests are cancelled, the model is told."""

    def on_close(session: Session) -> None:
        cancel_within(session.session_id, passages)
        tell_model(session)

    return on_close


__all__ = ["build_app"]
