"""How much work clients bring to an endpoint, counted in buckets, and the load as policies see it.

Work that came to workers without us counts too: what a worker says that it received, less what was
sent to it. Written on the loop's thread, read by any: a reader may see the bucket that is being
begun a moment early or late, which no rate over a minute shows.
"""

from __future__ import annotations

from collections.abc import Iterable

from vast_pyworker.controller.policy.observation import Load

from .requests import Request

BUCKET_S = 5.0
LONGEST_WINDOW_S = 600.0
_COUNT = int(LONGEST_WINDOW_S / BUCKET_S) + 2


class Arrivals:
    """Work that came in over the last ten minutes; ``last_at`` is when any did, None: never."""

    __slots__ = ("_slots", "_work", "last_at")

    def __init__(self) -> None:
        self._slots = [-1] * _COUNT
        self._work = [0.0] * _COUNT
        self.last_at: float | None = None

    def add(self, work: float, mono: float) -> None:
        slot = int(mono // BUCKET_S)
        i = slot % _COUNT
        if self._slots[i] != slot:
            self._work[i] = 0.0  # first: who reads in between must not take the old for new
            self._slots[i] = slot
        self._work[i] += work
        self.last_at = mono

    def rate(self, window_s: float, mono: float, listening_s: float) -> float:
        """Mean units of work a second over the window, or over the time we listen if shorter."""
        now = mono / BUCKET_S
        oldest = int(now - window_s / BUCKET_S)
        part = 1.0 - (now - window_s / BUCKET_S - oldest)  # of the oldest bucket, in the window
        total = 0.0
        for slot, work in zip(self._slots, self._work, strict=True):
            if slot > oldest:
                total += work
            elif slot == oldest:
                total += work * part
        return total / min(window_s, max(listening_s, BUCKET_S))


def load_of(
    arrivals: Arrivals | None,
    waiting: Iterable[Request],
    held: float | None,
    mono: float,
    since: float,
) -> Load:
    """The load of one endpoint; ``held`` None: its workers are not known yet, and so nothing is
    but who waits here. ``since`` is when we began to listen."""
    alive = [each for each in waiting if mono - each.asked_at <= each.replay_s]
    queued = sum(each.cost for each in alive)
    wait_s = max((mono - each.since for each in alive), default=0.0)
    if held is None:
        return Load(queued=queued, queue_wait_s=wait_s)
    listening_s = mono - since
    last_at = arrivals.last_at if arrivals else None
    active = held > 0 or bool(alive)
    return Load(
        arrivals_60s=arrivals.rate(60.0, mono, listening_s) if arrivals else 0.0,
        arrivals_600s=arrivals.rate(600.0, mono, listening_s) if arrivals else 0.0,
        in_flight=held,
        queued=queued,
        queue_wait_s=wait_s,
        idle_s=0.0 if active else mono - (since if last_at is None else last_at),
    )
