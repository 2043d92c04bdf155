"""Answers prices that hosts want for instances of ours: paid within the cap, else turned down.

An answer is an action like any other, with its row in the journal. One that fails is given again
at the next look, for the provider shows the price until it is answered. The price that is agreed to
is in the ledger before the call: whatever comes of it, no list may be read for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.controller.planning.overdue import dearest_cap
from vast_pyworker.controller.planning.words import dollars
from vast_pyworker.errors import ProviderError
from vast_pyworker.model import Group, Intent, Member
from vast_pyworker.providers.protocol import PriceIncrease, Provider

WHO = "controller"


class Haggling:
    """``allowed`` says whether so much more an hour is within the limits; called on any thread."""

    def __init__(
        self,
        provider: Provider,
        ledger: Ledger,
        *,
        groups: Callable[[], Mapping[str, Group]],
        allowed: Callable[[float], bool],
        now: Callable[[], float],
        say: Callable[[str, str], object],
    ) -> None:
        self._provider = provider
        self._ledger = ledger
        self._groups = groups
        self._allowed = allowed
        self._now = now
        self._say = say

    def answer(self, increase: PriceIncrease, member: Member) -> None:
        """Accept or reject what is wanted for one member. What a person holds is left to him, and
        so is a price that is not said."""
        intent, wanted = member.intent, increase.usd_per_hour
        if wanted is None or intent.held:
            self._say(
                intent.group,
                f"The host of instance {intent.instance_id} wants another price, and it is left to "
                "a person to answer: look at the provider's console.",
            )
            return
        self._give(increase, member, accept=self._is_worth(member, wanted))

    def _is_worth(self, member: Member, wanted: float) -> bool:
        group = self._groups().get(member.intent.group)
        if group is None or wanted > dearest_cap(group):
            return False
        return self._allowed(max(wanted - member.usd_per_hour, 0.0))

    def _give(self, increase: PriceIncrease, member: Member, *, accept: bool) -> None:
        intent, provider = member.intent, self._provider
        call = provider.accept_price_increase if accept else provider.reject_price_increase
        verb = "accepted" if accept else "turned down"
        why = f"{dollars(increase.usd_per_hour or 0.0)} wanted, {dollars(member.usd_per_hour)} paid"
        row = self._ledger.journal.begin(
            f"price {verb}", group=intent.group, intent_id=intent.id, who=WHO, reason=why,
            at=self._now(),
        )  # fmt: skip
        if accept:
            self._write_down(intent, increase)
        try:
            call(increase.id)
        except ProviderError as exc:
            self._ledger.journal.end(row, str(exc), self._now())
            return
        self._ledger.journal.end(row, verb, self._now())
        self._say(intent.group, f"A new price of instance {intent.instance_id} was {verb}: {why}.")

    def _write_down(self, intent: Intent, increase: PriceIncrease) -> None:
        """The dearer of the two prices, until a list says which one holds."""
        wanted = increase.usd_per_hour
        known = self._ledger.intents.open().get(intent.id)
        if wanted is not None and known is not None and wanted > (known.usd_per_hour or 0.0):
            self._ledger.intents.change(intent.id, usd_per_hour=wanted)
