"""What the tests of the runtimes stand on: a runtime on a fresh folder, and who still runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

from vast_pyworker.market.runtime.processes import ProcessRuntime

ROOT = Path(__file__).resolve().parents[4]
LIMIT_S = 30.0
PATH = "/usr/local/bin:/usr/bin:/bin"
T = TypeVar("T")


def runtime_in(folder: Path, **options: float) -> ProcessRuntime:
    """One that gives little time to what does not end, and no more than a path to what runs."""
    environ = {"PATH": PATH, "LANG": "C.UTF-8", "VAST_API_KEY": "the market's own"}
    return ProcessRuntime(folder, environ, **{"grace_s": 0.5, **options})  # type: ignore[arg-type]


def wait_until(found: Callable[[], T], what: str) -> T:
    """Poll until ``found()`` is something; fail naming ``what`` otherwise."""
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        if result := found():
            return result
        time.sleep(0.02)
    raise AssertionError(f"no {what} within {LIMIT_S} s")


def ends(runtime: ProcessRuntime) -> list[tuple[int, int]]:
    """The next ends that the runtime tells of."""
    return wait_until(runtime.reap, "end of an instance")


def printed(runtime: ProcessRuntime, instance_id: int, text: str) -> str:
    """The instance's output, once ``text`` is in it."""
    wait_until(lambda: text in runtime.logs(instance_id), f"{text!r} in the output")
    return runtime.logs(instance_id)


def running_with(name: str, value: str) -> list[psutil.Process]:
    """Every process that has this in its environment and still executes."""
    found = []
    for process in psutil.process_iter():
        try:
            alive = process.status() != psutil.STATUS_ZOMBIE
            if alive and process.environ().get(name) == value:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def wait_until_none(name: str, value: str) -> None:
    wait_until(lambda: not running_with(name, value), f"end of all with {name}={value}")


def children_of_this_process() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


def keeper_of(mark: str) -> psutil.Process:
    everybody = running_with("TEST_MARK", mark)
    return next(each for each in everybody if any("keeper.py" in word for word in each.cmdline()))
