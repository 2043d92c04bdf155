"""Launches the worker's process, apart from us, and waits until it answers.

What is not here: what is launched (``start``) and how it is remembered (``pidfile``).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from vast_pyworker.errors import NotStarted
from vast_pyworker.failure import Exit
from vast_pyworker.worker.modelserver.exits import how_it_ended, last_lines

from .listening import Place, status_of

POLL_S = 0.05
KEPT_LOG_BYTES = 20 * 2**20
LAST_LINES = 60

_RAISED = re.compile(r"(?:[\w.]+\.)?\w*(?:Error|Exception|Backend|Exit): .")
_OF_GUNICORN = re.compile(r"\[[-\d: +]+\] \[\d+\] \[(\w+)\] ")
_SAYS_NOTHING = re.compile(
    r"Worker failed to boot|Exception in worker|exited with code|Worker exiting|Shutting down:"
)
_BLAMING = ("error", "critical")


@dataclass(frozen=True)
class Launch:
    """A command, program first, and the log that its output is appended to."""

    command: tuple[str, ...]
    log: Path


@dataclass(frozen=True)
class Launched:
    """A process of ours, and where its part of the log begins."""

    process: subprocess.Popen[bytes]
    log: Path
    log_offset: int

    @property
    def pid(self) -> int:
        return self.process.pid


def launch(order: Launch, environ: Mapping[str, str]) -> Launched:
    """Start the command in a session of its own. Its log can be read by nobody else."""
    order.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if order.log.exists() and order.log.stat().st_size > KEPT_LOG_BYTES:
        order.log.replace(order.log.with_name(f"{order.log.name}.1"))
    log = os.open(order.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        offset = os.fstat(log).st_size
        process = subprocess.Popen(
            order.command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    finally:
        os.close(log)
    return Launched(process, order.log, offset)


def wait_until_it_answers(launched: Launched, place: Place, deadline_s: float) -> None:
    """Return when any HTTP answer came; raise NotStarted when it ended or the time is over.

    gunicorn replaces a worker that ends; one that ends before it has answered will end again.
    """
    until = time.monotonic() + deadline_s
    first: set[int] = set()
    while status_of(place) is None:
        code = launched.process.poll()
        if code is not None:
            raise _ended(launched, how_it_ended(code, out_of_memory=False))
        first = first or _children(launched.pid)
        if first - _children(launched.pid):
            raise _ended(launched, "ended before it answered")
        if time.monotonic() > until:
            raise _ended(launched, f"did not answer at {place.url} within {deadline_s:.0f} seconds")
        time.sleep(POLL_S)


def _children(pid: int) -> set[int]:
    try:
        return {child.pid for child in psutil.Process(pid).children()}
    except psutil.NoSuchProcess:
        return set()


def last_words(lines: Sequence[str]) -> str:
    """The line of a log that says best why its writer ended; empty: there is none."""
    weighed = [_weigh(line) for line in lines]
    heaviest = max((weight for weight, _ in weighed), default=0)
    return next((said for weight, said in reversed(weighed) if weight == heaviest), "").rstrip(".")


def _weigh(line: str) -> tuple[int, str]:
    """How much a line explains, and what it says: raised, blamed, plain, by the way."""
    if line.startswith("{"):
        return _weigh_json(line)
    of_gunicorn = _OF_GUNICORN.match(line)
    if of_gunicorn:
        said = line[of_gunicorn.end() :]
        blames = of_gunicorn.group(1).lower() in _BLAMING and not _SAYS_NOTHING.search(said)
        return (2 if blames else 0), said
    if _RAISED.match(line):
        return 3, line
    return (0 if _SAYS_NOTHING.search(line) else 1), line


def _weigh_json(line: str) -> tuple[int, str]:
    try:
        told = json.loads(line)
    except ValueError:
        return 0, line
    raised = str(told.get("exception") or told.get("exc_info") or "").strip().splitlines()
    said = str(told.get("message", line))
    if raised:
        return 3, f"{said.rstrip('.')}: {raised[-1]}"
    blames = told.get("level") in _BLAMING and not _SAYS_NOTHING.search(said)
    return (2 if blames else 0), said


def _ended(launched: Launched, how: str) -> NotStarted:
    words = last_words(last_lines(launched.log, launched.log_offset, LAST_LINES))
    because = f": {words}" if words else ""
    return NotStarted(Exit.NO_ANSWER, f"The worker {how}{because}; its log is {launched.log}.")
