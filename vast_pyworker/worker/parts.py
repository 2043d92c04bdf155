"""What runs beside the server: started when it serves, stopped after the last request.

What is here: the order in which the parts begin and end, and who sees them. What is not: making
them (``main``).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import asdict, dataclass, field

from vast_pyworker import __version__
from vast_pyworker.engine import Server

from .modellog.legacy_logwatch import LegacyLogWatch
from .phases.lifecycle import Lifecycle
from .reports import metrics, transport
from .reports.gpu import GpuGauge
from .reports.host import DiskGauge, HostGauge
from .reports.reporter import Reporter
from .reports.statement import Gauges, Identity
from .state import Worker
from .traffic.cancelling import CancelHook
from .traffic.plain_http import PlainHttp
from .traffic.pubkey import PublicKey

log = logging.getLogger(__name__)

SESSION_TICK_S = 5.0
FLUSH_S = 5.0


def reporter_of(worker: Worker, gpus: GpuGauge) -> Reporter | None:
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
class Parts:
    """The parts of one worker. ``fault`` is why it cannot serve; empty: it can."""

    worker: Worker
    key: PublicKey
    gpus: GpuGauge
    lifecycle: Lifecycle
    legacy_watch: LegacyLogWatch | None
    reporter: Reporter | None
    plain: PlainHttp | None
    cancel_hook: CancelHook | None
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
            model_requests=lambda: lifecycle.model_requests,
        )
        worker.render_metrics = lambda: metrics.render(sources)

    def start(self, server: Server) -> None:
        """On the loop, once it serves."""
        worker = self.worker
        self.gpus.start(wait_s=0.0)
        if worker.settings.reports_to:
            self.key.start()
        if self.fault:
            worker.readiness.error(self.fault)  # first, so that the first report says so
        if self.reporter is not None:
            self._start_reporter(self.reporter)
        if self.cancel_hook is not None:
            self.cancel_hook.start()
        if self.plain is not None:
            self.plain.start(server.loop)
        self._expire_sessions(server.loop)
        if not self.fault:
            if self.legacy_watch is not None:
                self.legacy_watch.start()
            self.lifecycle.start()
        log.info("%s is served at %s.", worker.loaded.name, worker.settings.url)

    def _start_reporter(self, reporter: Reporter) -> None:
        self.worker.readiness.subscribe(lambda transition: reporter.wake())
        reporter.start()

    def _expire_sessions(self, loop: asyncio.AbstractEventLoop) -> None:
        self.worker.sessions.tick()
        loop.call_later(SESSION_TICK_S, self._expire_sessions, loop)

    def drain(self, server: Server) -> None:
        """On the loop: be unready at once and say so; requests in flight go on.

        Where a successor serves already (SIGHUP), what we said would contradict its reports.
        """
        if server.replaced and self.reporter is not None:
            self.reporter.hand_over()
        self.worker.readiness.draining()
        if self.plain is not None:
            self.plain.drain()

    def stop(self, server: Server) -> None:
        """In a thread, when the last request is answered: tell the last news, end the threads."""
        self.worker.sessions.close_all()
        if self.plain is not None:
            self.plain.stop()
        if self.cancel_hook is not None:
            self.cancel_hook.stop()
        self.lifecycle.stop(None)  # gunicorn's master ends the model, unless a successor has it
        if self.legacy_watch is not None:
            self.legacy_watch.stop()
        if self.reporter is not None:
            self.reporter.flush(FLUSH_S)
            self.reporter.stop()
        self.key.stop()
        self.gpus.stop()
