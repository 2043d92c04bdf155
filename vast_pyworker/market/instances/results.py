"""What logs and commands gave, to be fetched by a URL that nobody else can guess.

As with the real service the URL is not there at once: the first fetches find nothing.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_MOST_KEPT = 256
_MOST_KEPT_CHARACTERS = 64 * 1024 * 1024


@dataclass
class _Result:
    text: str
    misses_left: int


class Results:
    """The last few results by name. ``misses`` fetches of each find nothing before it is there."""

    def __init__(self, new_name: Callable[[], str], *, misses: int = 1) -> None:
        self._new_name = new_name
        self._misses = misses
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Result] = OrderedDict()
        self._characters = 0

    def put(self, text: str) -> str:
        """Keep ``text`` and return its name."""
        name = self._new_name()
        with self._lock:
            self._kept[name] = _Result(text, self._misses)
            self._characters += len(text)
            while len(self._kept) > 1 and self._over():
                _, dropped = self._kept.popitem(last=False)
                self._characters -= len(dropped.text)
        return name

    def fetch(self, name: str) -> str | None:
        """The text; None where it is not there yet, or no longer, or never was."""
        with self._lock:
            kept = self._kept.get(name)
            if kept is None:
                return None
            if kept.misses_left > 0:
                kept.misses_left -= 1
                return None
            return kept.text

    def _over(self) -> bool:
        return len(self._kept) > _MOST_KEPT or self._characters > _MOST_KEPT_CHARACTERS
