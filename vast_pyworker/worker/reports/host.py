"""What the machine and this process use, through psutil; what cannot be read is None.

What is here: readings, taken when asked for. What is not: GPUs (``gpu``), threads, judgement. In
a container, memory and processor are those of the machine around it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

GIB = 2**30
ROOT = Path("/")

Reading = TypeVar("Reading")


@dataclass(frozen=True)
class Host:
    """One reading; None is unknown.

    ``cpu_ratio`` is of all processors, from 0 to 1, since the reading before; unknown in the
    first. Disk is that of ``/`` and of the workspace. Network counts since the machine started.
    The last three are this process's own.
    """

    cpu_ratio: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    disk_used_gib: float | None = None
    disk_free_gib: float | None = None
    workspace_used_gib: float | None = None
    workspace_free_gib: float | None = None
    network_sent_bytes: int | None = None
    network_received_bytes: int | None = None
    rss_bytes: int | None = None
    open_fds: int | None = None
    threads: int | None = None


class HostGauge:
    """Readings of this machine. From any thread; ``snapshot`` never raises."""

    def __init__(self, workspace: Path = ROOT) -> None:
        self._workspace = workspace
        self._lock = threading.Lock()
        self._cpu_before: tuple[float, float] | None = None  # busy and all seconds

    def snapshot(self) -> Host:
        process = _known(psutil.Process)
        memory = _known(psutil.virtual_memory)
        network = _known(psutil.net_io_counters)
        disk, workspace = _disk(ROOT), _disk(self._workspace)
        return Host(
            cpu_ratio=_known(self._cpu_ratio),
            memory_used_bytes=memory.total - memory.available if memory else None,
            memory_total_bytes=memory.total if memory else None,
            disk_used_gib=disk[0],
            disk_free_gib=disk[1],
            workspace_used_gib=workspace[0],
            workspace_free_gib=workspace[1],
            network_sent_bytes=network.bytes_sent if network else None,
            network_received_bytes=network.bytes_recv if network else None,
            rss_bytes=_known(lambda: int(process.memory_info().rss)) if process else None,
            open_fds=_known(process.num_fds) if process else None,
            threads=_known(process.num_threads) if process else None,
        )

    def _cpu_ratio(self) -> float | None:
        times = psutil.cpu_times()
        waiting = times.idle + getattr(times, "iowait", 0.0)
        # A guest's time is in user and nice already.
        everything = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        with self._lock:
            before, self._cpu_before = self._cpu_before, (everything - waiting, everything)
        if before is None or everything <= before[1]:
            return None
        ratio = (everything - waiting - before[0]) / (everything - before[1])
        return min(max(ratio, 0.0), 1.0)


class DiskGauge:
    """Gibibytes used where ``path`` is, and their growth since a report was last delivered."""

    def __init__(self, path: Path = ROOT) -> None:
        self._path = path
        self._delivered_gib: float | None = None

    def used_gib(self) -> float | None:
        """Used now; None: unknown."""
        return _disk(self._path)[0]

    def used_bytes(self) -> float | None:
        """The same in bytes."""
        used_gib = self.used_gib()
        return None if used_gib is None else used_gib * GIB

    def delta(self, used_gib: float | None) -> float | None:
        """Growth to ``used_gib`` since what was last delivered; None: nothing was, or unknown."""
        if used_gib is None or self._delivered_gib is None:
            return None
        return used_gib - self._delivered_gib

    def delivered(self, used_gib: float | None) -> None:
        """A report that said ``used_gib`` has arrived; later ones count from there."""
        self._delivered_gib = self._delivered_gib if used_gib is None else used_gib


def _disk(path: Path) -> tuple[float, float] | tuple[None, None]:
    """Used, and free for us, in GiB."""
    usage = _known(lambda: psutil.disk_usage(str(path)))
    return (usage.used / GIB, usage.free / GIB) if usage else (None, None)


def _known(read: Callable[[], Reading]) -> Reading | None:
    try:
        return read()
    except (psutil.Error, OSError, RuntimeError, NotImplementedError):  # as /proc may be closed
        return None
