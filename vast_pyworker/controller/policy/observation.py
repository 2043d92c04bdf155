"""What a policy may know of a group at one moment.

Work is in the backend's own units, rates in units a second, times in seconds. ``None`` is unknown,
which is never 0: a policy that meets it holds what there is.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What clients ask of a group.

    ``arrivals_60s`` and ``arrivals_600s`` are mean rates of work coming in; ``in_flight`` is work
    held by workers, ``queued`` work that waits for one; ``queue_wait_s`` how long the longest
    waiter has waited; ``idle_s`` the time since the last request.
    """

    arrivals_60s: float | None = None
    arrivals_600s: float | None = None
    in_flight: float | None = None
    queued: float | None = None
    queue_wait_s: float | None = None
    idle_s: float | None = None


@dataclass(frozen=True)
class Observation:
    """The load, and what there is to meet it.

    ``perf_per_worker`` is the mean of what ready workers (or, without one, any that was measured)
    can do; ``hot`` counts all that run or will: ordered, booting, ready; ``cold`` the stopped.
    """

    now: float
    load: Load
    ready: int
    hot: int
    cold: int
    perf_per_worker: float | None = None
