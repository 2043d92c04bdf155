"""The published workers, and what they report: who is believed, and what follows from it.

Handlers and ``apply`` are for the loop's thread. ``publish`` is for one other thread at a time: it
finds out there what has changed, so that the loop has little to do. Nothing is written anywhere.
"""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from vast_pyworker import wire
from vast_pyworker.errors import Invalid, Unauthorized
from vast_pyworker.model import Report

from .bodies import read_object
from .heard import hear
from .places import Place
from .pool import Pool
from .requests import first_number
from .strangers import Strangers
from .worker import Worker


class Changes(NamedTuple):
    """What differs from the publication before."""

    changed: Mapping[int, Place]
    gone: frozenset[int]


class Publication(NamedTuple):
    """What is published: never changed, replaced whole. ``first_at`` is when there was the first,
    ``awaited`` the accepting workers of that one, by endpoint."""

    places: Mapping[int, Place]
    by_endpoint: Mapping[str, tuple[int, ...]]
    first_at: float
    awaited: Mapping[str, tuple[int, ...]]


class Workers:
    """The table of workers. ``pool_of`` gives the pool of an endpoint, made if there is none."""

    def __init__(
        self,
        pool_of: Callable[[str], Pool],
        *,
        now: Callable[[], float],
        mono: Callable[[], float],
    ) -> None:
        self.by_id: dict[int, Worker] = {}
        self.strangers = Strangers()
        self.published: Publication | None = None
        self._pool_of = pool_of
        self._now = now
        self._mono = mono
        self._changes: deque[Changes] = deque()

    # --- what is published ---

    def publish(self, places: Mapping[int, Place]) -> None:
        before = self.published
        if before is not None and before.places == places:  # quick where they are the same objects
            return
        known = before.places if before else {}
        changed = {
            id: place
            for id, place in places.items()
            if (old := known.get(id)) is not place and old != place
        }
        gone = frozenset(known.keys() - places.keys())
        grouped = _by_endpoint(places)
        awaited = before.awaited if before else _by_endpoint(_accepting(places))
        first_at = before.first_at if before else self._mono()
        self.published = Publication(dict(places), grouped, first_at, awaited)
        self._changes.append(Changes(changed, gone))  # a deque is safe between two threads

    def apply(self) -> None:
        """Bring the table in line with what was published since."""
        while self._changes:
            changes = self._changes.popleft()
            for worker_id in changes.gone:
                self._remove(worker_id)
            for worker_id, place in changes.changed.items():
                self._place(worker_id, place)

    def _place(self, worker_id: int, place: Place) -> None:
        worker = self.by_id.get(worker_id)
        if worker is None or not _is_same(worker.place, place):
            worker = self._new(worker_id, place)
        worker.place = place
        self._pool_of(place.endpoint).update(worker)

    def _new(self, worker_id: int, place: Place) -> Worker:
        """A worker of its own; what was heard is kept where it only serves elsewhere now."""
        before = self._remove(worker_id)
        worker = self.by_id[worker_id] = Worker(worker_id, place, first_number(self._now()))
        if before is not None and before.heard is not None and before.token == worker.token:
            worker.hear(before.heard, self._mono())
            worker.granted_at = before.granted_at
        self.strangers.forget(worker_id)
        return worker

    def _remove(self, worker_id: int) -> Worker | None:
        worker = self.by_id.pop(worker_id, None)
        if worker is not None:
            self._pool_of(worker.place.endpoint).remove(worker)
        return worker

    # --- what they say ---

    def take_report(self, body: bytes) -> None:
        """Take one report; Invalid (422) or Unauthorized (401) where it is not taken.

        One from an id we do not know is kept as a stranger's, and is no error.
        """
        self.apply()
        data = _read(body)
        token = data.pop("mtoken", None)
        report = _decoded(data)
        worker = self.by_id.get(report.worker_id)
        now = self._now()
        if worker is None:
            self.strangers.note(report, "unknown id", now)
            return
        if not _is_token(token, worker):
            self.strangers.note(report, "wrong token", now)
            raise _wrong_token(report.worker_id)
        mono = self._mono()
        heard = hear(worker.heard, report, wire.stated(data), now, mono)
        if heard is None:
            return
        pool = self._pool_of(worker.place.endpoint)
        uninvited = worker.hear(heard, mono)
        if uninvited > 0:
            pool.arrivals.add(uninvited, mono)
        pool.update(worker)

    def take_ends(self, body: bytes) -> tuple[Worker, list[int]] | None:
        """The worker that speaks and the numbers of what has ended there; None: a stranger."""
        self.apply()
        data = _read(body)
        try:
            told = wire.decode_ends(data)
        except OverflowError:
            raise Invalid("A number is too large; send times as Unix seconds.") from None
        worker = self.by_id.get(told.worker_id)
        if worker is None:
            return None
        if not _is_token(told.mtoken, worker):
            raise _wrong_token(told.worker_id)
        return worker, [end.request_idx for end in told.ends]


def _is_same(one: Place, other: Place) -> bool:
    return (one.intent_id, one.endpoint, one.mtoken) == (
        other.intent_id, other.endpoint, other.mtoken,
    )  # fmt: skip


def _by_endpoint(places: Mapping[int, Place]) -> dict[str, tuple[int, ...]]:
    found: dict[str, list[int]] = {}
    for worker_id, place in places.items():
        found.setdefault(place.endpoint, []).append(worker_id)
    return {endpoint: tuple(ids) for endpoint, ids in found.items()}


def _accepting(places: Mapping[int, Place]) -> dict[int, Place]:
    return {worker_id: place for worker_id, place in places.items() if place.accepts}


def _read(body: bytes) -> dict[str, Any]:
    try:
        return read_object(body)
    except ValueError as exc:
        raise Invalid(str(exc)) from exc


def _decoded(data: Mapping[str, Any]) -> Report:
    try:
        return wire.decode_report(data)
    except OverflowError:
        raise Invalid("A number of the report is too large to be one.") from None


def _is_token(token: object, worker: Worker) -> bool:
    """In constant time. Without a token to compare with nobody is believed."""
    if not worker.token or not isinstance(token, str):
        return False
    return hmac.compare_digest(token.encode(), worker.token)


def _wrong_token(worker_id: int) -> Unauthorized:
    return Unauthorized(
        f"The mtoken is not that of instance {worker_id}: send the MASTER_TOKEN that it got."
    )
