"""The list of the fake's instances as it was some time ago, and false forms of it."""

from __future__ import annotations

from collections.abc import Collection

from vast_pyworker.model import Instance

from .faults import Struck
from .world import World


class Listing:
    """Kept by the world's changes, so that an unchanged list of any length costs nothing."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rows: dict[int, Instance] = {}

    def rows(self, lag_s: float) -> Collection[Instance]:
        """What there was ``lag_s`` ago. What was listed once is not forgotten by a longer lag."""
        changes, until = self._world.changes, self._world.at - lag_s
        while changes and (lag_s <= 0 or changes[0][0] <= until):
            _, instance_id, row = changes.popleft()
            if row is None:
                self._rows.pop(instance_id, None)
            else:
                self._rows[instance_id] = row
        return self._rows.values()


def falsified(rows: list[Instance], how: Struck) -> list[Instance]:
    """The rows as a list would give them that goes wrong in this way."""
    if how == "duplicates":
        return [row for row in rows for _ in range(2)]
    if how == "partial":
        return rows[::2]
    return [] if how == "empty" else rows
