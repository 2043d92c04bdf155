"""The model server as the operating system sees it: a process, and all that it has started.

What is here: start it apart from us, list everything that belongs to it, end all of it. What is
not: when to do so (``supervisor``), what is written down (``life``), why it ended (``exits``).

Whatever belongs to the model is found in two ways, because each alone has a hole. It runs in the
session that its leader opened; and it carries a label in its environment, which daemons that
leave the session take with them. A number alone is never trusted: numbers are used again.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from vast_pyworker.errors import ModelError
from vast_pyworker.settings import TABLE

from .life import Life

log = logging.getLogger(__name__)

LABEL = "PYWORKER_MODEL"
"""Environment variable of everything the model starts; its value is the worker's state folder."""

SECRETS = frozenset(
    {name for setting in TABLE if setting.secret for name in (setting.name, *setting.aliases)}
    | {"CONTAINER_API_KEY", "VAST_API_KEY", "JUPYTER_TOKEN", "OPEN_BUTTON_TOKEN"}
)
"""Variables a model has no business with: the worker's own, and those Vast puts on an instance."""

KILL_WAIT_S = 5.0
POLL_S = 0.02

_PASSING = frozenset((errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE))
"""Errors of a machine that is short of something just now; all others will come again."""


def label_of(state_dir: Path) -> str:
    """What the model of the worker with this state folder is labelled with."""
    return str(state_dir.resolve())


def environment_of(env: Mapping[str, str], label: str) -> dict[str, str]:
    """What the model gets to see of ``env``: all but secrets, and its label."""
    return {name: value for name, value in env.items() if name not in SECRETS} | {LABEL: label}


def spawn(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path | None, log_path: Path
) -> subprocess.Popen[bytes]:
    """Start ``command`` in a session of its own, its output appended to ``log_path``.

    Raises ModelError for what trying again cannot mend, OSError for what it might (no memory or
    no process number left just now).
    """
    if not command:
        raise ModelError("The command of the model server is empty: set MODEL_COMMAND.")
    output = _open_log(log_path)
    try:
        return subprocess.Popen(
            list(command),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as exc:
        if isinstance(exc, OSError) and exc.errno in _PASSING:
            raise
        raise ModelError(_cannot_start(command[0], env, cwd, exc)) from exc
    finally:
        os.close(output)


def _open_log(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    except OSError as exc:
        raise ModelError(
            f"The model's log {path} cannot be written ({exc.strerror}): correct MODEL_LOG."
        ) from exc


def _cannot_start(
    program: str, env: Mapping[str, str], cwd: Path | None, exc: OSError | ValueError
) -> str:
    if cwd is not None and not cwd.is_dir():
        return f"The model server cannot start in {cwd}, which is not a folder: create it."
    found = shutil.which(program, mode=os.F_OK, path=env.get("PATH"))
    if found is None:
        return (
            f"The model server's program {program!r} was not found: "
            "install it or correct MODEL_COMMAND."
        )
    if isinstance(exc, FileNotFoundError):
        return f"The interpreter that {found!r} asks for was not found: correct its first line."
    if isinstance(exc, PermissionError):
        return f"The model server's program {found!r} may not be executed: chmod +x it."
    return f"The model server's program {found!r} cannot run ({exc}): correct MODEL_COMMAND."


def members(label: str, life: Life | None) -> list[psutil.Process]:
    """Every running process that belongs to the model, in no order."""
    session = life.pid if life is not None and life.owns_session else None
    others = (pid for pid in psutil.pids() if pid != os.getpid())
    found = (_member(pid, label, session) for pid in others)
    return [process for process in found if process is not None]


def _member(pid: int, label: str, session: int | None) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        ours = session is not None and os.getsid(pid) == session
        ours = ours or process.environ().get(LABEL) == label
        return process if ours and _runs(process) else None
    except (psutil.Error, OSError):
        return None  # gone meanwhile, or somebody else's


def send(processes: Iterable[psutil.Process], signum: signal.Signals) -> None:
    """Send a signal to each; those that are gone, or may not be signalled, are passed by."""
    for process in processes:
        try:
            process.send_signal(signum)
        except psutil.Error:
            continue


def end(label: str, life: Life | None, deadline_s: float) -> bool:
    """End the model and all it has started; whether there was anything to end.

    SIGTERM, ``deadline_s`` seconds to comply, SIGKILL. Blocks for five seconds more at most, and
    logs what still runs then: processes stuck in the kernel, or another user's.
    """
    asked = members(label, life)
    send(asked, signal.SIGTERM)
    _wait_gone(asked, deadline_s)
    kill_until = time.monotonic() + KILL_WAIT_S
    while (left := members(label, life)) and time.monotonic() < kill_until:
        send(left, signal.SIGKILL)
        _wait_gone(left, 1.0)
    if left:
        log.error("Restart the instance: %s of the model server cannot be killed.", numbers(left))
    return bool(asked)


def numbers(processes: Iterable[psutil.Process]) -> str:
    """The processes as a phrase for people."""
    return "process " + ", ".join(str(process.pid) for process in processes)


def _wait_gone(processes: Iterable[psutil.Process], timeout_s: float) -> None:
    until = time.monotonic() + timeout_s
    while time.monotonic() < until and any(map(_runs, processes)):
        time.sleep(POLL_S)


def _runs(process: psutil.Process) -> bool:
    """Whether it executes: a zombie only waits to be noticed by its parent."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
