"""Logging: one JSON object a line, or text for people; request ids; secrets blotted out.

What is here: formatters, the filter and ``configure``. What is not: what is logged. Bodies of
requests, prompts and keys never are; the filter is for what slips into a message all the same.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable
from contextvars import ContextVar
from typing import TextIO

from vast_pyworker.errors import SettingError

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that the present context works on; empty outside one."""

BLOT = "[secret]"
LEVELS = ("debug", "info", "warning", "error", "critical")
FORMATS = ("json", "text")
SHORTEST_SECRET = 4  # anything shorter would blot out innocent text


class Redaction(logging.Filter):
    """Replaces each of ``secrets`` wherever it stands in a record's text; lets every record pass.

    The message is put together here, once, so that no argument is left to be formatted later.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__()
        kept = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        self._secrets = sorted(kept, key=len, reverse=True)  # one may be part of another

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = self.clean(_message(record))
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = self.clean(record.exc_text)
        return True

    def clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, BLOT)
        return text


class JsonFormatter(logging.Formatter):
    """``{"ts", "level", "logger", "message", "request_id"?, "exception"?}`` on one line.

    ``ts`` is Unix seconds. All but ASCII is escaped, so a message cannot forge a line.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if number := request_id.get():
            line["request_id"] = number
        if exception := _exception(self, record):
            line["exception"] = exception
        return json.dumps(line)


class TextFormatter(logging.Formatter):
    """``12:30:01 warning reporter: message`` for people; the traceback below, indented."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        number = request_id.get()
        where = record.name.rpartition(".")[2] + (f" {number}" if number else "")
        line = f"{at} {record.levelname.lower()} {where}: {record.getMessage()}"
        exception = _exception(self, record)
        text = f"{line}\n{exception}" if exception else line
        return text.replace("\r", "\\r").replace("\n", "\n    ")


def configure(
    level: str = "info",
    fmt: str = "json",
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> logging.Handler:
    """Send every log record to ``stream`` (default: standard error), and there alone.

    For composition roots. Raises SettingError for a level or format that there is not.
    """
    if level.lower() not in LEVELS:
        raise SettingError(f"LOG_LEVEL cannot be {level!r}; use one of {', '.join(LEVELS)}.")
    if fmt not in FORMATS:
        raise SettingError(f"LOG_FORMAT cannot be {fmt!r}; use one of {', '.join(FORMATS)}.")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if fmt == "json" else TextFormatter())
    handler.addFilter(Redaction(secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Its debug lines hold whole urls, with keys in their queries.
    logging.getLogger("urllib3").setLevel(max(logging.INFO, root.level))
    return handler


def _message(record: logging.LogRecord) -> str:
    """The record's text; where its arguments do not fit, both as they are."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg} {record.args!r}"


def _exception(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    if record.exc_text:
        return record.exc_text
    return formatter.formatException(record.exc_info) if record.exc_info else ""
