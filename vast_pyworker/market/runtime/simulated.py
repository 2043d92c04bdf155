"""Instances that are only said to run: nothing is started, nothing listens.

What is here: a ``Runtime`` for thousands of instances in one process. What is not: ends of its own,
which the market's faults bring about.
"""

from __future__ import annotations

import itertools
import threading

from vast_pyworker.market.refusal import MarketRefusal, invalid

from . import Box, PortMap
from .environment import seen_ports
from .execution import OPTIONS

LOWEST = 40000
HIGHEST = 65535


class SimulatedRuntime:
    """A ``Runtime`` whose ports are invented and whose logs are made up when asked for."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._lives: dict[int, tuple[Box, dict[tuple[int, str], int], int]] = {}
        self._lock = threading.Lock()

    def start(self, box: Box) -> PortMap:
        with self._lock:
            before, given, starts = self._lives.get(box.instance_id, (None, {}, 0))
            if before is None or before.ports != box.ports:
                given = {each: self._next_port() for each in dict.fromkeys(box.ports)}
            self._lives[box.instance_id] = box, given, starts + 1
            return seen_ports(given)

    def stop(self, instance_id: int) -> None:
        """Nothing runs."""

    def remove(self, instance_id: int) -> None:
        with self._lock:
            self._lives.pop(instance_id, None)

    def reap(self) -> list[tuple[int, int]]:
        return []

    def logs(self, instance_id: int, *, daemon: bool = False) -> str:
        with self._lock:
            life = self._lives.get(instance_id)
        if life is None:
            return ""
        box, given, starts = life
        told = _daemon_log(given) if daemon else _output(box)
        return "".join(f"{line}\n" for line in told) * starts

    def execute(self, instance_id: int, command: str) -> str:
        """An instance without a disk: nothing is listed, nothing is there to be removed."""
        with self._lock:
            known = instance_id in self._lives
        if not known:
            raise MarketRefusal(404, "not_found", f"Instance {instance_id} not found.")
        program = command.split(maxsplit=1)[0] if command.strip() else ""
        if program not in OPTIONS:
            told = f"Only {', '.join(OPTIONS)} can be executed, not {program!r}."
            raise invalid(told)
        return {"ls": "total 0\n", "rm": "", "du": "4\t.\n"}[program]

    def close(self) -> None:
        """Nothing runs."""

    def _next_port(self) -> int:
        return LOWEST + next(self._numbers) % (HIGHEST - LOWEST + 1)


def _output(box: Box) -> list[str]:
    if box.is_main:
        return ["Ready."]
    return [f"Running the onstart script of C.{box.instance_id}.", "The onstart script has ended."]


def _daemon_log(given: dict[tuple[int, str], int]) -> list[str]:
    mapped = [f"{inside}/{protocol} -> {port}" for (inside, protocol), port in given.items()]
    return ["Image is present.", f"Ports: {', '.join(mapped) or 'none'}.", "Started the container."]
