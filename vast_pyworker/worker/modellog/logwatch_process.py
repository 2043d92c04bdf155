"""The log watch as a process of its own: lines come in, the worker on this machine is told.

What is here: the patterns of the backend and of the settings, the ``LogWatch`` of 2024 where the
backend has one, and the posts. What is not: the environment and the streams, which are handed in
(``python -m vast_pyworker.worker.logwatch``).
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from vast_pyworker.errors import PyworkerError, SettingError
from vast_pyworker.settings import Settings
from vast_pyworker.worker.contract.declared import Declared
from vast_pyworker.worker.contract.loading import Loaded, folders, load_backend
from vast_pyworker.worker.contract.spec import patterns_of
from vast_pyworker.worker.modelserver.asking import address_of, post_json

from .legacy_logwatch import LineHandler
from .lines import LineSplitter
from .log_reports import LogReporter, Post
from .patterns import PatternTable

log = logging.getLogger(__name__)

READ_BYTES = 64 * 1024
POST_TIMEOUT_S = 5.0
POST_TRIES = 60
POST_PAUSE_S = 1.0


def main(environ: Mapping[str, str], stdin: int) -> int:
    """Watch until the input ends; 0, or 1 with one logged sentence where nothing can be done."""
    logging.basicConfig(format="[logwatch] %(message)s", level=logging.INFO)
    try:
        process = process_from(Settings.from_env(environ))
    except PyworkerError as exc:
        log.error("%s", exc)
        return 1
    if process is None:
        log.info("There is no pattern and no LogWatch for this backend: nothing is watched.")
        return 0
    log.info("Ready and waiting for lines.")
    try:
        process.run(lambda: os.read(stdin, READ_BYTES))
    except KeyboardInterrupt:
        return 130
    return 0


@dataclass
class LogWatchProcess:
    """Lines to matches to posts, and every line to the ``LogWatch`` of 2024 if there is one."""

    table: PatternTable
    reporter: LogReporter
    legacy: LineHandler | None = None
    now: Callable[[], float] = time.monotonic

    def run(self, read: Callable[[], bytes]) -> None:
        """Until ``read`` returns no bytes. A post that is retried holds up the input: no line is
        lost by that, for the pipe waits."""
        for lines in _lines_of(read):
            now = self.now()
            for match in self.table.scan(lines, now):
                self.reporter.tell(match, now)
            if self.legacy is not None:
                for line in lines:
                    self.legacy.handle(line)


def process_from(settings: Settings) -> LogWatchProcess | None:
    """The process for these settings, None if it had nothing to do; raises PyworkerError."""
    loaded = load_backend(settings.backend, folders(settings.backend_path))
    told = Declared(loaded.backend_class, loaded.directory / "backend.py")
    table = PatternTable(patterns_of(told, settings))
    legacy = legacy_watch_of(loaded, settings)
    if not table.actions and legacy is None:
        return None
    if not settings.master_token:
        raise SettingError("MASTER_TOKEN is not set; the log watch needs the worker's own token.")
    reporter = LogReporter(poster(own_address(settings)), settings.master_token)
    return LogWatchProcess(table, reporter, LineHandler(legacy) if legacy is not None else None)


def legacy_watch_of(loaded: Loaded, settings: Settings) -> Any:
    """The backend's ``LogWatch`` of 2024, constructed as then, or None; raises BackendError."""
    if loaded.logwatch_class is None:
        return None
    told = Declared(None, loaded.directory / "logwatch.py")
    make = loaded.logwatch_class
    return told.answer(
        "LogWatch()",
        lambda: make(
            id=str(settings.container_id or ""),
            control_server_url=",".join(settings.reports_to),
            master_token=settings.master_token,
        ),
    )


def own_address(settings: Settings) -> str:
    """The worker's own server, as seen from this machine."""
    return f"{'https' if settings.use_ssl else 'http'}://127.0.0.1:{settings.port}"


def poster(
    base_url: str,
    *,
    tries: int = POST_TRIES,
    pause: Callable[[float], object] = time.sleep,
) -> Post:
    """A post to the worker that waits for it to come up; 0 once ``tries`` found nobody."""

    def post(path: str, body: Mapping[str, Any]) -> int:
        for attempt in range(tries):
            if attempt:
                pause(POST_PAUSE_S)
            try:
                target = address_of(base_url + path)
                return post_json(target, json.dumps(body).encode(), POST_TIMEOUT_S)
            except (OSError, HTTPException) as exc:
                log.debug("%s: %s", path, exc)
        return 0

    return post


def _lines_of(read: Callable[[], bytes]) -> Iterator[list[str]]:
    splitter = LineSplitter()
    while data := read():
        yield splitter.feed(data)
    yield splitter.flush()
