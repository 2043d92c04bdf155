"""What clients have asked for: each request by its number, for as long as it may come again.

A client polls and repeats a request under the number that it was given. Numbers are unique over
restarts of the controller, as long as it gives out fewer than a million a second.
"""

from __future__ import annotations

import itertools
from collections import deque

import msgspec

LIMIT = 200_000
REPLAY_S = 60.0
LONGEST_REPLAY_S = 300.0
ENDED_KEPT_S = 10.0
COST = 100.0
LARGEST_COST = 1e9
_NUMBERS_A_SECOND = 2**20


class Request(msgspec.Struct, gc=False, eq=False):
    """One request of one client; moments are monotonic seconds, 0.0 for never.

    ``owner`` tells key and endpoint apart. ``worker_id`` is where it was sent, 0 for nowhere;
    ``not_before`` is when it may be sent again.
    """

    idx: int
    endpoint: str
    owner: int
    cost: float
    replay_s: float
    since: float
    asked_at: float
    worker_id: int = 0
    granted_at: float = 0.0
    ended_at: float = 0.0
    not_before: float = 0.0


def first_number(now: float) -> int:
    """Where numbers begin for a controller that starts at ``now``; above all given out before."""
    return max(int(now), 1) * _NUMBERS_A_SECOND


def cost_of(value: object) -> float:
    """A cost that can be reckoned with; ``COST`` where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return COST
    return float(value) if 0 < value <= LARGEST_COST else COST


def replay_of(value: object) -> float:
    """How long a request is kept that nobody asks for."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        return REPLAY_S
    return float(min(value, LONGEST_REPLAY_S))


class Requests:
    """All that are known, the one longest not asked for first. For the loop's thread."""

    def __init__(self, first: int, limit: int = LIMIT) -> None:
        self._by_idx: dict[int, Request] = {}
        self._numbers = itertools.count(first)
        self._ended: deque[tuple[float, int]] = deque()
        self._limit = limit

    def __len__(self) -> int:
        return len(self._by_idx)

    def get(self, idx: int) -> Request | None:
        return self._by_idx.get(idx)

    def next_number(self) -> int:
        return next(self._numbers)

    def asked(self, idx: object, owner: int, mono: float) -> Request | None:
        """The request under the number, if it is this owner's; it has been asked for now."""
        if type(idx) is not int:
            return None
        request = self._by_idx.get(idx)
        if request is None or request.owner != owner:
            return None
        del self._by_idx[idx]
        self._by_idx[idx] = request
        request.asked_at = mono
        return request

    def new(
        self, endpoint: str, owner: int, cost: float, replay_s: float, mono: float
    ) -> tuple[Request, Request | None]:
        """A new request, and the one that had to be forgotten for it, if one had to be."""
        idx = next(self._numbers)
        request = Request(idx, endpoint, owner, cost, replay_s, mono, mono)
        self._by_idx[idx] = request
        if len(self._by_idx) <= self._limit:
            return request, None
        return request, self._by_idx.pop(next(iter(self._by_idx)))

    def ended(self, request: Request, mono: float) -> None:
        """Its worker has finished it: it need not be kept for long."""
        request.ended_at = mono
        self._ended.append((mono, request.idx))

    def sweep(self, mono: float) -> list[Request]:
        """Forget, and return, what nobody has asked for too long."""
        self._sweep_ended(mono)
        gone = []
        for idx, request in self._by_idx.items():
            if mono - request.asked_at <= request.replay_s:
                break
            gone.append(idx)
        return [self._by_idx.pop(idx) for idx in gone]

    def _sweep_ended(self, mono: float) -> None:
        while self._ended and mono - self._ended[0][0] > ENDED_KEPT_S:
            at, idx = self._ended.popleft()
            request = self._by_idx.get(idx)
            if request is not None and request.ended_at == at:
                del self._by_idx[idx]
