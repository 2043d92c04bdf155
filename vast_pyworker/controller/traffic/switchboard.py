"""The side of the controller that workers and clients speak with, as one thing.

Handlers (``native``) call it on the loop's thread, where all of its tables are changed, without
locks. What other threads may call is said at each method. They read single values, values that are
replaced whole and never changed, and copies of dicts: CPython copies a dict of int keys in one
step, under the interpreter's lock or, where there is none, under the dict's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from vast_pyworker.controller.policy.observation import Load

from .demand import load_of
from .grants import Grants
from .hearing import Hearing
from .places import Place
from .pool import Pool
from .requests import Requests, first_number
from .routing import Ask, Router
from .rows import queue_rows, worker_row
from .strangers import Stranger
from .worker import Worker
from .workers import Workers

MAX_QUEUE_S = 30.0
AWAITED_S = 30.0
"""How long after a start we wait for every worker's word before we say that we know the load."""

LEASE_S = 90.0
"""What a worker holds that has been silent for longer is not known."""


def usual_queue(endpoint: str) -> float | None:
    """How long a queue at a worker may be where nobody says otherwise: Vast's default."""
    return MAX_QUEUE_S


class Switchboard:
    """Implements ``Ears``.

    ``key`` signs grants. ``may_route(key, endpoint)`` says whether a client's key may route to an
    endpoint; it is asked on the loop for every call and must not wait. ``max_queue_s(endpoint)`` is
    the longest expected wait at a worker to which clients are still sent, None without bound.
    ``now`` is Unix seconds, ``mono`` a clock that never goes back.
    """

    def __init__(
        self,
        key: RSAPrivateKey,
        may_route: Callable[[str, str], bool],
        *,
        now: Callable[[], float],
        mono: Callable[[], float],
        max_queue_s: Callable[[str], float | None] = usual_queue,
    ) -> None:
        self.may_route = may_route
        self.mono = mono
        self._max_queue_s = max_queue_s
        self._pools: dict[str, Pool] = {}
        self._grants = Grants(key)
        self._requests = Requests(first_number(now()))
        self._workers = Workers(self._pool, now=now, mono=mono)
        self._router = Router(
            self._pools, self._workers.by_id, self._requests, self._grants, max_queue_s
        )

    # --- for the loop's thread ---

    @property
    def public_pem(self) -> bytes:
        """The public key, as ``/pubkey/`` answers it."""
        return self._grants.public_pem

    def take_report(self, body: bytes) -> None:
        """One body of ``/worker_status/``; Refused (401, 422) where it is not taken."""
        self._workers.take_report(body)

    def take_ends(self, body: bytes) -> None:
        """One body of ``/delete_requests/``; Refused (401, 422) where it is not taken."""
        told = self._workers.take_ends(body)
        if told is not None:
            worker, idxs = told
            mono = self.mono()
            for idx in idxs:
                self._router.ended(worker, idx, mono)

    def route(self, endpoint: str, ask: Ask) -> dict[str, Any]:
        """A grant, or how things stand; the client's key has been looked at."""
        self._workers.apply()
        return self._router.route(self._pool(endpoint), ask, self.mono())

    def new_number(self) -> int:
        """A number for a request that is not kept."""
        return self._requests.next_number()

    def _pool(self, endpoint: str) -> Pool:
        pool = self._pools.get(endpoint)
        if pool is None:
            pool = self._pools[endpoint] = Pool(endpoint, self._max_queue_s(endpoint))
        return pool

    # --- for any thread ---

    def publish(self, places: Mapping[int, Place]) -> None:
        """Which workers there are from now on. For one thread at a time."""
        self._workers.publish(places)

    def hearings(self, mono: float) -> Mapping[int, Hearing]:
        """The latest word of each published worker that has reported, by instance id."""
        found = {}
        for worker_id, worker in self._workers.by_id.copy().items():
            heard = worker.heard
            if heard is not None:
                found[worker_id] = Hearing(
                    report=heard.report,
                    received_at=heard.received_at,
                    silent_s=max(mono - heard.received_mono, 0.0),
                    ready=heard.ready,
                    error=heard.error,
                    perf=heard.perf,
                    load=heard.load,
                    in_flight=heard.in_flight,
                    granted_s=worker.since_grant(mono),
                )
        return found

    def load(self, endpoint: str, mono: float) -> Load:
        """What clients ask of an endpoint; all of it unknown before anything was published."""
        published = self._workers.published
        if published is None:
            return Load()
        pool = self._pools.get(endpoint)
        waiting = pool.waiting.copy().values() if pool else ()
        held = self._held(endpoint, mono) if self._is_known(endpoint, mono) else None
        return load_of(pool.arrivals if pool else None, waiting, held, mono, published.first_at)

    def endpoint_workers(self, endpoint: str) -> list[dict[str, Any]]:
        """The rows of ``/get_endpoint_workers/``."""
        return [worker_row(worker) for worker in self._of(endpoint)]

    def strangers(self) -> tuple[Stranger, ...]:
        """Who reports and is not believed, the one heard last at the end."""
        return self._workers.strangers.all()

    def queue(self, endpoint: str) -> list[dict[str, Any]]:
        """Who waits for a worker of the endpoint, the first in front."""
        pool = self._pools.get(endpoint)
        return queue_rows(pool.waiting.copy().values() if pool else (), self.mono())

    def lost_reports(self, worker_id: int) -> int | None:
        """How many numbered reports of a worker never came; None where it is not known."""
        worker = self._workers.by_id.get(worker_id)
        return worker.heard.lost if worker and worker.heard else None

    def _of(self, endpoint: str) -> list[Worker]:
        published = self._workers.published
        ids = published.by_endpoint.get(endpoint, ()) if published else ()
        found = map(self._workers.by_id.get, ids)
        return [worker for worker in found if worker is not None]

    def _held(self, endpoint: str, mono: float) -> float:
        total, oldest = 0.0, mono - LEASE_S
        for worker in self._of(endpoint):
            word = worker.heard
            if word is not None and word.received_mono >= oldest:
                total += worker.load + worker.unseen_work
        return total

    def _is_known(self, endpoint: str, mono: float) -> bool:
        """Whether every worker that stood at the start has spoken, or had the time to."""
        published = self._workers.published
        if published is None or mono - published.first_at >= AWAITED_S:
            return published is not None
        workers = self._workers.by_id
        return all(
            (worker := workers.get(worker_id)) is not None and worker.heard is not None
            for worker_id in published.awaited.get(endpoint, ())
            if worker_id in published.places
        )
