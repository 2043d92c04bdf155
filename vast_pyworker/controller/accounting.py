"""The money of the fleet: what it cost since the last look, what it may cost, what was billed.

What it does not: find out prices (``spending``), or refuse anything (``budget``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from vast_pyworker.controller import spending
from vast_pyworker.controller.executors import Executor
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.controller.spending import Budget
from vast_pyworker.errors import ProviderError
from vast_pyworker.model import Instance, Intent, Limits, Member, Stage
from vast_pyworker.providers.protocol import Provider

log = logging.getLogger(__name__)

RECONCILED_EVERY_S = 300.0
LATE_S = 60.0  # a writing that has failed, or has not come about, for so long is done in the tick


class _Basis(Struct, frozen=True, gc=False):
    """What a member's price was read from; ``seen``: at a look at the provider."""

    intent: Intent
    stage: Stage
    instance: Instance | None
    seen: bool


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
        self._seen: dict[str, Instance | None] = {}
        self._known: tuple[Mapping[str, Intent], Limits, float | None, Budget] | None = None

    def pay(self, members: Sequence[Member], now: float) -> None:
        """Charge what all of them cost since the last time.

        What is as it was runs on at its price. What is not may have changed at any moment since
        the last look: it is charged the dearer price for all of the time.
        """
        owed = []
        for member in self._changed(members, seen=True):
            key = member.intent.id
            same = _costs_the_same(self._seen.get(key), member.instance)
            self._seen[key] = member.instance
            owed.append(member if same else replace(member, since=now))
        if len(self._seen) > len(members):
            alive = {each.intent.id for each in members}
            self._seen = {key: each for key, each in self._seen.items() if key in alive}
        self._count(owed, now, seen=True)

    def pay_unseen(self, members: Iterable[Member], now: float) -> None:
        """The same where the provider could not be read; ``members`` are of an earlier look.

        What stood still then is taken to stand, everything else to run.
        """
        opened = self._ledger.intents.open()
        known = []
        for member in spending.payable(members, opened, now):
            intent = opened[member.intent.id]
            known.append(member if member.intent is intent else replace(member, intent=intent))
        owed = [
            each if each.stage is Stage.COLD else replace(each, since=now)
            for each in self._changed(known, seen=False)
        ]
        self._count(owed, now, seen=False)

    def between_ticks(self) -> None:
        """Have done what takes longer and what nobody waits for: the writing, and the bill."""
        spend = self._ledger.spend
        if spend.is_due():
            self._executor.run("money", spend.write)
        if self._mono() - self._reconciled_at >= RECONCILED_EVERY_S:
            self._reconciled_at = self._mono()
            self._executor.run("reconcile", self._reconcile)

    def _changed(self, members: Iterable[Member], *, seen: bool) -> list[Member]:
        """Those that do not run on as they did at the last count. Looks at each, so it is short."""
        running = self._ledger.spend.running
        found = []
        for member in members:
            spell = running.get(member.intent.id)
            if spell is None:
                found.append(member)
                continue
            basis: _Basis = spell.basis
            if (
                basis.intent is not member.intent
                or basis.stage is not member.stage
                or basis.seen is not seen
                or (
                    basis.instance is not member.instance
                    and not _is_priced_alike(basis.instance, member.instance)
                )
            ):
                found.append(member)
        return found

    def _count(self, owed: Sequence[Member], now: float, *, seen: bool) -> None:
        spend = self._ledger.spend
        since = spend.last_at()
        charges = [] if since is None else spending.charges_between(owed, since, now)
        until = now if since is None else max(since, now)
        begun = (
            spending.running_on(
                each, seen=seen, basis=_Basis(each.intent, each.stage, each.instance, seen)
            )
            for each in owed
            if each.intent.created_at <= until
        )
        spend.count(charges, now, {each.intent.id for each in owed}, begun)
        if spend.is_due(LATE_S):
            spend.write()  # what it fails for is seen, and nothing is done

    def lower(self, usd_per_hour: Mapping[str, float]) -> None:
        """Lower prices by intent, as they are from now on. First all until now is on the disk: as
        soon as the dearer ones are forgotten nobody knows any more what was to be paid."""
        if usd_per_hour:
            self._ledger.spend.write()
            self._ledger.intents.change_all(
                {key: {"usd_per_hour": each} for key, each in usd_per_hour.items()}
            )

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


def _is_priced_alike(before: Instance | None, instance: Instance | None) -> bool:
    """The same of both parts of the price."""
    if before is None or instance is None:
        return before is instance
    return before.usd_per_hour_stopped == instance.usd_per_hour_stopped and _costs_the_same(
        before, instance
    )
