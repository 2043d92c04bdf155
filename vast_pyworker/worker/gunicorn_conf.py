"""gunicorn's configuration for the worker, from the worker's settings. A composition root.

    python -m gunicorn -c python:vast_pyworker.worker.gunicorn_conf

One process with one event loop and a pool of threads; whatever is not set here is gunicorn's own.
"""

from __future__ import annotations

import os
from typing import Any

from vast_pyworker.settings import Settings

from .app import LAST_WORDS_S
from .contract.spec import state_folder
from .modelserver.supervisor import model_folder, stop_recorded

_settings = Settings.from_env(os.environ)

wsgi_app = "vast_pyworker.worker.main:build_app()"
worker_class = "vast_pyworker.engine.worker.EngineWorker"
workers = 1
threads = _settings.threads
bind = (
    _settings.host
    if _settings.host.startswith("unix:")
    else f"[{_settings.bind_host}]:{_settings.port}"
    if ":" in _settings.bind_host
    else f"{_settings.bind_host}:{_settings.port}"
)
timeout = 120
graceful_timeout = int(_settings.drain_s + LAST_WORDS_S)
control_socket_disable = True
errorlog = "-"
logger_class = "vast_pyworker.worker.gunicorn_log.WorkerLogger"
loglevel = _settings.log_level
proc_name = f"vast-pyworker {_settings.backend}"
if _settings.use_ssl:
    certfile = _settings.cert_file
    keyfile = _settings.key_file


def on_exit(server: Any) -> None:
    """The master goes last: the model ends after the requests that needed it."""
    stop_recorded(model_folder(state_folder(_settings), _settings.port), deadline_s=10.0)
