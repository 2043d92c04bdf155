"""Tells listeners of transitions: all of them, in one order, and never under a lock of the teller.

What is not here: which transitions there are (``readiness``).
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vast_pyworker.model import State

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Transition:
    """The worker went from ``previous`` to ``state`` because of ``reason``.

    ``at`` is Unix seconds. ``previous`` equals ``state`` where a report would differ all the
    same: another error, a new capacity.
    """

    previous: State
    state: State
    reason: str
    at: float

    def document(self) -> dict[str, Any]:
        return {"state": str(self.state), "reason": self.reason, "at": self.at}


Listener = Callable[[Transition], None]


class Announcer:
    """Keeps what has not been told yet. ``add`` under a lock of your own, ``tell`` outside it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()
        self._untold: deque[Transition] = deque()
        self._telling = False

    def subscribe(self, listener: Listener) -> None:
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def add(self, transition: Transition) -> None:
        self._untold.append(transition)

    def tell(self) -> None:
        """Hand out what is untold.

        One thread at a time does, so that every listener hears the same order; another that
        comes meanwhile, or a listener that causes a transition, leaves its news to that one.
        """
        while True:
            with self._lock:
                if self._telling or not self._untold:
                    return
                self._telling = True
                transition, listeners = self._untold.popleft(), self._listeners
            try:
                for listener in listeners:
                    _call(listener, transition)
            finally:
                self._telling = False


def _call(listener: Listener, transition: Transition) -> None:
    try:
        listener(transition)
    except Exception:  # a listener's fault must not keep the others from hearing
        log.exception("A listener failed on the transition to %s.", transition.state)
