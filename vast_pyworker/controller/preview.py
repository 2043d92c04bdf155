"""What the controller would do now, found out without doing any of it.

The same merge, decision and choice of offers as the loop's, from the provider's lists, the ledger
where it can be had, and no worker's word: nobody reports to a plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vast_pyworker.errors import ProviderError
from vast_pyworker.model import ActionKind, Group, Instance, Intent, Limits, Member, Offer, Wishes
from vast_pyworker.providers.protocol import Provider

from . import labels, showing
from .budget import Budget
from .deciding import Decision, History, by_group, decide
from .ledger.ledger import Ledger
from .observing.adopting import adopt
from .observing.members import Evidence, merge
from .planning.choosing import Scores, choose
from .policy.observation import Load
from .spending import budget_of


@dataclass(frozen=True)
class Preview:
    """``offers`` are those that the plan's rents would take now, by group; ``unread`` says why
    offers could not be read. Dollars an hour."""

    decisions: Mapping[str, Decision]
    offers: Mapping[str, Sequence[Offer]]
    unread: Mapping[str, str]
    usd_per_hour: float
    limits: Limits

    @property
    def usd_per_hour_then(self) -> float:
        """What all costs once the plan is done: less what it stops and destroys."""
        rented = sum(each.usd_per_hour for found in self.offers.values() for each in found)
        ended = sum(
            action.usd_per_hour
            for decision in self.decisions.values()
            for action in decision.made.actions
            if action.kind in _ENDING
        )
        return max(self.usd_per_hour + rented - ended, 0.0)


_ENDING = (ActionKind.DESTROY, ActionKind.DRAIN, ActionKind.STOP)


class Clean:
    """Scores of nobody: without a ledger nothing is remembered against any machine."""

    def machine(self, machine_id: int) -> float:
        return 0.0

    def host(self, host_id: int) -> float:
        return 0.0


def preview(wishes: Wishes, provider: Provider, ledger: Ledger | None, now: float) -> Preview:
    """``ProviderError`` where the list of instances cannot be read: then there is no plan."""
    listed = provider.instances(labels.prefix_of(wishes.fleet))
    intents = _intents(wishes, listed, ledger, now)
    members = _members(wishes, listed, intents, now)
    budget = _budget(wishes.limits, intents, ledger, now)
    grouped = by_group(members)
    decisions = {
        name: decide(group, grouped.get(name, []), Load(), History(), budget.verdict, now)
        for name, group in wishes.groups.items()
    }
    offers, unread = _offers(decisions, provider, ledger, members, now)
    total = sum(map(showing.usd_per_hour_now, members))
    return Preview(decisions, offers, unread, total, wishes.limits)


def _intents(
    wishes: Wishes, listed: Sequence[Instance], ledger: Ledger | None, now: float
) -> dict[str, Intent]:
    known = dict(ledger.intents.open()) if ledger else {}

    def cap_of(name: str) -> float:
        group = wishes.groups.get(name)
        return group.max_usd_per_hour if group else wishes.limits.usd_per_hour

    closed = ledger.intents.get if ledger else lambda _: None
    for found in adopt(listed, dict(known), closed, cap_of, now):
        known[found.intent.id] = found.intent
    return known


def _members(
    wishes: Wishes, listed: Sequence[Instance], intents: Mapping[str, Intent], now: float
) -> list[Member]:
    evidence = Evidence(
        instances={each.id: each for each in listed},
        heard={},
        tracks={},
        lease_s={name: group.deadlines.lease_s for name, group in wishes.groups.items()},
    )
    members, _ = merge(intents.values(), evidence, now)
    return members


def _budget(
    limits: Limits, intents: Mapping[str, Intent], ledger: Ledger | None, now: float
) -> Budget:
    if ledger is not None:
        return budget_of(limits, intents.values(), ledger.spend, now)
    prices = [
        each.usd_per_hour_cap if each.usd_per_hour is None else each.usd_per_hour
        for each in intents.values()
    ]
    return Budget(limits, sum(prices), len(prices), 0, 0, now)


def _offers(
    decisions: Mapping[str, Decision],
    provider: Provider,
    ledger: Ledger | None,
    members: Sequence[Member],
    now: float,
) -> tuple[dict[str, Sequence[Offer]], dict[str, str]]:
    found: dict[str, Sequence[Offer]] = {}
    unread: dict[str, str] = {}
    scores: Scores = ledger.reputation.scores(now) if ledger else Clean()
    machines = {each.intent.machine_id for each in members if each.intent.machine_id}
    hosts = {each.intent.host_id for each in members if each.intent.host_id}
    for name, decision in decisions.items():
        count = sum(each.kind is ActionKind.RENT for each in decision.made.actions)
        if not count:
            continue
        try:
            offers = _read(provider, decision.group)
        except ProviderError as exc:
            unread[name] = str(exc)
            continue
        found[name] = choose(
            offers, decision.group, decision.bounds, scores, machines, hosts, count
        )
        machines |= {each.machine_id for each in found[name]}
        hosts |= {each.host_id for each in found[name]}
    return found, unread


def _read(provider: Provider, group: Group) -> list[Offer]:
    launch = group.launch
    return provider.offers(
        group.query, disk_gb=launch.disk_gb, bid_usd_per_hour=launch.bid_usd_per_hour
    )
