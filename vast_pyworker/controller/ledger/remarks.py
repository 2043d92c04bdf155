"""Which remarks go on and on. No I/O.

Several may stand beside each other at every tick, so the last one is not enough to compare with. A
remark that was not made for a while and is made again is a new one.
"""

from __future__ import annotations

FORGOTTEN_AFTER_S = 300.0


class Remarks:
    """Guarded by the database's lock. Times are Unix seconds; a clock that went back is no gap."""

    def __init__(self) -> None:
        self._made: dict[tuple[str | None, str], float] = {}

    def is_new(self, group: str | None, sentence: str, at: float) -> bool:
        """False where it was made lately, which keeps it alive."""
        key = (group, sentence)
        before = self._made.get(key)
        if before is None or at - before >= FORGOTTEN_AFTER_S:
            return True
        self._made[key] = at
        return False

    def made(self, group: str | None, sentence: str, at: float) -> None:
        """It has been written. Those that stopped are forgotten."""
        alive = {key: last for key, last in self._made.items() if at - last < FORGOTTEN_AFTER_S}
        self._made = {**alive, (group, sentence): at}
