"""When the next call of an endpoint may be sent, so that the provider need not refuse it.

The provider enforces a minimum interval per endpoint and account. ``Pacing`` starts from the
documented ones, believes what an answer says about them and shares one clock between all threads.
What it does not: send, retry, or know what a call means.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

DEFAULT_INTERVAL_S = 2.0  # of an endpoint that is not in the table
_LONGEST_S = 600.0  # what an answer may teach at most
_SHORTEST_S = 0.1  # the least that is taken for an announced wait
_GUESS_LONGEST_S = 10.0
_EASE = 0.8  # how much of a guess is kept with each call that follows it


@dataclass
class _Bucket:
    """One token. ``stated_s`` refills it; ``interval_s`` is that or a longer guess."""

    stated_s: float
    interval_s: float
    free_at: float


class Pacing:
    """A bucket of one token for every endpoint, by its key (``PUT /asks/{id}/``).

    ``intervals`` are seconds; ``now`` is a monotonic clock. Safe to share between threads and
    between clients of one account.
    """

    def __init__(
        self,
        intervals: Mapping[str, float] | None = None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        *,
        default_s: float = DEFAULT_INTERVAL_S,
    ) -> None:
        self._intervals = dict(INTERVALS_S if intervals is None else intervals)
        self._default_s = default_s
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}

    @classmethod
    def off(
        cls,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Pacing:
        """Sends at once until an answer says to wait: for a server without limits."""
        return cls({}, now, sleep, default_s=0.0)

    def wait(self, key: str, deadline: float) -> float | None:
        """Take the next turn and sleep until it: the seconds slept.

        None, at once and without a turn, where it would come after ``deadline`` (of ``now``).
        """
        with self._lock:
            now, bucket = self._now(), self._bucket(key)
            turn = max(now, bucket.free_at)
            if turn > deadline:
                return None
            bucket.interval_s = max(bucket.stated_s, bucket.interval_s * _EASE)
            bucket.free_at = turn + bucket.interval_s
        if turn > now:
            self._sleep(turn - now)
        return turn - now

    def learn(self, key: str, threshold_s: float) -> None:
        """The provider has stated this minimum interval; it counts from now on."""
        with self._lock:
            bucket = self._bucket(key)
            bucket.stated_s = bucket.interval_s = min(max(threshold_s, 0.0), _LONGEST_S)
            bucket.free_at = max(bucket.free_at, self._now() + bucket.stated_s)

    def postpone(self, key: str, wait_s: float | None) -> None:
        """Refused, with this wait or without any word: later, and for a while more slowly.

        "Wait for 0 s" is no word: whoever believes it asks as fast as it is refused.
        """
        with self._lock:
            bucket = self._bucket(key)
            said_s = wait_s if wait_s is not None and wait_s >= _SHORTEST_S else None
            guess_s = max(bucket.interval_s * 2, 0.5)
            pause_s = min(guess_s if said_s is None else said_s, _LONGEST_S)
            bucket.interval_s = max(bucket.interval_s, min(pause_s, _GUESS_LONGEST_S))
            bucket.free_at = max(bucket.free_at, self._now() + pause_s)

    def interval_s(self, key: str) -> float:
        """What is left between two calls now."""
        with self._lock:
            return self._bucket(key).interval_s

    def wait_s(self, key: str) -> float:
        """How long the next call would wait."""
        with self._lock:
            return max(0.0, self._bucket(key).free_at - self._now())

    def _bucket(self, key: str) -> _Bucket:
        if key not in self._buckets:
            stated_s = self._intervals.get(key, self._default_s)
            self._buckets[key] = _Bucket(stated_s, stated_s, self._now())
        return self._buckets[key]


# Seconds, as documented for the endpoints used here.
INTERVALS_S: Mapping[str, float] = {
    "POST /bundles/": 2.0,
    "PUT /asks/{id}/": 4.5,
    "POST /asks/bulk/": 4.5,
    "PUT /launch_instance/": 2.0,
    "GET /api/v1/instances/": 1.0,
    "GET /instances/{id}/": 2.0,
    "PUT /instances/{id}/": 1.0,
    "PUT /instances/": 4.0,
    "DELETE /instances/{id}/": 3.0,
    "DELETE /instances/": 3.0,
    "PUT /instances/bid_price/{id}/": 5.5,
    "PUT /instances/command/{id}/": 1.5,
    "PUT /instances/reboot/{id}/": 1.0,
    "PUT /instances/recycle/{id}/": 1.0,
    "PUT /instances/prepay/{id}/": 2.0,
    "PUT /instances/update_template/{id}/": 2.0,
    "GET /instances/balance/{id}/": 3.0,
    "GET /instances/{id}/ssh/": 2.0,
    "POST /instances/{id}/ssh/": 2.0,
    "DELETE /instances/{id}/ssh/{key_id}/": 2.0,
    "GET /instances/pending-price-increases/": 2.0,
    "PUT /instances/accept-price-increase/": 2.0,
    "PUT /instances/reject-price-increase/": 2.0,
    "GET /ssh/": 1.0,
    "POST /ssh/": 1.0,
    "PUT /ssh/{id}/": 1.0,
    "DELETE /ssh/{id}/": 1.0,
    "GET /auth/apikeys/": 1.0,
    "GET /template/": 1.9,
    "POST /template/": 1.9,
    "PUT /api/v1/template/": 1.9,
    "DELETE /template/": 2.0,
    "POST /endptjobs/": 4.0,
    "GET /endptjobs/": 3.0,
    "GET /endptjobs/{id}/": 2.0,
    "PUT /endptjobs/{id}/": 2.0,
    "DELETE /endptjobs/{id}/": 3.0,
    "POST /autojobs/": 4.0,
    "GET /autojobs/": 2.0,
    "PUT /autojobs/{id}/": 2.0,
    "DELETE /autojobs/{id}/": 3.0,
    "GET /users/spend-rate/": 2.0,
    "GET /charges/": 1.0,
    "GET /invoices/": 3.0,
    "GET /api/v1/invoices/": 3.0,
}
