"""Why the model server ended, in one sentence: code or signal, memory, its last words.

What is here: reading the traces a dead process leaves. What is not: what to do about it
(``supervisor``), and the patterns of a living log (``logwatch``).
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterable
from pathlib import Path

OOM_COUNTERS = (
    Path("/sys/fs/cgroup/memory.events"),  # cgroup v2, as a container sees it
    Path("/sys/fs/cgroup/memory/memory.oom_control"),  # cgroup v1
)
TAIL_BYTES = 8192
LONGEST_LINE = 200

_OOM_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)
_UNPRINTABLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
_SHELL_CODES = {126: "cannot be executed", 127: "command not found"}


def oom_kills(counters: Iterable[Path] = OOM_COUNTERS) -> int | None:
    """How often the kernel has killed something here for lack of memory; None: unknown."""
    for path in counters:
        try:
            found = _OOM_KILLS.search(path.read_text(encoding="ascii"))
        except (OSError, UnicodeDecodeError):
            continue
        if found:
            return int(found[1])
    return None


def how_it_ended(returncode: int | None, *, out_of_memory: bool) -> str:
    """A phrase for an end that we did not bring about.

    ``returncode`` as ``subprocess`` gives it: negative for a signal, None when it is unknown
    because an earlier worker was the parent. ``out_of_memory``: the kernel's counter has grown.
    """
    if out_of_memory:
        return f"{_plainly(returncode)} after the kernel killed a process for lack of memory"
    if returncode == -signal.SIGKILL:
        return "was killed (out of memory?)"
    return _plainly(returncode)


def _plainly(returncode: int | None) -> str:
    if returncode is None:
        return "ended with an unknown exit code"
    if returncode < 0:
        return f"was killed by {_signal_name(-returncode)}"
    hint = _SHELL_CODES.get(returncode)
    if hint is None and returncode > 128:  # how a shell passes on the death of its child
        hint = _signal_name(returncode - 128)
    return f"exited with code {returncode}" + (f" ({hint})" if hint else "")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def last_lines(path: Path, since: int, count: int) -> list[str]:
    """The last ``count`` lines that say something, of what was written after offset ``since``.

    A log that has become shorter is read whole. Terminal colours and control characters are
    left out and long lines cut; a log that cannot be read has no lines.
    """
    try:
        with path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(since if since <= size else 0, size - TAIL_BYTES))
            text = log.read(TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return []
    plain = (_UNPRINTABLE.sub("", line).strip()[:LONGEST_LINE] for line in text.splitlines())
    return [line for line in plain if line][-count:]
