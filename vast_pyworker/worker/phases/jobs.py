"""Work that may block, done beside the loop that wants it and handed back as a value.

A probe waits, a benchmark takes minutes, a backend's hook does what it likes: the loop that reads
the log must not. What is not here: cancelling, for a thread cannot be; whoever starts a job says
in its ``tag`` what it was for, and drops a result that has become pointless.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Done:
    """A job's end: ``result`` is what it returned, unless ``error`` is what it raised."""

    name: str
    tag: Any
    result: Any = None
    error: Exception | None = None


class Jobs(Protocol):
    """At most one job of each name at a time; for one thread, except for the jobs themselves."""

    def start(self, name: str, work: Callable[[], Any], tag: Any = None) -> bool:
        """Begin ``work``, unless a job of that name is not finished: whether it was begun."""

    def finished(self) -> list[Done]:
        """The jobs that have ended since the last call."""


class ThreadJobs:
    """A daemon thread for each job; ``wake`` is called when one has ended, from its thread."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._running: dict[str, threading.Thread] = {}
        self._ended: queue.SimpleQueue[Done] = queue.SimpleQueue()

    def start(self, name: str, work: Callable[[], Any], tag: Any = None) -> bool:
        if name in self._running:
            return False
        thread = threading.Thread(
            target=self._run, args=(name, work, tag), name=f"lifecycle-{name}", daemon=True
        )
        self._running[name] = thread
        thread.start()
        return True

    def finished(self) -> list[Done]:
        ended: list[Done] = []
        while not self._ended.empty():
            ended.append(self._ended.get())
            self._running.pop(ended[-1].name).join()
        return ended

    def join(self, deadline_s: float) -> None:
        """Wait for what runs, each for at most ``deadline_s``."""
        for thread in tuple(self._running.values()):
            thread.join(deadline_s)

    def _run(self, name: str, work: Callable[[], Any], tag: Any) -> None:
        self._ended.put(done(name, work, tag))
        self._wake()


def done(name: str, work: Callable[[], Any], tag: Any) -> Done:
    """Do the work, here and now."""
    try:
        return Done(name, tag, work())
    except Exception as exc:  # whatever it is, whoever wanted the work decides what it means
        return Done(name, tag, error=exc)


def within(deadline_s: float, name: str, work: Callable[[], Any]) -> Done | None:
    """Do the work in a thread and wait for it; None if it takes longer, and goes on alone."""
    jobs = ThreadJobs(lambda: None)
    jobs.start(name, work)
    jobs.join(deadline_s)
    return next(iter(jobs.finished()), None)
