"""Carries out the actions of a plan. What ends an instance is a wish first, kept in the ledger.

Rents and starts are calls to the provider and run on the executor; drains, stops and destroys only
change what is desired, and ``converging`` makes it so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from vast_pyworker.controller.executors import Executor
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.controller.renting import WHO, Order, Renting
from vast_pyworker.errors import ProviderError
from vast_pyworker.model import Action, ActionKind, Bounds, Desired, Group, Plan
from vast_pyworker.providers.protocol import Provider

_ENDS = {
    ActionKind.DRAIN: Desired.DESTROY,
    ActionKind.STOP: Desired.STOP,
    ActionKind.DESTROY: Desired.DESTROY,
    ActionKind.KEEP: Desired.RUN,
}


class Doing:
    """Used from the loop's thread. ``told`` hears of each instance told to start or reboot."""

    def __init__(
        self,
        provider: Provider,
        ledger: Ledger,
        renting: Renting,
        executor: Executor,
        *,
        now: Callable[[], float],
        told: Callable[[str, ActionKind], None],
        say: Callable[[str, str], object],
    ) -> None:
        self._provider = provider
        self._ledger = ledger
        self._renting = renting
        self._executor = executor
        self._now = now
        self._told = told
        self._say = say

    def run(self, group: Group, bounds: Bounds, made: Plan) -> None:
        """Do all that the plan says. Nothing here waits for the provider but an inline executor."""
        rents = [each for each in made.actions if each.kind is ActionKind.RENT]
        if rents:
            order = Order(group, bounds, len(rents), rents[0].reason)
            self._executor.run(rent_key(group.name), partial(self._rent, order))
        calls: Mapping[ActionKind, Callable[[int], None]] = {
            ActionKind.START: self._provider.start,
            ActionKind.REBOOT: self._provider.reboot,
        }
        for action in made.actions:
            if action.kind in _ENDS:
                self.desire(action, drain_s=_drain_s(action, group))
            elif action.kind in calls and action.intent_id is not None:
                self._executor.run(
                    action.intent_id, partial(self._call, action, calls[action.kind])
                )

    def desire(self, action: Action, *, drain_s: float, who: str = WHO) -> None:
        """Write down what is now wanted of an instance, and until when it may drain."""
        assert action.intent_id is not None
        now = self._now()
        row = self._ledger.journal.begin(
            str(action.kind), group=action.group, intent_id=action.intent_id, who=who,
            reason=action.reason, at=now,
        )  # fmt: skip
        self._ledger.intents.change(
            action.intent_id,
            desired=_ENDS[action.kind],
            desired_at=now,
            drain_until=now + drain_s,
            reason=action.reason,
            set_by=who,
        )
        self._ledger.journal.end(row, "desired", now)

    def _rent(self, order: Order) -> None:
        for sentence in self._renting.run(order):
            self._say(order.group.name, sentence)

    def _call(self, action: Action, call: Callable[[int], None]) -> None:
        assert action.intent_id is not None and action.instance_id is not None
        if action.kind is ActionKind.START:
            self._ledger.intents.change(
                action.intent_id,
                desired=Desired.RUN,
                desired_at=self._now(),
                reason=action.reason,
                set_by=WHO,
            )
        row = self._ledger.journal.begin(
            str(action.kind), group=action.group, intent_id=action.intent_id, who=WHO,
            reason=action.reason, at=self._now(),
        )  # fmt: skip
        self._told(action.intent_id, action.kind)
        try:
            call(action.instance_id)
        except ProviderError as exc:
            self._ledger.journal.end(row, str(exc), self._now())
            self._say(action.group, f"Instance {action.instance_id} did not {action.kind}: {exc}")
        else:
            self._ledger.journal.end(row, "accepted", self._now())


def rent_key(group: str) -> str:
    """The executor's key for rents of a group: one order at a time."""
    return f"rent {group}"


def _drain_s(action: Action, group: Group) -> float:
    """How long a victim may finish its requests: those destroyed at once have none worth it."""
    if action.kind in (ActionKind.DRAIN, ActionKind.STOP):
        return group.deadlines.drain_s
    return 0.0
