"""One keeper process as the market sees it: started, asked to stop, found ended.

What is here: the process and what is left where it was killed. What is not: which instance it is,
what is to follow (``processes``), what it does itself (``keeper``).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from .environment import MARK

KEEPER = Path(__file__).with_name("keeper.py")
KILLED = 137
STOPPED = 143
SWEEP_S = 5.0
POLL_S = 0.02


@dataclass(frozen=True)
class Order:
    """What a keeper is to run, and where. ``grace_s`` is between SIGTERM and SIGKILL."""

    command: Sequence[str]
    environ: Mapping[str, str]
    cwd: Path
    log: Path
    log_bytes: int
    daemon_log: Path
    grace_s: float
    is_main: bool


class Kept:
    """A keeper that runs, or has ended and was not asked yet."""

    def __init__(self, process: subprocess.Popen[bytes], mark: str) -> None:
        self._process = process
        self._mark = mark

    @classmethod
    def launch(cls, order: Order) -> Kept:
        """Start one; raises OSError. Secrets are in its environment, not on its command line."""
        kind = "main" if order.is_main else "onstart"
        words = (f"{order.grace_s:g}", str(order.log), str(order.log_bytes))
        # By its file, and apart from every module of the instance's or ours: starts fast, anywhere.
        command = [sys.executable, "-I", "-S", str(KEEPER), kind, *words, *order.command]
        daemon_log = os.open(order.daemon_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            process = subprocess.Popen(
                command,
                env=dict(order.environ),
                cwd=order.cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=daemon_log,
                start_new_session=True,
            )
        finally:
            os.close(daemon_log)
        return cls(process, order.environ[MARK])

    def stop(self, grace_s: float) -> None:
        """Ask it to end everything; returns at once. Asking again can only shorten the grace."""
        with suppress(BrokenPipeError):
            self._write(f"stop {grace_s:g}\n".encode())

    def abandon(self) -> None:
        """Let it see the end of the market."""
        _close(self._process.stdin)

    def ended(self) -> int | None:
        """The exit status once nothing of it runs any more, None before. Does not wait.

        Where the keeper itself was killed, so is everything that carries its mark: KILLED.
        """
        code = self._process.poll()
        if code is None:
            return None
        if code != 0 and sweep(self._mark):
            return None
        told = self._told()
        self._close()
        if code != 0:
            return KILLED
        return STOPPED if told is None else told

    def wait(self, timeout_s: float) -> None:
        """Wait until it has ended; after ``timeout_s`` kill what is left."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        until = time.monotonic() + SWEEP_S
        while self.ended() is None and time.monotonic() < until:
            time.sleep(POLL_S)
        self._close()

    def _write(self, line: bytes) -> None:
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def _close(self) -> None:
        _close(self._process.stdin)
        _close(self._process.stdout)

    def _told(self) -> int | None:
        """The status that the keeper has named; None: it ended everything before there was one."""
        if self._process.stdout is None or self._process.stdout.closed:
            return None
        os.set_blocking(self._process.stdout.fileno(), False)
        lines = (self._process.stdout.read() or b"").split()
        return int(lines[-1]) if lines else None


def sweep(mark: str) -> int:
    """SIGKILL to every process that carries ``mark`` in its environment; how many there were."""
    found = [process for process in psutil.process_iter() if _carries(process, mark)]
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return len(found)


def _carries(process: psutil.Process, mark: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.environ().get(MARK) == mark
    except (psutil.Error, OSError):
        return False  # gone meanwhile, or somebody else's


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        with suppress(BrokenPipeError):
            pipe.close()
