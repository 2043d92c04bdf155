"""Keeps one instance's processes together, and ends all of them: the program beside each.

    python -I -S keeper.py onstart|main GRACE_S LOG LOG_BYTES PROGRAM [ARGUMENT]...

Runs PROGRAM in a session of its own with the keeper's environment and directory, its output in LOG
(and LOG.1, LOG_BYTES each). Whatever it starts stays below the keeper, also what calls ``setsid``:
on Linux the keeper is the subreaper. All of it gets SIGTERM and, GRACE_S later, SIGKILL

* at a line ``stop [GRACE_S]`` on the standard input, or SIGTERM to the keeper,
* at the end of the standard input: the market is gone, by whatever means,
* for ``main`` at the end of PROGRAM, as a container ends with its first process; at once then.

The last line on the standard output is PROGRAM's exit status; without it the keeper was killed, and
PROGRAM with it. What it did goes to the standard error. The standard library alone, and of that
what loads fast: there is one keeper for each instance.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

GONE_GRACE_S = 1.0
"""The grace where the market is gone: nobody waits for what is asked to end."""
PRESS_EVERY_S = 0.2
GIVE_UP_S = 60.0
CHUNK_BYTES = 65536
CANNOT_RUN = 127

PROC = Path("/proc")
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_DEFAULTED = ("HUP", "INT", "QUIT", "TERM", "PIPE", "CHLD", "USR1", "USR2", "ALRM", "XFSZ")


def main(argv: Sequence[str] | None = None) -> int:
    """Keep until all has ended; 0, or 1 where something could not be killed."""
    kind, grace_s, log, log_bytes, *command = sys.argv[1:] if argv is None else argv
    keeper = Keeper(Log(Path(log), int(log_bytes)), float(grace_s), is_main=kind == "main")
    return 0 if keeper.keep(command) else 1


class Log:
    """A file of bounded size: what is older than ``most_bytes`` is in ``.1``, then gone."""

    def __init__(self, path: Path, most_bytes: int) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._file = -1
        self._size = 0

    def write(self, output: bytes) -> None:
        """Append; what the disk does not take is lost, for the instance must not wait for it."""
        with suppress(OSError):
            if self._file < 0 or self._size + len(output) > self._most_bytes:
                self._turn(len(output))
            self._size += os.write(self._file, output)

    def _turn(self, coming: int) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if self._path.exists() and self._path.stat().st_size + coming > self._most_bytes:
            self._path.replace(f"{self._path}.1")
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._size = os.fstat(self._file).st_size


class Keeper:
    """One program and all that it starts. ``keep`` runs it once."""

    def __init__(self, log: Log, grace_s: float, *, is_main: bool) -> None:
        self._log = log
        self._grace_s = grace_s
        self._is_main = is_main
        self._program = 0
        self._kill_at: float | None = None
        self._warned: set[int] = set()
        self._next_press = 0.0

    def keep(self, command: Sequence[str]) -> bool:
        """Run the program until it and all of its kin have ended; False: some cannot be killed."""
        process = ctypes.CDLL(None, use_errno=True)
        if PROC.exists():
            process.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        woken = _wake_on_signals()
        output, theirs = os.pipe()
        self._start(command, theirs, process)
        os.close(theirs)
        self._ready = selectors.DefaultSelector()
        try:
            self._ready.register(0, selectors.EVENT_READ, self._hear)
            self._ready.register(woken, selectors.EVENT_READ, lambda: self._signalled(woken))
            self._ready.register(output, selectors.EVENT_READ, lambda: self._take(output))
            return self._until_all_ended()
        finally:
            _kill_all(self._kin)
            self._rest_of(output)

    def _start(self, command: Sequence[str], output: int, process: ctypes.CDLL) -> None:
        keeper = os.getpid()
        self._program = os.fork()
        if self._program == 0:
            try:
                if PROC.exists():
                    process.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
                _become(command, output, keeper)
            finally:
                os._exit(CANNOT_RUN)
        _say(f"Started as process {self._program}.")

    def _until_all_ended(self) -> bool:
        give_up_at = float("inf")
        while self._collect():
            wait_s = None if self._kill_at is None else PRESS_EVERY_S / 4
            for key, _ in self._ready.select(wait_s):
                key.data()
            if self._kill_at is None:
                continue
            give_up_at = min(give_up_at, self._kill_at + GIVE_UP_S)
            if time.monotonic() > give_up_at:
                _say("Some processes cannot be killed: they are left.")
                return False
            self._press()
        _say("All has ended.")
        return True

    def _collect(self) -> bool:
        """Take note of the dead; False: there is nobody left, and nothing more to wait for."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:  # exact: an orphan below us would have become our child
                return not (self._is_main or self._kill_at is not None)
            if pid == 0:
                return True
            if pid == self._program:
                self._program_ended(os.waitstatus_to_exitcode(status))

    def _program_ended(self, code: int) -> None:
        code = 128 - code if code < 0 else code
        what = "main process" if self._is_main else "onstart script"
        _say(f"The {what} ended with status {code}.")
        _tell(code)
        if self._is_main:
            self._end(0.0)

    def _hear(self) -> None:
        """A command of the market, or its end."""
        said = os.read(0, CHUNK_BYTES).decode()
        if not said:
            self._ready.unregister(0)
            return self._end(min(self._grace_s, GONE_GRACE_S))
        word, _, grace_s = said.splitlines()[-1].partition(" ")
        if word == "stop":
            self._end(float(grace_s or self._grace_s))

    def _signalled(self, woken: int) -> None:
        if signal.SIGTERM in os.read(woken, CHUNK_BYTES):
            self._end(self._grace_s)

    def _take(self, output: int) -> None:
        printed = os.read(output, CHUNK_BYTES)
        if printed:
            self._log.write(printed)
        else:
            self._ready.unregister(output)

    def _rest_of(self, output: int) -> None:
        """What was printed last, and is still in the pipe."""
        os.set_blocking(output, False)
        with suppress(BlockingIOError):
            while printed := os.read(output, CHUNK_BYTES):
                self._log.write(printed)

    def _end(self, grace_s: float) -> None:
        """From now on everything is to end; a second word can only make the grace shorter."""
        at = time.monotonic() + grace_s
        if self._kill_at is None:
            _say(f"Stopping: SIGTERM to all, SIGKILL in {grace_s:g} s.")
        self._kill_at = at if self._kill_at is None else min(at, self._kill_at)
        self._next_press = 0.0

    def _press(self) -> None:
        now = time.monotonic()
        killing = self._kill_at is not None and now >= self._kill_at
        if now < self._next_press and not killing:
            return
        self._next_press = now + PRESS_EVERY_S
        for pid in self._kin():
            if killing:
                _send(pid, signal.SIGKILL)
            elif pid not in self._warned:
                self._warned.add(pid)
                _send(pid, signal.SIGTERM)

    def _kin(self) -> list[int]:
        """Everybody below us; where there is no /proc, the program's process group."""
        return descendants(os.getpid()) if PROC.exists() else [-self._program]


