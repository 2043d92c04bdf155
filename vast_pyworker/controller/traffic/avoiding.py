"""Which workers a client could not reach a moment ago; others are preferred for it. Bounded."""

from __future__ import annotations

AVOIDED_S = 30.0
LIMIT = 10_000


class Avoided:
    """For the loop's thread. ``client`` is whatever tells clients apart."""

    def __init__(self) -> None:
        self._by_client: dict[int, dict[int, float]] = {}

    def note(self, client: int, worker_id: int, mono: float) -> None:
        workers = self._by_client.pop(client, {})
        workers[worker_id] = mono + AVOIDED_S
        self._by_client[client] = workers
        if len(self._by_client) > LIMIT:
            del self._by_client[next(iter(self._by_client))]

    def by(self, client: int, mono: float) -> frozenset[int]:
        """The ids of the workers to be avoided for the client."""
        workers = self._by_client.get(client)
        if workers is None:
            return frozenset()
        for worker_id in [each for each, until in workers.items() if until <= mono]:
            del workers[worker_id]
        if not workers:
            del self._by_client[client]
        return frozenset(workers)
