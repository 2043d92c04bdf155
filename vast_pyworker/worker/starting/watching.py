"""Says when source files change, by looking at them twice a second.

A backend is a handful of files, so looking costs nothing, works on every file system and misses
nothing. Does not say what changed in them, and knows nothing of what is done about it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

POLL_S = 0.5
SUFFIXES = frozenset({".py", ".sh", ".json", ".jsonl", ".toml"})

Stamp = tuple[int, int]


def changes(folders: Sequence[Path], stop: threading.Event) -> Iterator[set[Path]]:
    """The source files in ``folders`` that changed, came or went since the last look.

    Every half second a set, empty mostly, so that who asks can look at other things; until
    ``stop`` is set.
    """
    before = stamps(folders)
    while not stop.wait(POLL_S):
        now = stamps(folders)
        yield {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}
        before = now


def is_source(path: Path) -> bool:
    """Whether ``path`` is a file that a backend is made of."""
    return path.suffix in SUFFIXES and "__pycache__" not in path.parts


def stamps(folders: Sequence[Path]) -> dict[Path, Stamp]:
    """Time of change and size of every source file in ``folders``."""
    found: dict[Path, Stamp] = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if is_source(path):
                try:
                    about = path.stat()
                except FileNotFoundError:  # gone since it was listed
                    continue
                found[path] = about.st_mtime_ns, about.st_size
    return found
