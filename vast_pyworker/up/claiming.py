"""A folder for each run, and the clearing away of what a run that was killed has left.

A run holds a lock of the operating system on a file of its folder, which ends with its process,
however that comes: a folder whose lock is free is nobody's. Its processes are those of ours whose
home lies in the folder. Folders without such a file are somebody else's, and left alone.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

PREFIX = "up-"
LOCK = "run.lock"
ENDS_WITHIN_S = 5.0


@contextmanager
def claimed(above: Path, *, keep: bool = False) -> Iterator[Path]:
    """A new folder below ``above``, deleted at the end; with ``keep`` it stays, for good."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=above))
    lock = None if keep else _locked(folder)
    try:
        yield folder
    finally:
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def sweep(above: Path) -> list[Path]:
    """End what runs of the past have left below ``above``; their folders, which are gone now."""
    swept = []
    for folder in sorted(above.glob(f"{PREFIX}*")):
        lock = _lock(folder / LOCK)
        if lock is None:
            continue
        try:
            _end(_started_in(folder))
            shutil.rmtree(folder, ignore_errors=True)
            swept.append(folder)
        finally:
            os.close(lock)
    return swept


def _locked(folder: Path) -> int | None:
    """The lock of a new folder, held before the file has the name that ``sweep`` looks for."""
    lock = _lock(folder / "new.lock", os.O_CREAT)
    (folder / "new.lock").rename(folder / LOCK)
    return lock


def _lock(path: Path, flags: int = 0) -> int | None:
    """The lock, held until it is closed; None where another has it, or there is no such file."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _started_in(folder: Path) -> list[psutil.Process]:
    return [each for each in psutil.process_iter() if _lives_in(each, folder)]


def _lives_in(process: psutil.Process, folder: Path) -> bool:
    try:
        if process.uids().real != os.getuid() or process.pid == os.getpid():
            return False
        home = process.environ().get("HOME", "")
    except (psutil.Error, OSError):
        return False  # gone meanwhile, or not ours to look at
    return Path(home).is_relative_to(folder)


def _end(processes: list[psutil.Process]) -> None:
    """psutil looks at the start time first, so that a number used anew is not taken for it."""
    for each in processes:
        with suppress(psutil.Error):
            each.kill()
    psutil.wait_procs(processes, timeout=ENDS_WITHIN_S)
