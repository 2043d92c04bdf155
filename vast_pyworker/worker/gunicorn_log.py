"""gunicorn's logger, speaking as the rest of the worker does: one format, one stream, no secrets.

The access log keeps gunicorn's own format and file; it is off unless asked for.
"""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger

from vast_pyworker.settings import Settings

from . import jsonlog


class WorkerLogger(Logger):  # type: ignore[misc]
    """gunicorn's logger with its error log handed to the worker's own handler."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        if cfg.errorlog == "-":
            settings = Settings.from_env(cfg.env_orig)
            configure(settings)
            self.error_log.handlers[:] = []
            self.error_log.propagate = True


def configure(settings: Settings) -> None:
    """Log as the settings say, with the worker's secrets blotted out."""
    jsonlog.configure(settings.log_level, settings.log_format, secrets_of(settings))


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """What must not be read in a log or a report."""
    return settings.master_token or "", *settings.api_keys
