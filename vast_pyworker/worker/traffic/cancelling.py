"""Tells a Backend's ``cancel(request_id)`` of requests that were cancelled on their way.

For model servers that do not notice a closed connection. Who cancels is told in ``passage``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from vast_pyworker.engine import HandlerThreads

log = logging.getLogger(__name__)

MOST_WAITING = 1000
STOP_S = 2.0


class CancelHook:
    """Calls ``hook`` with one request id after the other, in a thread of its own."""

    def __init__(self, hook: Callable[[str], Any], most_waiting: int = MOST_WAITING) -> None:
        self._hook = hook
        self._threads = HandlerThreads(1, most_waiting)

    @classmethod
    def of(cls, backend: object) -> CancelHook | None:
        """None where the backend has no such hook."""
        hook = getattr(backend, "cancel", None)
        return cls(hook) if callable(hook) else None

    def start(self) -> None:
        self._threads.start()

    def stop(self) -> None:
        """Let those that wait be told, for a moment."""
        self._threads.stop(STOP_S)

    def __call__(self, request_id: str) -> None:
        """Never blocks."""
        if not self._threads.submit(self._tell, request_id):
            log.warning("The backend's cancel() is too slow; %s was not told.", request_id)

    def _tell(self, request_id: Any) -> None:
        try:
            self._hook(request_id)
        except Exception as exc:  # foreign code; the request is gone whatever it says
            log.warning("The backend's cancel() failed on %s: %r", request_id, exc)
