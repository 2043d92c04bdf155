"""A thread that lets the market's time do its work, and saves the state now and then."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

TICK_S = 0.5
SAVE_S = 30.0
_STOP_S = 10.0


class Ticking:
    """Calls ``tick`` twice a second and ``save`` twice a minute, from ``start`` to ``stop``."""

    def __init__(
        self,
        tick: Callable[[], None],
        save: Callable[[], None],
        *,
        tick_s: float = TICK_S,
        save_s: float = SAVE_S,
    ) -> None:
        self._tick = tick
        self._save = save
        self._tick_s = tick_s
        self._ticks_a_save = max(round(save_s / tick_s), 1)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="market-ticking", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(_STOP_S)

    def _run(self) -> None:
        ticks = 0
        while not self._stopping.wait(self._tick_s):
            ticks += 1
            _done(self._tick, "The market's tick failed.")
            if ticks % self._ticks_a_save == 0:
                _done(self._save, "The market's state could not be saved.")


def _done(work: Callable[[], None], said: str) -> None:
    try:
        work()
    except Exception:  # one bad tick must not end the market's time
        log.exception(said)
