"""A measured process of its own on its own CPU, and load on it."""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from relay_bench.cpu import Pins, on_cpus, process_cpu_s, tree_memory_mb
from relay_bench.errors import BenchError
from relay_bench.load import parse_unary
from relay_bench.processes import first_line, run_bounded, started

BENCH = Path(__file__).parent.parent
SCRIPT = BENCH / "src" / "lines.lua"
STARTS_S = 60.0


@dataclass(frozen=True)
class Load:
    """``pause_ms`` after each answer on each connection; ``close``: a connection for each."""

    path: str
    connections: int = 32
    seconds: int = 5
    pause_ms: int = 0
    close: bool = False


@dataclass(frozen=True)
class Measured:
    """What one load showed. ``cpu_us`` is the program's CPU time for each request."""

    requests_per_s: float
    p50_us: float
    p99_us: float
    cpu_us: float
    errors: int


@dataclass(frozen=True)
class Site:
    """What a run's measures share: a folder for files, wrk, which CPU is for what."""

    folder: Path
    wrk: str
    pins: Pins


class Program:
    """One that listens on ``port`` of 127.0.0.1."""

    def __init__(self, site: Site, pid: int, port: int) -> None:
        self._site, self.pid, self.port = site, pid, port

    @property
    def memory_mb(self) -> float:
        return tree_memory_mb(self.pid)

    def load(self, load: Load, bodies: Iterable[str]) -> Measured:
        """Send the bodies in turn until the time is over."""
        file = self._site.folder / "bodies"
        file.write_text("\n".join(bodies) + "\n")
        command = [self._site.wrk, "-t1", f"-c{load.connections}", f"-d{load.seconds}s"]
        command += [
            "--timeout",
            "10s",
            "-s",
            str(SCRIPT),
            f"http://127.0.0.1:{self.port}{load.path}",
        ]
        command += ["--", str(file), "close" if load.close else "keep", str(load.pause_ms)]
        before = process_cpu_s(self.pid)
        seen = parse_unary(run_bounded(command, timeout_s=load.seconds + 60))
        cpu_s = process_cpu_s(self.pid) - before
        if seen.requests == 0:
            raise BenchError(f"no answer of {load.path} came")
        rate = seen.requests / seen.seconds
        return Measured(rate, seen.p50_us, seen.p99_us, cpu_s / seen.requests * 1e6, seen.errors)

    def send_all(self, path: str, bodies: Iterable[str]) -> None:
        """Each body once, one after the other; BenchError where one is not taken."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            for body in bodies:
                connection.request("POST", path, body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                said = answer.read()
                if answer.status != 200:
                    raise BenchError(f"{path} answered {answer.status}: {said[:200]!r}")
        finally:
            connection.close()


@contextmanager
def running(site: Site, *arguments: str) -> Iterator[Program]:
    """The program ``apps/board.py`` with the arguments, on the CPU for what is measured."""
    command = [sys.executable, "-m", "controller_bench.apps.board", *arguments]
    log = site.folder / "program.log"
    environ = {"PYTHONPATH": os.pathsep.join((str(BENCH), str(BENCH.parent.parent)))}
    with on_cpus(site.pins.candidate):
        context = started(command, cwd=site.folder, log=log, environ=environ)
        process = context.__enter__()
    try:
        port = int(first_line(process, log, STARTS_S).split()[1])
        yield Program(site, process.pid, port)
    finally:
        context.__exit__(None, None, None)
