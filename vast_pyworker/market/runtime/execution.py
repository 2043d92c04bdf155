"""The three programs that may be run in the directory of a stopped instance: ls, rm and du.

What is here: which words they may be given, and running them without a shell. What is not: whether
the instance is stopped, which the market knows.

Only options that are known not to lead out are let through, and no path that does.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from vast_pyworker.market.refusal import invalid

TIMEOUT_S = 10.0
MOST_OUTPUT = 2**20

OPTIONS = {
    "ls": re.compile(r"-[1ACFGQRSUXabcdfghiklmnopqrstuvx]+|--(all|almost-all|recursive|reverse)"),
    "rm": re.compile(r"-[rRfdv]+|--(recursive|force|dir|verbose)"),
    "du": re.compile(r"-[abchklmsSx0]+|-[abchklmsSx0]*d ?\d*|--(all|bytes|total|summarize)"
                     r"|--(human-readable|max-depth=\d+)"),
}  # fmt: skip


def execute(command: str, folder: Path, environ: Mapping[str, str]) -> str:
    """What the command prints, errors included, run in ``folder``; raises MarketRefusal."""
    program, *words = _words(command)
    if program not in OPTIONS:
        raise invalid(f"Only {', '.join(OPTIONS)} can be executed, not {program!r}.")
    for word in words:
        _check(program, word, folder)
    try:
        done = subprocess.run(
            [program, *words],
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise invalid(f"{program} took longer than {TIMEOUT_S:g} s: name less.") from exc
    return done.stdout[:MOST_OUTPUT].decode(errors="replace")


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as exc:
        raise invalid(f"The command cannot be read ({exc}): close its quotes.") from exc
    if not words or "\0" in command:
        raise invalid("The command is empty: give ls, rm or du.")
    return words


def _check(program: str, word: str, folder: Path) -> None:
    if word.startswith("-"):
        if not OPTIONS[program].fullmatch(word):
            raise invalid(f"{program} may not be given {word!r}: leave it out.")
        return
    if not _is_inside(Path(word), folder):
        raise invalid(f"{word!r} leads out of the instance's directory: give a path below it.")


def _is_inside(path: Path, folder: Path) -> bool:
    if path.is_absolute() or ".." in path.parts:
        return False
    try:
        return (folder / path).resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a name too long, a link to itself
        return False
