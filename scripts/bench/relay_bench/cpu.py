"""CPU time and memory of a process tree, and which CPUs are for what.

CPU time is user plus system time of all threads, read from Linux's CPU clock of each process: the
sum that /proc/PID/stat shows in ticks of 10 ms, in nanoseconds. A process that ends while it is
measured makes the figure unknown, never smaller.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from .errors import CandidateFailed


@dataclass(frozen=True)
class Pins:
    """CPUs of the load (and the model server) and of the candidate; None: any."""

    load: frozenset[int] | None
    candidate: frozenset[int] | None


def choose_pins(available: Iterable[int]) -> Pins:
    """One CPU each, where there are two."""
    cpus = sorted(available)
    if len(cpus) < 2:
        return Pins(None, None)
    return Pins(frozenset(cpus[:1]), frozenset(cpus[1:2]))


@contextmanager
def on_cpus(cpus: frozenset[int] | None) -> Iterator[None]:
    """Run this thread, and what it starts meanwhile, on ``cpus``."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def process_cpu_s(pid: int) -> float:
    """CPU seconds of one process so far; OSError where it is gone. See clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)


def tree(pid: int) -> list[int]:
    """``pid`` and its descendants; empty where it is gone."""
    try:
        process = psutil.Process(pid)
        return [pid, *(child.pid for child in process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def tree_cpu(pid: int) -> dict[int, float]:
    """CPU seconds so far of each process of the tree."""
    seconds = {}
    for each in tree(pid):
        try:
            seconds[each] = process_cpu_s(each)
        except OSError:
            continue  # it ended while we looked: ``spent`` decides whether that matters
    return seconds


def spent(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    """CPU seconds between two looks at a tree; raises where a process is missing in the second."""
    if missing := before.keys() - after.keys():
        raise CandidateFailed(
            f"{len(missing)} of its processes ended while it was measured: look for the reason in "
            "its log, with --logs"
        )
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())


def rollup_kib(smaps_rollup: str) -> dict[str, int]:
    """The figures of /proc/PID/smaps_rollup in KiB, by name; ValueError where there are none."""
    found = {name: int(kib) for name, kib in re.findall(r"^(\w+): +(\d+) kB$", smaps_rollup, re.M)}
    if not found:
        raise ValueError("smaps_rollup has no figures")
    return found


def tree_memory_mb(pid: int) -> float:
    """Memory of the tree in megabytes (10^6 bytes), as if nothing else were running.

    What its processes share counts once, and what they map of files (the interpreter, libraries)
    in full: in proportion to all who map it, it would grow smaller with each candidate beside it.
    """
    each = [rollup_kib(Path(f"/proc/{p}/smaps_rollup").read_text()) for p in tree(pid)]
    own = sum(kib["Pss_Anon"] + kib["Pss_Shmem"] for kib in each)
    of_files = max(kib["Rss"] - kib["Anonymous"] for kib in each)
    return (own + of_files) * 1024 / 1e6
