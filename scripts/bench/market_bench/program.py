"""Starts what is measured, on the CPU for that, and finds the port it says it listens on."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from relay_bench.cpu import Pins, on_cpus, tree_memory_mb
from relay_bench.errors import BenchError
from relay_bench.processes import first_line, started

BENCH = Path(__file__).resolve().parent.parent
STARTS_S = 60.0
_PORT = re.compile(r"http://127\.0\.0\.1:(\d+)")


@dataclass(frozen=True)
class Program:
    """A process that listens on ``port`` of 127.0.0.1."""

    pid: int
    port: int

    @property
    def memory_mb(self) -> float:
        return tree_memory_mb(self.pid)


def port_in(line: str) -> int:
    """The port in the line that a program prints when it listens."""
    found = _PORT.search(line)
    if found is None:
        raise BenchError(f"a program did not say where it listens: {line!r}")
    return int(found[1])


@contextmanager
def market(folder: Path, pins: Pins, hosts: int) -> Iterator[Program]:
    """A market whose clock stands still, rich and without limits, with simulated instances."""
    options = ["--port", "0", "--runtime", "none", "--no-limits", "--clock", "0"]
    options += ["--credit", "1000000000", "--hosts", str(hosts)]
    with _running(["vast_pyworker.cli", "market", *options], folder, pins) as program:
        yield program


@contextmanager
def constant(folder: Path, pins: Pins) -> Iterator[Program]:
    """The ceiling, which answers with the files of ``folder``."""
    with _running(["market_bench.apps.constant", str(folder)], folder, pins) as program:
        yield program


@contextmanager
def _running(module: Sequence[str], folder: Path, pins: Pins) -> Iterator[Program]:
    log = folder / f"{module[0]}.log"
    environ = {"PYTHONPATH": os.pathsep.join((str(BENCH), str(BENCH.parent.parent)))}
    with on_cpus(pins.candidate):
        context = started([sys.executable, "-m", *module], cwd=folder, log=log, environ=environ)
        process = context.__enter__()
    try:
        yield Program(process.pid, port_in(first_line(process, log, STARTS_S)))
    finally:
        context.__exit__(None, None, None)
