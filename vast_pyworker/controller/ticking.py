"""The thread that lets the loop tick: every few seconds, and soon after a command.

A tick that fails is logged and the next one comes all the same. What it does not: decide anything.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from vast_pyworker.errors import PyworkerError, SettingError

log = logging.getLogger(__name__)

LONGEST_EVERY_S = 60.0
"""Half of what a group is emptied before its money is spent (``loop.SPENT_MARGIN_S``): between two
looks no more may be spent than that leaves."""

_STOP_S = 30.0


def check_interval(every_s: float) -> float:
    """The same; ``SettingError`` where ticks would come too seldom for the limits to hold."""
    if not 0 < every_s <= LONGEST_EVERY_S:
        raise SettingError(
            f"--every is {every_s:g} s: give more than 0 and at most {LONGEST_EVERY_S:g}, or more "
            "could be spent between two looks than [limits] allows."
        )
    return every_s


@dataclass
class Ticks:
    """How the ticks go: counts, the seconds the last one took, and why it failed ("" if not)."""

    count: int = 0
    failed: int = 0
    took_s: float = 0.0
    failure: str = ""


class Ticking:
    """Calls ``tick`` from ``start`` to ``stop``, at once and then every ``every_s``."""

    def __init__(
        self, tick: Callable[[], None], ticks: Ticks, every_s: float, mono: Callable[[], float]
    ) -> None:
        self._tick = tick
        self._ticks = ticks
        self._every_s = every_s
        self._mono = mono
        self._woken = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="controller-ticking", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Have the next tick now. Any thread may call it."""
        self._woken.set()

    def stop(self) -> None:
        """No further tick; waits for the one that goes on."""
        self._stopping = True
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_S)

    def _run(self) -> None:
        while not self._stopping:
            self._woken.clear()
            begun = self._mono()
            self._once()
            self._ticks.took_s = self._mono() - begun
            self._woken.wait(max(self._every_s - self._ticks.took_s, 0.0))

    def _once(self) -> None:
        self._ticks.count += 1
        try:
            self._tick()
        except PyworkerError as exc:
            self._failed(str(exc))
            log.error("%s", exc)
        except Exception as exc:  # one bad tick must not end the controller
            self._failed(f"{type(exc).__name__}: {exc}")
            log.exception("A tick failed; the next one begins anew.")
        else:
            self._ticks.failure = ""

    def _failed(self, why: str) -> None:
        self._ticks.failed += 1
        self._ticks.failure = why
