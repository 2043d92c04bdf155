"""How far a download has come: bytes, rate, time left, from what the log says or the disk shows.

What is here: measuring a folder that grows without ever reading much of it at once, and turning
successive sizes into a rate. What is not: deciding that something is being downloaded
(``lifecycle``).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RATE_WINDOW_S = 30.0
LOG_IS_FRESH_S = 15.0
DISK_IS_FRESH_S = 10.0
ENTRIES_PER_LOOK = 2000
LEAST_GROWTH_BYTES = 2**20


@dataclass(frozen=True)
class Progress:
    """One look at a download. None is unknown; ``percent`` is known also where bytes are not.

    ``source`` is "log" or "disk": who says so.
    """

    source: str
    done_bytes: float | None = None
    total_bytes: float | None = None
    rate_bytes_s: float | None = None
    seconds_left: float | None = None
    percent: float | None = None

    def document(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        """A phrase that changes seldom enough to be logged whenever it does."""
        if self.percent is None:
            return "downloading"
        return f"downloading, {self.percent // 10 * 10:.0f}%"


class Rate:
    """Units per second over the last ``window_s`` seconds. Pure."""

    def __init__(self, window_s: float = RATE_WINDOW_S) -> None:
        self._window_s = window_s
        self._samples: deque[tuple[float, float]] = deque()

    def note(self, now: float, size: float) -> None:
        samples = self._samples
        if samples and size < samples[-1][1]:  # files were removed, or another download began
            samples.clear()
        samples.append((now, size))
        while len(samples) > 2 and now - samples[1][0] >= self._window_s:
            samples.popleft()

    @property
    def size(self) -> float | None:
        """The latest size; None: there was none yet."""
        return self._samples[-1][1] if self._samples else None

    @property
    def growth(self) -> float:
        """Units added within the window."""
        return self._samples[-1][1] - self._samples[0][1] if self._samples else 0.0

    @property
    def per_s(self) -> float | None:
        if len(self._samples) < 2:
            return None
        elapsed_s = self._samples[-1][0] - self._samples[0][0]
        return self.growth / elapsed_s if elapsed_s > 0 else None


class FolderSize:
    """Bytes on disk under a folder, links not followed, counted a little at each look."""

    def __init__(self, folder: str | Path, entries_per_look: int = ENTRIES_PER_LOOK) -> None:
        self.folder = Path(folder)
        self._entries_per_look = entries_per_look
        self._walk = _Walk(self.folder)
        self._so_far = 0
        self._whole: int | None = None

    def look(self) -> int | None:
        """The size as of the last time that everything had been seen; None: not yet."""
        for _ in range(self._entries_per_look):
            size = next(self._walk, None)
            if size is None:
                self._whole, self._so_far = self._so_far, 0
                self._walk = _Walk(self.folder)
                break
            self._so_far += size
        return self._whole


class _Walk(Iterator[int]):
    """The size on disk of one entry after the other; 0 for folders, links and what vanished."""

    def __init__(self, folder: Path) -> None:
        self._folders = [str(folder)]
        self._entries: Iterator[os.DirEntry[str]] = iter(())
        self._seen: set[tuple[int, int]] = set()

    def __next__(self) -> int:
        entry = next(self._entries, None)
        while entry is None:
            if not self._folders:
                raise StopIteration
            self._entries = iter(_listed(self._folders.pop()))
            entry = next(self._entries, None)
        return self._size(entry)

    def _size(self, entry: os.DirEntry[str]) -> int:
        try:
            if entry.is_dir(follow_symlinks=False):
                self._folders.append(entry.path)
                return 0
            found = entry.stat(follow_symlinks=False)
        except OSError:  # it was moved to its final name meanwhile
            return 0
        if found.st_nlink > 1:
            if (found.st_dev, found.st_ino) in self._seen:
                return 0
            self._seen.add((found.st_dev, found.st_ino))
        return found.st_blocks * 512


def _listed(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:  # not there yet, or no longer
        return []


class DownloadMeter:
    """Joins both sources. ``look`` may block on a slow disk; the rest is pure.

    ``total_bytes`` is what the folder will hold in the end, where the backend knows.
    """

    def __init__(self, folder: str | Path | None, total_bytes: float | None = None) -> None:
        self._folder = FolderSize(folder) if folder else None
        self._total_bytes = total_bytes
        self._disk = Rate()
        self._log_rate = Rate()
        self._log: Progress | None = None
        self._log_at = 0.0
        self._grew_at = 0.0

    @property
    def has_folder(self) -> bool:
        return self._folder is not None

    def look(self) -> int | None:
        """Bytes on disk, or None while that is unknown; for a thread that may wait."""
        return self._folder.look() if self._folder else None

    def note_disk(self, now: float, size: float) -> None:
        if self._disk.size is not None and size > self._disk.size:
            self._grew_at = now
        self._disk.note(now, size)

    def note_log(self, now: float, fields: Mapping[str, float]) -> None:
        """What a progress line said: any of ``done``, ``total``, ``rate``, ``percent``."""
        done, total = fields.get("done"), fields.get("total")
        percent = fields.get("percent")
        if done is None and percent is not None and total is not None:
            done = total * percent / 100
        if done is not None:
            self._log_rate.note(now, done)
        if done is not None or percent is not None:
            rate = fields.get("rate", self._log_rate.per_s)
            self._log, self._log_at = _progress("log", done, total, rate, percent), now

    def progress(self, now: float) -> Progress | None:
        """What is known now; None: nothing is being downloaded, as far as can be seen."""
        if self._log is not None and now - self._log_at <= LOG_IS_FRESH_S:
            return self._log
        if self._disk.growth < LEAST_GROWTH_BYTES or now - self._grew_at > DISK_IS_FRESH_S:
            return None
        return _progress("disk", self._disk.size, self._total_bytes, self._disk.per_s, None)


def _progress(
    source: str,
    done: float | None,
    total: float | None,
    rate: float | None,
    percent: float | None,
) -> Progress:
    left = None
    if done is not None and total is not None and total > 0:
        percent = min(done / total, 1.0) * 100 if percent is None else percent
        left = max(total - done, 0.0) / rate if rate else None
    return Progress(source, done, total, rate, left, percent)
