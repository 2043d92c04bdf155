"""A fixed number of threads for handlers that block, and a bounded queue before them.

``queue.SimpleQueue`` instead of ``concurrent.futures``: no future and no lock per request.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class HandlerThreads:
    """``submit`` never blocks: it returns False when the queue is full."""

    def __init__(self, count: int, most_waiting: int) -> None:
        self._count = max(count, 1)
        self._most_waiting = most_waiting
        self._queue: queue.SimpleQueue[tuple[Callable[..., None], object] | None]
        self._queue = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for number in range(self._count):
            thread = threading.Thread(target=self._run, name=f"handler-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, wait_s: float = 0.0) -> None:
        """Let the threads end after what is queued; wait for each at most ``wait_s``."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(wait_s)

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def submit(self, work: Callable[..., None], argument: object) -> bool:
        if self._queue.qsize() >= self._most_waiting:
            return False
        self._queue.put((work, argument))
        return True

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            if item is None:
                return
            work, argument = item
            try:
                work(argument)
            except BaseException:  # a handler's fault, even sys.exit(), must not cost a thread
                log.exception("A handler failed outside of the application.")
            del item, work, argument
