"""Measured capacities in one file, each under a key of everything it depends on.

What is here: what belongs into the key, and a file that can be lost, torn, foreign or unwritable
without anything worse than measuring again. What is not: measuring (``benchmark``).
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vast_pyworker.worker.starting.private_file import write_private

log = logging.getLogger(__name__)

FORMAT = "vast_pyworker benchmark 1"
MAX_ENTRIES = 32
LARGEST_PERF = 1e12

_UNUSABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)
"""What reading a file that is torn, foreign or forbidden can raise."""


@dataclass(frozen=True)
class Subject:
    """What a capacity was measured on; a change in any of these is another subject.

    ``model`` is its name or path; size in bytes and change time (Unix seconds) are of its files,
    None where there are none. ``gpus`` are names, one for each GPU, None where unknown.
    """

    backend: str
    model: str
    version: str
    model_bytes: int | None = None
    model_changed_at: float | None = None
    gpus: tuple[str, ...] | None = None
    driver: str | None = None


@dataclass(frozen=True)
class Entry:
    """A capacity in units of work per second, and when it was measured (Unix seconds)."""

    max_perf: float
    unit: str
    runs: tuple[float, ...]
    measured_at: float


def key_of(subject: Subject, **how: Any) -> str:
    """The key of ``subject`` measured in this way (payloads, concurrency, ...; all JSON)."""
    told = json.dumps([asdict(subject), how], sort_keys=True, default=repr)
    return hashlib.sha256(told.encode()).hexdigest()


def files_of(path: Path) -> tuple[int | None, float | None]:
    """Bytes in all, and latest change, of a model file or a folder of them; None: unknown."""
    try:
        files = [each for each in (path.rglob("*") if path.is_dir() else (path,)) if each.is_file()]
        facts = [each.stat() for each in files]
    except OSError:
        return None, None
    if not facts:
        return None, None
    return sum(each.st_size for each in facts), max(each.st_mtime for each in facts)


class BenchmarkCache:
    """The file. For one process at a time; every method reads it afresh and none raises."""

    def __init__(self, path: Path, *, max_entries: int = MAX_ENTRIES) -> None:
        self._path = path
        self._max_entries = max_entries

    def get(self, key: str) -> Entry | None:
        """What was measured under ``key``; None: nothing, or nothing that can be believed."""
        try:
            return self._read().get(key)
        except _UNUSABLE as exc:
            log.warning("Measuring anew, because %s cannot be used: %r.", self._path, exc)
            return None

    def put(self, key: str, entry: Entry) -> None:
        """Keep ``entry`` under ``key``, and of all entries only the latest."""
        entries = {**self._usable(), key: entry}
        latest = sorted(entries, key=lambda each: entries[each].measured_at, reverse=True)
        self._write({each: entries[each] for each in latest[: self._max_entries]})

    def invalidate(self, key: str) -> None:
        """Forget what was measured under ``key``."""
        entries = self._usable()
        if entries.pop(key, None) is not None:
            self._write(entries)

    def _usable(self) -> dict[str, Entry]:
        try:
            return self._read()
        except _UNUSABLE:
            return {}  # to be written over; whoever asked it for something was told

    def _read(self) -> dict[str, Entry]:
        try:
            told = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        if told["format"] != FORMAT:
            raise ValueError("it has another format")
        return {str(key): _entry(value) for key, value in told["entries"].items()}

    def _write(self, entries: Mapping[str, Entry]) -> None:
        told = {"format": FORMAT, "entries": {key: asdict(each) for key, each in entries.items()}}
        try:
            write_private(self._path, json.dumps(told, indent=1))
        except OSError as exc:
            log.warning(
                "The capacity is not kept, because %s cannot be written: %s.", *(self._path, exc)
            )


def _entry(told: Mapping[str, Any]) -> Entry:
    """Raises ValueError, KeyError or TypeError for what cannot be a capacity."""
    runs: Sequence[Any] = told["runs"]
    return Entry(
        max_perf=believable(float(told["max_perf"])),
        unit=str(told["unit"]),
        runs=tuple(float(each) for each in runs),
        measured_at=float(told["measured_at"]),
    )


def believable(perf: float) -> float:
    """``perf`` if it can be a capacity in units per second; raises ValueError otherwise."""
    if not (math.isfinite(perf) and 0 < perf <= LARGEST_PERF):
        raise ValueError(f"{perf!r} units a second is no capacity")
    return perf
