"""Compares the requests we hold at the model server with those that it says it has. Pure.

A moment's difference is normal: its numbers are of another moment than ours. One that lasts is not:
either our books have leaked, or somebody goes past us, and then the load we report is wrong.
"""

from __future__ import annotations

LASTING_S = 60.0
FEWEST_READINGS = 4


class CrossCheck:
    """Feed it both numbers at each reading; it says once per life of the model what is wrong.

    ``surplus`` is what the model had more than we at the latest reading, None while unknown.
    """

    def __init__(self, lasting_s: float = LASTING_S) -> None:
        self.surplus: float | None = None
        self._lasting_s = lasting_s
        self._least = 0.0  # of all differences since they are of one sign
        self._since = 0.0
        self._readings = 0
        self._is_said = False

    def note(self, now: float, ours: int, theirs: float) -> str:
        """One sentence when the difference has lasted, and was not told before; else ""."""
        surplus = self.surplus = theirs - ours
        if surplus * self._least <= 0:
            self._least, self._since, self._readings = surplus, now, 0
        self._least = min(self._least, surplus, key=abs)
        self._readings += 1
        lasts = now - self._since >= self._lasting_s and self._readings >= FEWEST_READINGS
        if not surplus or not lasts or self._is_said:
            return ""
        self._is_said = True
        return _sentence(self._least, now - self._since)

    def forget(self) -> None:
        """Another process is asked from here on."""
        self.surplus = None
        self._least = 0.0
        self._is_said = False


def _sentence(least: float, for_s: float) -> str:
    number = f"{abs(least):.0f} request{'s' * (abs(least) != 1)}"
    if least > 0:
        return (
            f"The model server has had {number} for {for_s:.0f} s that did not come through this "
            "worker: the load reported is too low; let nobody else call it."
        )
    return (
        f"This worker has held {number} for {for_s:.0f} s that the model server does not know of: "
        "see pyworker_requests_in_progress for the route."
    )
