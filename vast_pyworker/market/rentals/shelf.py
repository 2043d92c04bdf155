"""One account's instances in the order of their ids: a page costs no more than a page."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator


class Shelf:
    """Ids come in rising order. What is taken out leaves a gap until there are too many."""

    def __init__(self) -> None:
        self.labels: Counter[str] = Counter()
        self._ids: list[int] = []
        self._here: set[int] = set()

    def __len__(self) -> int:
        return len(self._here)

    def __iter__(self) -> Iterator[int]:
        return self.after(None)

    def __contains__(self, instance_id: object) -> bool:
        return instance_id in self._here

    def put(self, instance_id: int, label: str | None) -> None:
        if self._ids and self._ids[-1] >= instance_id:
            raise ValueError(f"instance {instance_id} comes after {self._ids[-1]}")
        self._ids.append(instance_id)
        self._here.add(instance_id)
        self.labels[label or ""] += 1

    def take(self, instance_id: int, label: str | None) -> None:
        self._here.remove(instance_id)
        self._unlabel(label)
        if len(self._ids) > 2 * len(self._here) + 32:
            self._ids = [each for each in self._ids if each in self._here]

    def relabel(self, before: str | None, after: str | None) -> None:
        self._unlabel(before)
        self.labels[after or ""] += 1

    def after(self, instance_id: int | None) -> Iterator[int]:
        """Ids above this one, rising; all for None."""
        start = 0 if instance_id is None else bisect_right(self._ids, instance_id)
        return (each for each in self._slice(start, len(self._ids), 1) if each in self._here)

    def before(self, instance_id: int | None) -> Iterator[int]:
        """Ids below this one, falling; all for None."""
        end = len(self._ids) if instance_id is None else bisect_left(self._ids, instance_id)
        return (each for each in self._slice(end - 1, -1, -1) if each in self._here)

    def _slice(self, start: int, stop: int, step: int) -> Iterator[int]:
        ids = self._ids
        return (ids[index] for index in range(start, stop, step))

    def _unlabel(self, label: str | None) -> None:
        self.labels[label or ""] -= 1
        if not self.labels[label or ""]:
            del self.labels[label or ""]
