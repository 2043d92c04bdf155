"""Which paths were asked for that the market does not have: each is logged once."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict

log = logging.getLogger(__name__)

_MOST_REMEMBERED = 1000
_LONGEST = 200


class UnknownPaths:
    """Counts them by method and path, the latest last; safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: OrderedDict[str, int] = OrderedDict()

    def seen(self, method: str, path: str) -> None:
        name = f"{method} {path}"[:_LONGEST]
        with self._lock:
            first = name not in self._counts
            self._counts[name] = self._counts.get(name, 0) + 1
            self._counts.move_to_end(name)
            if len(self._counts) > _MOST_REMEMBERED:
                self._counts.popitem(last=False)
        if first:
            log.warning("Asked for %r, which this market does not have.", name)

    def latest(self, most: int) -> list[tuple[str, int]]:
        """The last few, latest first, with how often each was asked for."""
        with self._lock:
            return list(self._counts.items())[: -most - 1 : -1]
