"""The money of the fleet: what it cost since the last look, what it may cost, what was billed.

What it does not: find out prices (``spending``), or refuse anything (``budget``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from vast_pyworker.controller import spending
from vast_pyworker.controller.executors import Executor
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.controller.spending import Budget
from vast_pyworker.errors import ProviderError
from vast_pyworker.model import Instance, Intent, Limits, Member, Stage
from vast_pyworker.providers.protocol import Provider

log = logging.getLogger(__name__)

RECONCILED_EVERY_S = 300.0


class Accounting:
    """``pay`` is called from the loop's thread, ``budget`` from any."""

    def __init__(
        self,
        provider: Provider,
        ledger: Ledger,
        executor: Executor,
        *,
        now: Callable[[], float],
        mono: Callable[[], float],
    ) -> None:
        self._provider = provider
        self._ledger = ledger
        self._executor = executor
        self._now = now
        self._mono = mono
        self._reconciled_at = float("-inf")
        self._seen: Mapping[str, Instance | None] = {}
        self._known: tuple[Mapping[str, Intent], Limits, float | None, Budget] | None = None

    def pay(self, members: Iterable[Member], now: float) -> None:
        """Charge what all of them cost since the last time; have the bill read now and then.

        What is not as it was at the last look may have changed at any moment since: it is charged
        the dearer price for all of the time.
        """
        seen: dict[str, Instance | None] = {}
        owed = []
        for member in members:
            key = member.intent.id
            before, seen[key] = self._seen.get(key), member.instance
            same = before is member.instance or _costs_the_same(before, member.instance)
            owed.append(member if same else replace(member, since=now))
        self._seen = seen
        self._charge(owed, now)

    def _charge(self, members: Iterable[Member], now: float) -> None:
        spend = self._ledger.spend
        since = spend.last_at()
        charges = () if since is None else spending.charges_between(members, since, now)
        spend.accrue(charges, now)
        if self._mono() - self._reconciled_at >= RECONCILED_EVERY_S:
            self._reconciled_at = self._mono()
            self._executor.run("reconcile", self._reconcile)

    def pay_unseen(self, members: Iterable[Member], now: float) -> None:
        """The same where the provider could not be read; ``members`` are of an earlier look.

        What stood still then is taken to stand, everything else to run.
        """
        opened = self._ledger.intents.open()
        owed = []
        for member in spending.payable(members, opened, now):
            since = member.since if member.stage is Stage.COLD else now
            owed.append(replace(member, intent=opened[member.intent.id], since=since))
        self._charge(owed, now)

    def settle(self, members: Iterable[Member], found: Iterable[Intent], now: float) -> None:
        """Count until now, on the disk, before a lower price takes the place of the one that was
        paid: afterwards nobody knows that any more."""
        opened = self._ledger.intents.open()
        if any(_is_cheaper(each, opened.get(each.id)) for each in found):
            self.pay_unseen(members, now)
            self._ledger.spend.write()

    def budget(self, limits: Limits) -> Budget:
        """What may be spent; computed anew only where an intent or the money has changed."""
        opened, counted = self._ledger.intents.open(), self._ledger.spend.last_at()
        known = self._known
        if known is not None and known[0] is opened and known[1:3] == (limits, counted):
            return known[3]
        found = spending.budget_of(limits, opened.values(), self._ledger.spend, self._now())
        self._known = (opened, limits, counted, found)
        return found

    def _reconcile(self) -> None:
        try:
            billed = self._provider.charges()
        except ProviderError as exc:
            log.info("The provider's bill could not be read: %s", exc)
            return
        if billed is not None:
            self._ledger.spend.reconcile(billed, self._now())


def _costs_the_same(before: Instance | None, instance: Instance | None) -> bool:
    if before is None or instance is None:
        return before is instance
    return (
        before.phase is instance.phase
        and before.usd_per_hour == instance.usd_per_hour
        and before.usd_per_hour_now == instance.usd_per_hour_now
    )


def _is_cheaper(found: Intent, known: Intent | None) -> bool:
    if known is None or known.usd_per_hour is None or found.usd_per_hour is None:
        return False
    return found.usd_per_hour < known.usd_per_hour
