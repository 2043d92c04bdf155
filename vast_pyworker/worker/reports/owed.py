"""The ends of requests that the autoscaler has not been told of: first in, first out, bounded.

What is here: a queue that gives an item up only when its delivery was acknowledged, or when it is
full and the item is the oldest. What is not: a lock (the accounting holds one), sending.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Owed(Generic[Item]):
    """For many producers and one consumer, who alternates ``peek`` and ``settle``.

    ``dropped`` counts the items that were given up undelivered.
    """

    def __init__(self, limit: int) -> None:
        self.dropped = 0
        self._limit = limit
        self._items: deque[Item] = deque(maxlen=limit)  # which lets go of the oldest by itself
        self._dropped_at_peek = 0

    def __len__(self) -> int:
        return len(self._items)

    def add(self, items: Sequence[Item]) -> None:
        self.dropped += max(len(self._items) + len(items) - self._limit, 0)
        self._items.extend(items)

    def peek(self, count: int) -> list[Item]:
        """The oldest items, at most ``count``; they stay."""
        self._dropped_at_peek = self.dropped
        return [item for item, _ in zip(self._items, range(count), strict=False)]

    def settle(self, count: int) -> None:
        """The first ``count`` items of the latest ``peek`` were delivered; they go."""
        gone_already = self.dropped - self._dropped_at_peek
        for _ in range(count - gone_already):
            self._items.popleft()
        self._dropped_at_peek = self.dropped
