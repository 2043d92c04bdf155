"""A worker for the desk: restarted when its backend changes, reporting to a fake autoscaler.

Everything but the autoscaler is real: the same server, the same settings, the same reports, each
of which is printed as one line. A composition root; it starts processes and waits for them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .fake_autoscaler import FakeAutoscaler
from .starting.watching import changes

CONFIGURATION = "python:vast_pyworker.worker.gunicorn_conf"
COMMAND = (sys.executable, "-m", "gunicorn", "-c", CONFIGURATION)
STOP_S = 10.0
DEFAULTS = {
    "CONTAINER_ID": "1",  # a worker without a number does not report
    "MASTER_TOKEN": "dev",
    "PYWORKER_HOST": "127.0.0.1",
    "PUBLIC_IPADDR": "127.0.0.1",
    "UNSECURED": "true",
    "USE_SSL": "false",
    "LOG_FORMAT": "text",
    "DRAIN_TIMEOUT": "2",
}

Say = Callable[[str], None]


def run(
    backend: str,
    watched: Sequence[Path],
    environ: Mapping[str, str],
    say: Say,
    stop: threading.Event,
) -> None:
    """Serve ``backend`` until ``stop`` is set, anew whenever a source file in ``watched`` changes.

    ``environ`` goes before the defaults here, but for the autoscaler's address.
    """
    with FakeAutoscaler(on_report=lambda report: say(report_line(report))) as autoscaler:
        given = {**DEFAULTS, **environ, "BACKEND": backend, "REPORT_ADDR": autoscaler.url}
        worker = _Worker(given)
        try:
            worker.start()
            _serve(worker, watched, say, stop)
        finally:
            worker.stop()


def report_line(report: Mapping[str, Any]) -> str:
    """A report as one line, without the token."""
    shown = {name: value for name, value in report.items() if name != "mtoken"}
    return f"report {json.dumps(shown, separators=(',', ':'))}"


def _serve(worker: _Worker, watched: Sequence[Path], say: Say, stop: threading.Event) -> None:
    was_running = True
    for changed in changes(watched, stop):
        if changed:
            names = ", ".join(sorted(path.name for path in changed))
            say(f"changed {names}: starting anew")
            worker.stop()
            worker.start()
        elif was_running and not worker.is_running:
            say("the worker has ended; change the backend to start it anew")
        was_running = worker.is_running


class _Worker:
    """The worker's process, one at a time."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        self._process = subprocess.Popen(COMMAND, env=self._environ)

    def stop(self) -> None:
        """Let it drain for a moment, then end it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
