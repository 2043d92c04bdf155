"""Starting programs, waiting for them, and ending them by pid with all that they started."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from .errors import BenchError

GRACE_S = 3.0
LOG_TAIL_BYTES = 2000
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR")


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def clean_environ(extra: Mapping[str, str]) -> dict[str, str]:
    """A small environment, so that nothing of the caller's settings reaches a candidate."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return {**kept, **extra}


@contextmanager
def started(
    command: Sequence[str], *, cwd: Path, log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``command`` with its output in ``log``; its whole tree is ended on the way out."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=clean_environ(environ or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end_tree(process)


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to ``process``; what of its tree still lives after the grace gets SIGKILL."""
    family = _family(process.pid)
    try:
        process.terminate()
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        family += _family(process.pid)
    finally:
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()  # psutil compares start times: never a stranger with the same pid
        process.wait()


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def first_line(process: subprocess.Popen[bytes], log: Path, timeout_s: float = 10.0) -> str:
    """The first whole line that ``process`` wrote to ``log``."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and process.poll() is None:
        line, ended, _ = log.read_text().partition("\n")
        if ended:
            return line
        time.sleep(0.01)
    raise BenchError(f"{process.args!r} printed nothing in {timeout_s:.0f} s: {tail(log)}")


def tail(log: Path) -> str:
    """The last lines of a log on one line, for a sentence."""
    if not log.exists():
        return "it has no log"
    text = log.read_bytes()[-LOG_TAIL_BYTES:].decode("utf-8", "replace")
    return " | ".join(text.splitlines()[-8:]) or "its log is empty"


def run_bounded(command: Sequence[str], *, timeout_s: float, cwd: Path | None = None) -> str:
    """Standard output of ``command``; BenchError where it fails or takes too long."""
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise BenchError(f"{name} did not end in {timeout_s:.0f} s: {' '.join(command)}") from exc
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-LOG_TAIL_BYTES:]
        raise BenchError(f"{name} ended with code {done.returncode}: {said}")
    return done.stdout
