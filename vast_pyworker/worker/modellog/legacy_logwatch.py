"""Feeds log lines to a ``LogWatch`` of 2024, in a thread of its own, whatever it does with them.

Such a class measures the model while it handles a line, posts with retries, and may raise: none
of that may hold up or end the worker's own watch. What is not here: where the lines come from.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

log = logging.getLogger(__name__)

MOST_WAITING_LINES = 20_000


class LineHandler:
    """The calls that the log watch process of 2024 made for each line. For one thread."""

    def __init__(self, watch: Any) -> None:
        self._watch = watch
        self._has_failed = False
        self._asks_loading = callable(getattr(watch, "check_loading", None))

    def handle(self, line: str) -> None:
        """Give ``line`` to the watch. What it raises is logged the first time, and no more."""
        try:
            if self._starts_loading(line):
                return
            self._watch.handle_line(line)
        except Exception as exc:  # foreign code, line after line: the next one may do better
            self._complain(exc)

    def _starts_loading(self, line: str) -> bool:
        if not self._asks_loading or getattr(self._watch, "loading", False):
            return False
        try:
            return bool(self._watch.check_loading(line))
        except Exception as exc:  # some had no loading_line, and never could say
            self._asks_loading = False
            self._complain(exc)
            return False

    def _complain(self, exc: Exception) -> None:
        if not self._has_failed:
            log.warning("LogWatch of the backend failed: %r. It is given further lines.", exc)
        self._has_failed = True


class LegacyLogWatch:
    """A ``LogWatch`` of 2024 with a queue before it.

    ``dropped`` counts the lines it was too slow for.
    """

    def __init__(self, watch: Any, most_waiting_lines: int = MOST_WAITING_LINES) -> None:
        self.dropped = 0
        self._ending = False
        self._handler = LineHandler(watch)
        self._lines: queue.Queue[str] = queue.Queue(most_waiting_lines)
        self._thread = threading.Thread(target=self._run, name="legacy-logwatch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def feed(self, lines: Sequence[str]) -> None:
        """Hand lines over; never blocks."""
        for number, line in enumerate(lines):
            try:
                self._lines.put_nowait(line)
            except queue.Full:
                self.dropped += len(lines) - number
                return

    def stop(self, deadline_s: float = 1.0) -> None:
        """End after the line that is being handled; a watch that hangs is left to its thread."""
        self._ending = True
        with suppress(queue.Full):  # then the thread is awake already
            self._lines.put_nowait("")
        if self._thread.is_alive():
            self._thread.join(deadline_s)

    def _run(self) -> None:
        while not self._ending:
            line = self._lines.get()
            if line:
                self._handler.handle(line)
