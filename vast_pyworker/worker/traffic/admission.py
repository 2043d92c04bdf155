"""How many requests run at once, how many wait, and for how long: one gate per route or backend.

A gate knows places and a queue; it neither sends requests nor accounts for them. Whoever enters is
let in at once, told to wait, or turned down with the wait it would have had. Under the engine all
calls are on the loop; where requests have threads of their own, ``lock`` is held for each call.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from vast_pyworker.errors import Full

# Weight of the newest service time in the running mean: about the last ten requests count.
_NEWEST = 0.2


class Waiter(Protocol):
    """Who waits at a gate. ``granted`` is called by whoever leaves a place free."""

    def granted(self) -> None: ...


class Gate:
    """``concurrency`` places, and a queue before them of at most ``max_queue``.

    ``max_queue_time_s`` is the longest estimated wait for which one is let into the queue, 0 for
    any. ``on_saturated`` is told when the last place is taken and when one is free again.
    ``lock`` is for those who call from several threads; the gate takes it for nobody, and
    ``running`` and ``queued`` may be read without it.
    """

    def __init__(
        self,
        concurrency: int,
        max_queue: int,
        max_queue_time_s: float = 0.0,
        *,
        on_saturated: Callable[[bool], None] | None = None,
    ) -> None:
        self.concurrency = max(concurrency, 1)
        self.max_queue = max_queue
        self.max_queue_time_s = max_queue_time_s
        self.running = 0
        self.service_s: float | None = None
        self._waiting: OrderedDict[Waiter, None] = OrderedDict()
        self._on_saturated = on_saturated
        self.lock = threading.Lock()

    @property
    def queued(self) -> int:
        return len(self._waiting)

    def estimated_wait_s(self) -> float | None:
        """Seconds until a request that comes now would start; None while no time is known.

        Of the places one becomes free every ``service_s / concurrency`` on average; those that
        run beside each other are not counted as if they ran in turn.
        """
        if self.running < self.concurrency and not self._waiting:
            return 0.0
        if self.service_s is None:
            return None
        return (len(self._waiting) + 1) * self.service_s / self.concurrency

    def enter(self, waiter: Waiter) -> bool:
        """True: go on, a place is taken. False: queued, ``granted`` will be called.

        Raises Full where the queue is full or the wait too long.
        """
        running = self.running + 1
        if running > self.concurrency or self._waiting:
            self._check_queue()
            self._waiting[waiter] = None
            return False
        self.running = running
        if running == self.concurrency:
            self._tell_saturated(True)
        return True

    def leave(self, service_s: float | None = None) -> None:
        """Give a place back; ``service_s`` is how long it was held, None if that tells nothing."""
        if service_s is not None and service_s >= 0.0:  # a clock may have been set back
            known = self.service_s
            self.service_s = service_s if known is None else known + _NEWEST * (service_s - known)
        if self._waiting:
            waiter, _ = self._waiting.popitem(last=False)
            waiter.granted()
            return
        running = self.running
        self.running = running - 1
        if running == self.concurrency:
            self._tell_saturated(False)

    def give_up(self, waiter: Waiter) -> bool:
        """Leave the queue; False where the waiter was not in it (any more)."""
        if waiter not in self._waiting:
            return False
        del self._waiting[waiter]
        return True

    def full(self, message: str) -> Full:
        """The refusal that tells a client how things stand here."""
        wait = self.estimated_wait_s()
        body = {"error": message, "queue_depth": self.queued, "estimated_wait_s": wait}
        retry_s = math.ceil(min(max(wait or 1.0, 1.0), 60.0))
        return Full(message, body=body, retry_after_s=retry_s)

    def _tell_saturated(self, saturated: bool) -> None:
        if self._on_saturated is not None:
            self._on_saturated(saturated)

    def _check_queue(self) -> None:
        if len(self._waiting) >= self.max_queue:
            raise self.full("This worker's queue is full; try another worker, or later.")
        wait = self.estimated_wait_s()
        if self.max_queue_time_s and wait is not None and wait > self.max_queue_time_s:
            raise self.full("This worker's queue is too long; try another worker, or later.")
