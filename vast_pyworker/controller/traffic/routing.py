"""Where a client is sent: the worker with the least expected wait, else into the queue.

Every condition that passes is an answer without ``url``, which makes Vast's client poll; it takes
anything but 200 for final. A client that comes back within a second of being sent somewhere could
not reach the worker, and would come back thousands of times a second: it is told to wait once, and
is then sent to another worker if there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .avoiding import Avoided
from .grants import Grants
from .pool import Pool
from .requests import Request, Requests, cost_of, replay_of
from .worker import Worker

HOT_S = 0.95
LONGEST_QUEUE = 10_000
SWEEP_S = 1.0


class Ask(NamedTuple):
    """One call of ``/route/``; numbers as the client sent them. ``owner`` stands for its key with
    the endpoint, ``client`` for that with its address."""

    owner: int
    client: int
    cost: object
    request_idx: object
    replay_timeout: object
    request_id: str


class Router:
    """For the loop's thread."""

    def __init__(
        self,
        pools: Mapping[str, Pool],
        workers: Mapping[int, Worker],
        requests: Requests,
        grants: Grants,
        max_queue_s: Callable[[str], float | None],
    ) -> None:
        self._pools = pools
        self._workers = workers
        self._requests = requests
        self._grants = grants
        self._max_queue_s = max_queue_s
        self._avoided = Avoided()
        self._swept_at = 0.0

    def route(self, pool: Pool, ask: Ask, mono: float) -> dict[str, Any]:
        """The answer's body: a grant, or the state of things under the request's number."""
        if mono - self._swept_at >= SWEEP_S:
            self.sweep(mono)
        request = self._requests.asked(ask.request_idx, ask.owner, mono)
        if request is None:
            request = self._new(pool, ask, mono)
        elif request.worker_id:
            self._came_back(request, ask, mono)
        if mono < request.not_before:
            return self._waiting(pool, request, ask)
        worker = None
        if pool.may_go(request, mono):
            worker = pool.choose(self._avoided.by(ask.client, mono))
        if worker is None:
            if len(pool.waiting) < LONGEST_QUEUE:
                pool.wait(request)
            return self._waiting(pool, request, ask)
        pool.leave(request)
        worker.send(request, mono)
        pool.update(worker)
        return self._grants.write(request, worker, ask.request_id)

    def ended(self, worker: Worker, idx: int, mono: float) -> None:
        """A worker says that a request has ended. Only what was sent to it is believed."""
        request = self._requests.get(idx)
        if request is None or request.worker_id != worker.id or request.ended_at:
            return
        self._requests.ended(request, mono)
        if idx in worker.unseen:
            worker.release(idx)
            self._pools[worker.place.endpoint].update(worker)

    def sweep(self, mono: float) -> None:
        """Forget requests that nobody has asked for too long; see how long queues may be now."""
        self._swept_at = mono
        for pool in self._pools.values():
            pool.bound(self._max_queue_s(pool.endpoint))
        for request in self._requests.sweep(mono):
            self._pools[request.endpoint].leave(request)

    def next_number(self) -> int:
        return self._requests.next_number()

    def _new(self, pool: Pool, ask: Ask, mono: float) -> Request:
        cost, replay_s = cost_of(ask.cost), replay_of(ask.replay_timeout)
        request, forgotten = self._requests.new(pool.endpoint, ask.owner, cost, replay_s, mono)
        if forgotten is not None:
            self._pools[forgotten.endpoint].leave(forgotten)
        pool.arrivals.add(cost, mono)
        return request

    def _came_back(self, request: Request, ask: Ask, mono: float) -> None:
        """It was sent somewhere and is here again: that worker has it no more."""
        worker = self._workers.get(request.worker_id)
        if worker is not None and request.idx in worker.unseen:
            worker.release(request.idx)
            self._pools[worker.place.endpoint].update(worker)
        if mono - request.granted_at < HOT_S:
            self._avoided.note(ask.client, request.worker_id, mono)
            request.not_before = mono + HOT_S
        request.worker_id = 0
        request.ended_at = 0.0

    def _waiting(self, pool: Pool, request: Request, ask: Ask) -> dict[str, Any]:
        return {
            "endpoint": pool.endpoint,
            "status": pool.status,
            "request_idx": request.idx,
            "__request_id": ask.request_id,
        }
