"""Which worker runs, by a file that names its process: never another that got its number.

The file holds the process number and what tells that process from a later one with the same
number. What is not here: the model server's own record (``process``).
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from .private_file import write_private

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
KILL_WAIT_S = 5.0


@dataclass(frozen=True)
class Running:
    """A worker's process and what it serves. ``since`` is in Unix seconds."""

    pid: int
    identity: str
    backend: str
    port: int
    url: str
    log: str
    since: float


def identity_of(pid: int) -> str | None:
    """What no other process on this machine has or will have; None: there is no such process.

    On Linux the boot and the tick of the process's start, which setting the clock does not move.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        state, *rest = fields.rpartition(")")[2].split()
        return None if state in "ZX" else f"{BOOT_ID.read_text().strip()}:{rest[18]}"
    except (FileNotFoundError, ProcessLookupError):
        pass
    try:
        return str(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None


def write(path: Path, running: Running) -> None:
    """Record ``running``; replaces what was recorded."""
    write_private(path, json.dumps(asdict(running)))


def read(path: Path) -> Running | None:
    """The worker that was recorded, if that very process lives."""
    try:
        running = Running(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return running if identity_of(running.pid) == running.identity else None


def end(running: Running, deadline_s: float, say: Callable[[str], None]) -> bool:
    """SIGTERM, wait for the drain, then SIGKILL for it and its children; whether it drained."""
    try:
        process = psutil.Process(running.pid)
        family = process.children(recursive=True)
        if identity_of(running.pid) != running.identity:
            return True
        os.kill(running.pid, signal.SIGTERM)
        process.wait(deadline_s)
        return True
    except (psutil.NoSuchProcess, ProcessLookupError):
        return True
    except psutil.TimeoutExpired:
        say(f"It did not end within {deadline_s:.0f} seconds: killing it.")
    _kill([*family, process])
    return False


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        try:
            process.kill()  # psutil sees to it that the number still means this process
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=KILL_WAIT_S)
