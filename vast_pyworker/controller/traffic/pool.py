"""The workers of one endpoint in the order of their expected wait, and who waits for one of them.

The order is a heap with an entry for each change of a worker; those that a later change has
overtaken are dropped when they come to the top. So a report, a grant and a choice cost the
logarithm of the number of workers. For the loop's thread.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter

from vast_pyworker.model import State

from .demand import Arrivals
from .requests import Request
from .worker import Worker

POLLED_S = 7.0
"""A client polls each five seconds at most; one silent for longer does not hold others up."""

_Entry = tuple[float, float, int, Worker]

_WORDS = {
    State.STARTING: "starting",
    State.DOWNLOADING: "loading",
    State.LOADING: "model_loading",
    State.BENCHMARKING: "model_loading",
    State.READY: "idle",
    State.BUSY: "idle",
    State.DEGRADED: "error",
    State.DRAINING: "stopping",
    State.STOPPED: "stopped",
    State.ERROR: "error",
}


def word_for(worker: Worker) -> str:
    """The state of a worker in the words of Vast's autoscaler."""
    if worker.heard is None:
        return "created"
    word = _WORDS[worker.heard.state]
    return "stopping" if word == "idle" and not worker.place.accepts else word


class Pool:
    """``max_queue_s`` is how long a queue at a worker may be; None is without bound."""

    def __init__(self, endpoint: str, max_queue_s: float | None) -> None:
        self.endpoint = endpoint
        self.max_queue_s = float("inf") if max_queue_s is None else max_queue_s
        self.arrivals = Arrivals()
        self.waiting: dict[int, Request] = {}
        self.waiting_work = 0.0
        self._workers: dict[int, Worker] = {}
        self._heap: list[_Entry] = []
        self._turns = itertools.count(1)
        self._open = 0
        self._room = 0.0
        self._states: Counter[str] = Counter()

    # --- workers ---

    def update(self, worker: Worker) -> None:
        """A worker is new here, or what it holds or whether it accepts has changed."""
        self._workers[worker.id] = worker
        self._show(worker, word_for(worker))
        self._close(worker)
        worker.turn = next(self._turns)
        if not worker.accepts:
            return
        perf, held = worker.perf, worker.held
        worker.wait_s = wait_s = held / perf
        if wait_s <= self.max_queue_s:
            worker.is_open = True
            worker.room = self.max_queue_s * perf - held
            self._open += 1
            self._room += worker.room
        heapq.heappush(self._heap, (wait_s, -perf, worker.turn, worker))
        if len(self._heap) > 4 * len(self._workers) + 64:
            self._heap = [each for each in self._heap if each[2] == each[3].turn]
            heapq.heapify(self._heap)

    def bound(self, max_queue_s: float | None) -> None:
        """How long a queue at a worker may be from now on."""
        bound = float("inf") if max_queue_s is None else max_queue_s
        if bound != self.max_queue_s:
            self.max_queue_s = bound
            for worker in self._workers.values():
                self.update(worker)

    def remove(self, worker: Worker) -> None:
        if self._workers.pop(worker.id, None) is not None:
            self._show(worker, "")
            self._close(worker)
            worker.turn = 0

    def _close(self, worker: Worker) -> None:
        if worker.is_open:
            worker.is_open = False
            self._open -= 1
            self._room = self._room - worker.room if self._open else 0.0
            worker.room = 0.0

    def _show(self, worker: Worker, word: str) -> None:
        if word != worker.state_shown:
            self._states[worker.state_shown] -= 1
            self._states[word] += 1
            worker.state_shown = word

    def choose(self, avoided: frozenset[int]) -> Worker | None:
        """The worker with the least expected wait; None where all are full or none accepts.

        One of ``avoided`` only where there is no other. Among equals the one that can do most,
        then the one that was changed longest ago.
        """
        heap, passed_over = self._heap, []
        found = None
        while heap and found is None:
            wait_s, _, turn, worker = heap[0]
            if turn != worker.turn:
                heapq.heappop(heap)
            elif wait_s > self.max_queue_s:
                break
            elif worker.id in avoided:
                passed_over.append(heapq.heappop(heap))
            else:
                found = worker
        for entry in passed_over:
            heapq.heappush(heap, entry)
        return found or (passed_over[0][3] if passed_over else None)

    @property
    def entries(self) -> int:
        """How many entries the order has, those overtaken included."""
        return len(self._heap)

    @property
    def status(self) -> str:
        """How many workers are in each state, for people to read."""
        counts = {"idle": 0, **{word: n for word, n in self._states.items() if word and n > 0}}
        return ", ".join(f"{word.upper()}: {count}" for word, count in counts.items())

    # --- who waits ---

    def wait(self, request: Request) -> None:
        """Put a request at the end of the queue, unless it is in it."""
        if request.idx not in self.waiting:
            self.waiting[request.idx] = request
            self.waiting_work += request.cost

    def leave(self, request: Request) -> None:
        """The request waits no longer."""
        if self.waiting.pop(request.idx, None) is not None:
            self.waiting_work = self.waiting_work - request.cost if self.waiting else 0.0

    def may_go(self, request: Request, mono: float) -> bool:
        """Whether there is room for the request after all that wait before it and still poll."""
        if not self.waiting or self.waiting_work <= self._room:
            return True
        work, count = 0.0, 0
        for other in self.waiting.values():
            if other is request:
                return True
            if mono - other.asked_at <= POLLED_S:
                work += other.cost
                count += 1
                if count >= self._open and work > self._room:
                    return False
        return True
