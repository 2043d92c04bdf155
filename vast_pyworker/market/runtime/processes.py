"""Instances as local processes: each one runs its script in a directory of its own.

What is here: which instances there are, their directories, ports and logs, and what follows when
one has ended. What is not: the processes themselves (``kept``, ``keeper``), their environment
(``environment``), states and money.

No call waits for a process: what must follow an end happens in a later ``reap``.

    FOLDER/<instance>/home        the instance's HOME and working directory
                     /tmp         its TMPDIR
                     /onstart.sh  the script
                     /output.log  what it printed, bounded; the older part in output.log.1
                     /daemon.log  what was done to it
"""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vast_pyworker.market.refusal import MarketRefusal

from . import Box, PortMap
from .environment import environment_of, seen_ports
from .execution import execute
from .kept import Kept, Order
from .ports import Ports, Wanted

GRACE_S = 10.0
"""What docker gives a container that is stopped."""
REMOVE_GRACE_S = 1.0
CLOSE_S = 5.0
LOG_BYTES = 4 * 2**20
DAEMON_LOG_BYTES = 2**18
CANNOT_RUN = 127


@dataclass
class Life:
    """One instance. ``kept`` runs, or nothing does; then ``after`` is started, or it is deleted."""

    box: Box
    folder: Path
    given: dict[Wanted, int]
    kept: Kept | None = None
    stopping: bool = False
    doomed: bool = False
    after: Box | None = None
    failed: bool = False


class ProcessRuntime:
    """A ``Runtime`` of real processes below ``folder``, which is made and never deleted.

    ``environ`` is the market's own environment: PATH and LANG of it are passed on, nothing else.
    """

    def __init__(
        self,
        folder: Path,
        environ: Mapping[str, str],
        *,
        grace_s: float = GRACE_S,
        log_bytes: int = LOG_BYTES,
        close_s: float = CLOSE_S,
    ) -> None:
        self._folder = folder.absolute()
        self._environ = environ
        self._grace_s = grace_s
        self._log_bytes = log_bytes
        self._close_s = close_s
        self._ports = Ports()
        self._lives: dict[int, Life] = {}
        self._lock = threading.Lock()

    def start(self, box: Box) -> PortMap:
        with self._lock:
            if box.instance_id in self._lives:
                self._reap_one(self._lives[box.instance_id])
            life = self._lives.get(box.instance_id) or self._new(box)
            if life.kept is None:
                self._launch(life, box)
            elif life.stopping:
                self._give_ports(life, box)
                life.after = box
            return seen_ports(life.given)

    def stop(self, instance_id: int) -> None:
        with self._lock:
            life = self._lives.get(instance_id)
            if life is not None:
                self._stop(life, self._grace_s)

    def remove(self, instance_id: int) -> None:
        with self._lock:
            life = self._lives.get(instance_id)
            if life is not None:
                self._stop(life, min(self._grace_s, REMOVE_GRACE_S))
                life.doomed = True
                self._reap_one(life)

    def reap(self) -> list[tuple[int, int]]:
        with self._lock:
            ends = [(each, self._reap_one(life)) for each, life in tuple(self._lives.items())]
        return [(instance_id, status) for instance_id, status in ends if status is not None]

    def logs(self, instance_id: int, *, daemon: bool = False) -> str:
        with self._lock:
            life = self._lives.get(instance_id)
        if life is None or life.doomed:
            return ""
        names = ("daemon.log",) if daemon else ("output.log.1", "output.log")
        return "".join(_text_of(life.folder / name) for name in names)

    def execute(self, instance_id: int, command: str) -> str:
        with self._lock:
            life = self._lives.get(instance_id)
        if life is None or life.doomed:
            raise MarketRefusal(404, "not_found", f"Instance {instance_id} not found.")
        return execute(command, life.folder / "home", {"PATH": self._environ.get("PATH", "")})

    def close(self) -> None:
        with self._lock:
            kept = [life.kept for life in self._lives.values() if life.kept is not None]
            for each in kept:
                each.abandon()
            until = time.monotonic() + self._close_s
            for each in kept:
                each.wait(max(0.0, until - time.monotonic()))
            for life in self._lives.values():
                if life.doomed:
                    _delete(life.folder)
            self._lives.clear()
            self._ports.close()

    def _new(self, box: Box) -> Life:
        folder = self._folder / str(box.instance_id)
        life = Life(box, folder, self._ports.take(box.ports))
        self._lives[box.instance_id] = life
        return life

    def _stop(self, life: Life, grace_s: float) -> None:
        life.after = None
        life.stopping = life.kept is not None
        if life.kept is not None:
            life.kept.stop(grace_s)

    def _reap_one(self, life: Life) -> int | None:
        """Do what is due; the exit status where it ended by itself."""
        status: int | None = None
        if life.failed:
            life.failed, status = False, CANNOT_RUN
        if life.kept is not None:
            code = life.kept.ended()
            if code is None:
                return None
            status = None if life.stopping else code
            life.kept, life.stopping = None, False
        if life.doomed:
            self._clear(life)
        if life.after is not None:
            self._launch(life, life.after)
        return status

    def _clear(self, life: Life) -> None:
        """Delete its directory; without a start to follow, forget it."""
        _delete(life.folder)
        life.doomed = False
        if life.after is None:
            self._ports.free(life.given)
            del self._lives[life.box.instance_id]

    def _launch(self, life: Life, box: Box) -> None:
        self._give_ports(life, box)
        life.after = None
        try:
            life.kept = Kept.launch(self._order(life, box))
        except (OSError, ValueError) as exc:
            life.failed = True
            _note(life.folder, f"The instance cannot be started: {exc}.")

    def _give_ports(self, life: Life, box: Box) -> None:
        """The same as before, unless it asks for others."""
        if box.ports != life.box.ports:
            self._ports.free(life.given)
            life.given = self._ports.take(box.ports)
        life.box = box

    def _order(self, life: Life, box: Box) -> Order:
        folder = life.folder
        for each in (folder, folder / "home", folder / "tmp"):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        script = folder / "onstart.sh"
        script.unlink(missing_ok=True)
        script.touch(mode=0o700)
        script.write_text(box.command)
        daemon_log = folder / "daemon.log"
        if daemon_log.exists() and daemon_log.stat().st_size > DAEMON_LOG_BYTES:
            daemon_log.unlink()
        mark = secrets.token_hex(16)
        return Order(
            command=("bash", str(script)),
            environ=environment_of(box, life.given, self._environ, folder, mark),
            cwd=folder / "home",
            log=folder / "output.log",
            log_bytes=self._log_bytes,
            daemon_log=daemon_log,
            grace_s=self._grace_s,
            is_main=box.is_main,
        )


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _note(folder: Path, sentence: str) -> None:
    with suppress(OSError), (folder / "daemon.log").open("a") as log:
        log.write(f"{sentence}\n")


def _delete(folder: Path) -> None:
    """All of it, also what its owner has made unreadable to itself."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError:
        folder.chmod(0o700)
        for each in folder.rglob("*"):
            if each.is_dir() and not each.is_symlink():
                each.chmod(0o700)
        shutil.rmtree(folder, ignore_errors=True)
