"""Puts pinned packages into a virtual environment, once, with uv or pip.

A stamp inside the environment names what was installed, so that a second call does nothing; a
mark beside it, set while packages are written, makes the next call write them again. Standard
library only: this runs before anything is installed. It does not choose what is installed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .errors import NotStarted
from .failure import Exit
from .installers import Tool, run, tools_by_apt, tools_here

STAMP = ".pyworker-installed"
MARK = ".pyworker-installing"
LOCK = ".pyworker-lock"
ROOM_MIB = 300


@dataclass(frozen=True)
class Wanted:
    """What an environment must hold. ``bare`` files are installed without dependencies."""

    root: Path
    venv: Path
    files: tuple[Path, ...]
    bare: tuple[Path, ...] = ()

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    def digests(self) -> dict[str, str]:
        """SHA-256 of each requirement file, by its name within the checkout."""
        named = {os.path.relpath(path, self.root): path for path in (*self.files, *self.bare)}
        return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in named.items()}


def ensure(wanted: Wanted, say: Callable[[str], None], room_mib: int = ROOM_MIB) -> bool:
    """Install what is missing; return whether anything was. Safe to call from many processes."""
    if satisfied(wanted):
        return False
    _claim(wanted.venv)
    with _only_one(wanted.venv) as lock:
        if satisfied(wanted):
            return False
        check_room(wanted.venv, room_mib)
        say(f"Installing into {wanted.venv}.")
        _install(wanted, lock)
    return True


def satisfied(wanted: Wanted) -> bool:
    """Whether the stamp names every wanted file as it is now, and the packages are there."""
    files, packages = _stamp(wanted.venv)
    kept = all(files.get(name) == sha for name, sha in wanted.digests().items())
    whole = not (wanted.venv / MARK).exists() and has_python(wanted.venv)
    return kept and whole and packages.issubset(_packages(wanted.venv))


def _stamp(venv: Path) -> tuple[dict[str, str], set[str]]:
    """Hashes of the files and the packages that are stamped; none of a stamp that is unreadable."""
    try:
        told = json.loads((venv / STAMP).read_text())
        return dict(told["files"].items()), {str(name) for name in told["packages"]}
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError):
        return {}, set()


def _claim(venv: Path) -> None:
    """Make the folder; refuse one that holds anything but an environment."""
    venv.mkdir(parents=True, exist_ok=True)
    ours = any((venv / name).exists() for name in ("pyvenv.cfg", LOCK))
    if not ours and any(venv.iterdir()):
        raise NotStarted(
            Exit.INSTALL_FAILED,
            f"{venv} holds something else than a virtual environment: "
            "move it away, or set PYWORKER_VENV to another folder.",
        )


def has_python(venv: Path) -> bool:
    """Whether there is an interpreter in ``venv``, and not a link to one that is gone."""
    try:
        return (venv / "bin" / "python").stat().st_size > 0
    except OSError:
        return False


def check_room(folder: Path, room_mib: int) -> None:
    """Raise where less than ``room_mib`` MiB are free."""
    free = shutil.disk_usage(folder).free // 2**20
    if free < room_mib:
        raise NotStarted(
            Exit.NO_DISK,
            f"Installing into {folder} takes {room_mib} MiB and {free} are free: "
            "free some, or set PYWORKER_VENV to a folder on a larger disk.",
        )


def _install(wanted: Wanted, lock: int) -> None:
    choices = tools_here(wanted.venv) or tools_by_apt(wanted.venv, lock)
    for tool in choices:
        try:
            _install_with(tool, wanted, lock)
            break
        except NotStarted as exc:
            if exc.code != Exit.INSTALL_FAILED or tool is choices[-1]:
                raise
    _write_stamp(wanted)


def _install_with(tool: Tool, wanted: Wanted, lock: int) -> None:
    works = _works(wanted.python)
    if not works:
        _empty(wanted.venv)
    if not works or tool.inside:
        run(tool.create, lock)
    mark = wanted.venv / MARK
    again = (tool.again,) if mark.exists() else ()
    mark.touch()
    if wanted.files:
        listed = [part for path in wanted.files for part in ("-r", str(path))]
        run((*tool.install, *again, *listed), lock)
    for path in wanted.bare:
        run((*tool.install, *again, "--no-deps", "-r", str(path)), lock)


def _write_stamp(wanted: Wanted) -> None:
    stamp = wanted.venv / STAMP
    pinned = _pinned(wanted)
    earlier, known = _stamp(wanted.venv)
    there = _packages(wanted.venv)
    packages = sorted(each for each in there if each in known or _normal(each) in pinned)
    files = {**earlier, **wanted.digests()}
    fresh = stamp.with_name(f"{STAMP}.new")
    fresh.write_text(json.dumps({"files": files, "packages": packages}))
    fresh.replace(stamp)
    (wanted.venv / MARK).unlink(missing_ok=True)


def _pinned(wanted: Wanted) -> set[str]:
    lines = "\n".join(path.read_text() for path in (*wanted.files, *wanted.bare)).splitlines()
    names = (re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line) for line in lines)
    return {_normal(name.group()) for name in names if name}


def _packages(venv: Path) -> list[str]:
    """``name-version`` of everything installed in ``venv``."""
    found = venv.glob("lib/python3*/site-packages/*.dist-info")
    return [path.name.removesuffix(".dist-info") for path in found]


def _normal(name: str) -> str:
    """A package's name as every index writes it, without a version."""
    return re.sub(r"[-_.]+", "-", re.sub(r"-\d.*$", "", name)).lower()


def _works(python: Path) -> bool:
    """Whether the environment's interpreter runs: it does not once its base is gone."""
    try:
        probe = subprocess.run([python, "-c", ""], check=False, capture_output=True, timeout=60)
    except OSError:
        return False
    return probe.returncode == 0


def _empty(venv: Path) -> None:
    """Remove a half-made or broken environment, but for the lock that is being held."""
    for path in venv.iterdir():
        if path.name != LOCK:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


@contextmanager
def _only_one(venv: Path) -> Iterator[int]:
    """Hold the environment's lock; another installation is waited for."""
    lock = os.open(venv / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)