def descendants(ancestor: int) -> list[int]:
    """Every process below ``ancestor``, parents first."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        with suppress(OSError, ValueError):
            pid = int(entry.name)
            parent = (entry / "stat").read_bytes().rpartition(b")")[2].split()[1]
            children.setdefault(int(parent), []).append(pid)
    found = [ancestor]
    for pid in found:
        found += children.get(pid, ())
    return found[1:]


def _become(command: Sequence[str], output: int, keeper: int) -> None:
    """Turn this fresh process into the program, with nothing of the keeper's but environment."""
    os.setsid()
    if os.getppid() != keeper:  # it died before our death was tied to its
        return
    for name in _DEFAULTED:
        signal.signal(signal.Signals[f"SIG{name}"], signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    try:
        os.execvp(command[0], list(command))
    except OSError as exc:
        os.write(2, f"{command[0]} cannot be run ({exc.strerror}): correct PATH.\n".encode())


def _wake_on_signals() -> int:
    """A file that becomes readable at a signal that the keeper minds."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    return read_end


def _kill_all(kin: Callable[[], list[int]]) -> None:
    """The last resort, also where the keeper itself failed."""
    for pid in kin():
        _send(pid, signal.SIGKILL)


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _tell(code: int) -> None:
    with suppress(OSError):  # the market is gone
        os.write(1, f"{code}\n".encode())


def _say(sentence: str) -> None:
    with suppress(OSError):
        os.write(2, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {sentence}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
