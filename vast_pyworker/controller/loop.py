"""The loop: list, adopt, merge, pay, decide, plan, do, and say it in one sentence for each group.

One tick never waits for what it began; what it began is written down first, and a crash between
any two lines is healed by the next tick. Where the provider cannot be read nothing is rented,
stopped or destroyed: a tick that knows nothing does nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from vast_pyworker.controller import deciding, labels, remembering
from vast_pyworker.controller.accounting import Accounting
from vast_pyworker.controller.converging import Converging
from vast_pyworker.controller.deciding import Decision, History, by_group
from vast_pyworker.controller.doing import Doing, rent_key
from vast_pyworker.controller.executors import Executor
from vast_pyworker.controller.haggling import Haggling
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.controller.observing.adopting import adopt
from vast_pyworker.controller.observing.memory import Memory
from vast_pyworker.controller.planning.brake import braked
from vast_pyworker.controller.planning.context import Verdict
from vast_pyworker.controller.probing import Probing, answers
from vast_pyworker.controller.publishing import places_of
from vast_pyworker.controller.renting import Renting
from vast_pyworker.controller.stepping import Clocks
from vast_pyworker.controller.traffic.ears import Ears
from vast_pyworker.controller.traffic.places import Place
from vast_pyworker.controller.watching import Watching
from vast_pyworker.errors import ProviderError
from vast_pyworker.model import ActionKind, Instance, Intent, Member, Wishes
from vast_pyworker.providers.protocol import Provider

log = logging.getLogger(__name__)

SPENT_MARGIN_S = 120.0  # a group is emptied so long before its money is spent, beside the drain
FOUND_SAID = 10  # of so many found by their labels each has its sentence


@dataclass(frozen=True)
class Fleet:
    """What the last tick found, for those who show it. ``blind`` says why it could not look."""

    at: float
    members: tuple[Member, ...] = ()
    decisions: Mapping[str, Decision] | None = None
    blind: str = ""
    listed_at: float | None = None


class Loop:
    """Sizes every group. ``tick`` is called by one thread at a time.

    ``now`` is Unix seconds, ``mono`` a clock that never goes back nor jumps. ``wishes`` may be
    replaced between two ticks by ``desire``.
    """

    def __init__(
        self,
        wishes: Wishes,
        provider: Provider,
        ledger: Ledger,
        ears: Ears,
        executor: Executor,
        *,
        env_of: Callable[[str], Mapping[str, str]],
        token_of: Callable[[str], str],
        now: Callable[[], float],
        mono: Callable[[], float],
        probe: Callable[[str], bool] = answers,
    ) -> None:
        self._wishes = wishes
        self._provider = provider
        self._ledger = ledger
        self._ears = ears
        self._executor = executor
        self._token_of = token_of
        self._now = now
        self._mono = mono
        self._clocks = Clocks(now, mono)
        self._memory = Memory()
        self._histories: dict[str, History] = {}
        self._ordering: set[str] = set()
        self._places: Mapping[int, Place] = {}
        self._probing = Probing(executor, probe, self._memory.note_probe, mono)
        self.fleet = Fleet(now())
        self._accounting = Accounting(provider, ledger, executor, now=now, mono=mono)
        self._renting = Renting(
            wishes.fleet, provider, ledger, purse=self._may_rent, env_of=env_of, now=now, mono=mono
        )
        self._converging = Converging(
            provider, ledger, executor, now=now, deleted=self._note_deleted, mono=mono
        )
        self.doing = Doing(
            provider, ledger, self._renting, executor, now=now, told=self._note_told, say=self._say
        )
        haggling = Haggling(
            provider, ledger, groups=lambda: self._wishes.groups, allowed=self._may_pay, now=now,
            say=self._say,
        )  # fmt: skip
        self._watching = Watching(
            provider, executor, haggling.answer, mono=mono, say=partial(self._say, None)
        )

    @property
    def wishes(self) -> Wishes:
        return self._wishes

    def gone(self, group: str) -> int:
        """How many of a group went missing lately and were proven gone since, and not by us."""
        return self._converging.gone(group)

    def desire(self, wishes: Wishes) -> None:
        """Take other wishes from the next tick on. The fleet's name cannot change."""
        remembering.note_wishes(self._wishes.groups, wishes.groups, self._ledger)
        self._wishes = replace(wishes, fleet=self._wishes.fleet)

    def tick(self) -> list[str]:
        """One round; the sentences that were said."""
        now = self._look_at_clocks()
        try:
            instances = self._provider.instances(labels.prefix_of(self._wishes.fleet))
        except ProviderError as exc:
            return self._tick_blind(str(exc), now)
        said, cheaper = self._adopt(instances, now)
        # Before the intents are read: an order that ends after that is seen as under way still.
        busy = self._executor.busy
        self._ordering = {each for each in self._wishes.groups if busy(rent_key(each))}
        members = self._merge(instances, now)
        self._publish(members)  # first: clients are sent on where the ledger cannot be written
        self._accounting.pay(members, now)
        self._accounting.lower(cheaper)
        said += [self._say(None, each) for each in self._watching.look(members)]
        self._converging.look_for(members, self._memory.missed, self._renting.may_come)
        grouped = by_group(members)
        decisions = {}
        for name, group in self._wishes.groups.items():
            own = grouped.get(name, [])
            decisions[name] = decision = self._decide(name, own, now)
            said += self._act(decision, own)
            remembering.note_strikes(decision.made, group, own, self._ledger, now)
            self.doing.run(group, decision.bounds, decision.made)
        said += self._abandoned(grouped, now)
        self._probing.look(members)
        self._converging.forget(each.intent.id for each in members)
        self.fleet = Fleet(now, tuple(members), decisions, "", now)
        self._accounting.between_ticks()
        return said

    # --- the parts of a tick ---

    def _look_at_clocks(self) -> float:
        """Now; where the clock was set, all that is remembered is moved with it."""
        spend, intents = self._ledger.spend, self._ledger.intents
        moment = self._clocks.look(spend.last_at())
        step_s = moment.step_s
        if step_s:
            # The money last: a crash before it leaves a clock that was set, seen at the next start.
            intents.change_all(
                {key: remembering.moved_times(each, step_s) for key, each in intents.open().items()}
            )
            spend.move(step_s)
            self._memory.move(step_s)
            self._histories = {key: each.moved(step_s) for key, each in self._histories.items()}
            self._say(None, f"The clock was set by {step_s:+.0f} s; no age changes by that.")
        return moment.now

    def _tick_blind(self, why: str, now: float) -> list[str]:
        """Nothing is known of the provider: count the money, hold everything."""
        self._accounting.pay_unseen(self.fleet.members, now)
        sentence = f"The provider could not be read, so nothing is changed: {why}"
        self.fleet = replace(self.fleet, at=now, blind=why)
        self._accounting.between_ticks()
        return [self._say(None, sentence)]

    def _adopt(
        self, instances: Sequence[Instance], now: float
    ) -> tuple[list[str], Mapping[str, float]]:
        """What is said, and lower prices, which are kept when all until now has been paid."""
        intents = self._ledger.intents
        opened = intents.open()
        found = list(adopt(instances, opened, intents.get, self._cap_of, now))
        cheaper: dict[str, float] = {}
        changes = {each.intent.id: dict(each.changes) for each in found if each.changes}
        for each in found:
            if each.changes and each.is_cheaper(opened.get(each.intent.id)):
                cheaper[each.intent.id] = changes[each.intent.id].pop("usd_per_hour")
        intents.change_all(changes)
        intents.write_all(each.intent for each in found if each.changes is None)
        told = [each for each in found if each.sentence]
        said = [self._say(each.intent.group, each.sentence) for each in told[:FOUND_SAID]]
        if len(told) > FOUND_SAID:
            more = len(told) - FOUND_SAID
            said.append(self._say(None, f"{more} more instances were found by their labels."))
        return said, cheaper

    def _merge(self, instances: Sequence[Instance], now: float) -> list[Member]:
        lease_s = {name: group.deadlines.lease_s for name, group in self._wishes.groups.items()}
        heard = self._ears.hearings(self._mono())
        opened = self._ledger.intents.open().values()
        return self._memory.merge(opened, instances, heard, lease_s, now)

    def _publish(self, members: Sequence[Member]) -> None:
        self._places = places_of(members, self._wishes.groups, self._token_of, self._places)
        self._ears.publish(self._places)

    def _decide(self, name: str, members: Sequence[Member], now: float) -> Decision:
        group = self._wishes.groups[name]
        history = self._history(name, members, now)
        load = self._ears.load(group.endpoint, self._mono())
        decision = deciding.decide(group, members, load, history, self._may_rent, now)
        kinds = {each.kind for each in decision.made.actions}
        self._histories[name] = replace(
            history,
            memory=decision.memory,
            last_up_at=now if kinds & _UP else history.last_up_at,
            last_down_at=now if decision.made.shrinks else history.last_down_at,
            mended=history.mending(decision.made, now),
        )
        return decision

    def _act(self, decision: Decision, members: Sequence[Member]) -> list[str]:
        name = decision.group.name
        said = [self._say(name, decision.made.sentence, decision.inputs())]
        history = self._histories[name]
        if history.spent or not braked(members, decision.seen.now, history.gone):
            said += [self._say(name, each) for each in self._converging.run(members)]
        return said

    def _abandoned(self, grouped: Mapping[str, Sequence[Member]], now: float) -> list[str]:
        """Members of groups that are not wanted any more: shown and paid for; what was to end or
        to stand before is brought there, the rest is not touched."""
        said = []
        for name, own in grouped.items():
            if name not in self._wishes.groups:
                if not braked(own, now, self._converging.gone(name)):
                    said += [self._say(name, each) for each in self._converging.run(own)]
                said.append(
                    self._say(
                        name,
                        f"{len(own)} instances belong to group {name}, which groups.toml does not "
                        "name: add the group again, or drop them.",
                    )
                )
        return said

    # --- what the parts ask ---

    def _history(self, name: str, members: Sequence[Member], now: float) -> History:
        known = self._histories.get(name, History())
        group = self._wishes.groups[name]
        drain_s = group.deadlines.drain_s
        budget = self._accounting.budget(self._wishes.limits)
        if remembering.failed_hosts(group, self._ledger, now):
            remembering.note_comeback(group, members, self._ledger, now)
        return replace(
            known,
            renting=1 if name in self._ordering else 0,
            shrunk=remembering.shrunk(group, self._ledger),
            gone=self._converging.gone(name),
            paused=self._renting.resting(name),
            spent=budget.exhausted(drain_s + SPENT_MARGIN_S) or self._watching.spent(drain_s),
            failed_hosts=remembering.failed_hosts(group, self._ledger, now),
        )

    def _may_rent(self, usd_per_hour: float, planned: int = 0) -> Verdict:
        verdict = self._accounting.budget(self._wishes.limits).verdict(usd_per_hour, planned)
        return self._watching.verdict(usd_per_hour, planned) if verdict.allowed else verdict

    def _may_pay(self, more_usd_per_hour: float) -> bool:
        """Whether what there is may cost so much more an hour."""
        budget = self._accounting.budget(self._wishes.limits)
        fewer = replace(budget, instances=(budget.instances or 1) - 1)
        return fewer.verdict(more_usd_per_hour).allowed

    def _cap_of(self, name: str) -> float:
        group = self._wishes.groups.get(name)
        return group.max_usd_per_hour if group else self._wishes.limits.usd_per_hour

    def _note_told(self, intent_id: str, kind: ActionKind) -> None:
        self._memory.note_told(intent_id, kind, self._now())

    def _note_deleted(self, intents: Sequence[Intent]) -> None:
        remembering.note_deleted(intents, self._wishes.groups, self._ledger)

    def _say(
        self, group: str | None, sentence: str, inputs: Mapping[str, object] | None = None
    ) -> str:
        if self._ledger.journal.say(self._now(), group, sentence, inputs):
            log.info("%s%s", f"{group}: " if group else "", sentence)
        return sentence


_UP = {ActionKind.RENT, ActionKind.START}
