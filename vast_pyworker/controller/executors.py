"""Where calls to the provider run: at once, or on a few threads.

One piece of work at a time for each key (an intent, a group); a second one is turned away, and the
next tick brings it again if it is still wanted.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

Work = Callable[[], None]

log = logging.getLogger(__name__)


class Executor(Protocol):
    """Runs work, one piece at a time for each key."""

    def run(self, key: str, work: Work) -> bool:
        """False where work with this key is under way: then nothing happens."""

    def busy(self, key: str) -> bool:
        """Whether work with this key is under way."""

    def close(self, wait_s: float) -> None:
        """Take no more work and wait for what is under way."""


class Inline:
    """Runs everything at once, in the caller's thread; what it raises, the caller gets."""

    def run(self, key: str, work: Work) -> bool:
        work()
        return True

    def busy(self, key: str) -> bool:
        return False

    def close(self, wait_s: float) -> None:
        """Nothing is ever under way."""


class Threads:
    """Runs work on ``count`` threads."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: ThreadPoolExecutor | None = None
        self._keys: set[str] = set()
        self._changed = threading.Condition()

    def start(self) -> None:
        self._pool = ThreadPoolExecutor(self._count, thread_name_prefix="provider")

    def run(self, key: str, work: Work) -> bool:
        with self._changed:
            if self._pool is None or key in self._keys:
                return False
            self._keys.add(key)
        self._pool.submit(self._do, key, work)
        return True

    def busy(self, key: str) -> bool:
        with self._changed:
            return key in self._keys

    def close(self, wait_s: float) -> None:
        with self._changed:
            pool, self._pool = self._pool, None
            self._changed.wait_for(lambda: not self._keys, wait_s)
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _do(self, key: str, work: Work) -> None:
        try:
            work()
        except Exception:  # the thread serves others; the intent stays open and is settled later
            log.exception("Work on %s failed.", key)
        finally:
            with self._changed:
                self._keys.discard(key)
                self._changed.notify_all()
