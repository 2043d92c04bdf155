"""What nobody tells the controller unasked: the credit that is left, and prices that hosts want.

Both are read every few minutes. At no credit the provider stops everything and bills the disks on,
so before that happens people are told, then nothing more is rented, then all is drained and
destroyed while there is still money to do it in order. A price that a host wants is paid where the
group's cap and the limits allow it, and turned down otherwise: the old one then holds until the
contract ends. What it does not: end anything (the plan does, told by ``spent``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from vast_pyworker.controller.executors import Executor
from vast_pyworker.controller.planning.context import Verdict
from vast_pyworker.controller.planning.words import span
from vast_pyworker.errors import ProviderError
from vast_pyworker.model import Member
from vast_pyworker.providers.protocol import PriceIncrease, Provider

log = logging.getLogger(__name__)

WATCHED_EVERY_S = 300.0
WARNED_S = (24 * 3600.0, 6 * 3600.0)
RENTED_S = 2 * 3600.0  # nothing is rented that would leave less than this
ENDED_S = 1800.0  # beside the longest drain: then everything is ended in order
RECOVERED = 1.1  # a warning is over when so much more is left than it takes

Answer = Callable[[PriceIncrease, Member], None]


@dataclass(frozen=True)
class _Credit:
    """``usd`` were left at ``at``, by ``mono``."""

    usd: float
    at: float


class Watching:
    """``look`` and the questions are for the loop's thread; the calls run on the executor.

    ``answer`` is given each price that is wanted for a member. ``mono`` never jumps.
    """

    def __init__(
        self,
        provider: Provider,
        executor: Executor,
        answer: Answer,
        *,
        mono: Callable[[], float],
        say: Callable[[str], object],
    ) -> None:
        self._provider = provider
        self._executor = executor
        self._answer = answer
        self._mono = mono
        self._say = say
        self._read_at = float("-inf")
        self._credit: _Credit | None = None
        self._burn = 0.0
        self._warned: float | None = None

    def look(self, members: Iterable[Member]) -> list[str]:
        """Have both read when it is time; a sentence when the credit has come to be short."""
        there = list(members)
        self._burn = sum(map(_usd_per_hour_now, there))
        wanted = there or self._credit is not None  # what was short may have been paid in
        if wanted and self._mono() - self._read_at >= WATCHED_EVERY_S:
            self._read_at = self._mono()
            self._executor.run("watch", lambda: self._read(there))
        return self._warn()

    def runway_s(self, more_usd_per_hour: float = 0.0) -> float | None:
        """For how long the credit lasts at what is spent now, and more; None: not known."""
        if self._credit is None:
            return None
        burn = self._burn + more_usd_per_hour
        age_s = self._mono() - self._credit.at
        left = self._credit.usd - self._burn * age_s / 3600.0
        return float("inf") if burn <= 0 else max(left, 0.0) / burn * 3600.0

    def verdict(self, usd_per_hour: float, planned: int = 0) -> Verdict:
        """Whether the credit bears one more after ``planned`` others. Yes where it is not known:
        the provider refuses what it does not."""
        left_s = self.runway_s(usd_per_hour * (planned + 1))
        if left_s is None or left_s >= RENTED_S:
            return Verdict(True)
        return Verdict(
            False, f"One more would use up the account's credit within {span(RENTED_S)}: add some."
        )

    def spent(self, drain_s: float) -> str:
        """Why all is to be ended now, while there is credit to do it in order; "" for no reason."""
        left_s = self.runway_s()
        if left_s is None or left_s > ENDED_S + drain_s:
            return ""
        return (
            f"the account's credit lasts less than {span(ENDED_S + drain_s)}, and at no credit "
            "everything is stopped and its disks are billed on: add some"
        )

    def _warn(self) -> list[str]:
        left_s = self.runway_s()
        if left_s is None:
            return []
        below = min((each for each in WARNED_S if left_s < each), default=None)
        if below is not None and (self._warned is None or below < self._warned):
            self._warned = below
            return [f"The account's credit lasts less than {span(below)} at this rate: add some."]
        if self._warned is not None and left_s >= self._warned * RECOVERED:
            self._warned = below
        return []

    def _read(self, members: list[Member]) -> None:
        try:
            usd = self._provider.credit()
            self._credit = None if usd is None else _Credit(usd, self._mono())
        except ProviderError as exc:  # what was known is still true, less what was spent since
            log.info("The account's credit could not be read: %s", exc)
        try:
            wanted = self._provider.price_increases()
        except ProviderError as exc:
            log.info("The prices that hosts want could not be read: %s", exc)
            return
        ours = {each.instance.id: each for each in members if each.instance is not None}
        for increase in wanted:
            if increase.instance_id in ours:
                self._answer(increase, ours[increase.instance_id])


def _usd_per_hour_now(member: Member) -> float:
    known = member.instance.usd_per_hour_now if member.instance else None
    return member.usd_per_hour if known is None else known
