"""What is learned from what went wrong: machines that failed, and instances that others deleted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.controller.planning.deadlines import (
    FRESH_FAILURE_S,
    is_strike,
    never_ready,
    remembered_s,
)
from vast_pyworker.model import Group, Intent, Member, OnDelete, Plan, Stage

STRIKE = 1.0


def note_strikes(
    made: Plan, group: Group, members: Iterable[Member], ledger: Ledger, now: float
) -> None:
    """Remember machines whose instances the plan ends for a fault; and hosts on which the group's
    launch never became ready, which may be the launch's own fault."""
    guilty = {each.intent_id: each for each in made.actions if is_strike(each)}
    if not guilty:
        return
    for member in members:
        action = guilty.get(member.intent.id)
        if action is None:
            continue
        intent = member.intent
        ledger.reputation.strike(
            machine_id=intent.machine_id,
            host_id=intent.host_id,
            weight=STRIKE,
            at=now,
            why=action.reason,
        )
        if never_ready(member, group.deadlines):
            ledger.reputation.note_failure(intent.group, intent.host_id, now)


def failed_hosts(group: Group, ledger: Ledger, now: float) -> frozenset[int]:
    """Hosts on which the group's launch failed lately, one after another; none where the last time
    is so long ago that it is worth another try."""
    reputation, name = ledger.reputation, group.name
    if not reputation.failed_hosts(name, now - FRESH_FAILURE_S):
        return frozenset()
    return reputation.failed_hosts(name, now - remembered_s(group.deadlines))


def note_comeback(group: Group, members: Iterable[Member], ledger: Ledger, now: float) -> None:
    """One that was rented within the time that counts has become ready: the launch is not at
    fault."""
    since = now - remembered_s(group.deadlines)
    for member in members:
        came = member.stage is Stage.READY and member.since == now
        if came and member.intent.created_at >= since:
            ledger.reputation.forgive_launch(group.name)
            return


def note_wishes(before: Mapping[str, Group], after: Mapping[str, Group], ledger: Ledger) -> None:
    """The operator has changed his mind: what was learned about the old wish is forgotten."""
    for name, group in after.items():
        old = before.get(name)
        if old is None or old is group:
            continue
        if old.launch != group.launch:
            ledger.reputation.forgive_launch(name)
        if _size(old) != _size(group):
            forget_deleted(group, ledger)


def moved_times(intent: Intent, step_s: float) -> dict[str, float]:
    """The times of an intent where the wall clock was set by so many seconds."""
    return {
        "created_at": intent.created_at + step_s,
        "desired_at": intent.desired_at + step_s,
        "drain_until": intent.drain_until + step_s if intent.drain_until else 0.0,
    }


def _size(group: Group) -> tuple[object, ...]:
    options = sorted(group.policy_options.items(), key=str)
    return (group.min_instances, group.max_instances, group.policy, options)


def note_deleted(intents: Iterable[Intent], groups: Mapping[str, Group], ledger: Ledger) -> None:
    """Another hand deleted instances of ours: a group that shrinks then wants so many fewer."""
    for name, count in Counter(each.group for each in intents).items():
        group = groups.get(name)
        if group is not None and group.on_external_delete is OnDelete.SHRINK:
            ledger.notes.put(_name(group), shrunk(group, ledger) + count)


def shrunk(group: Group, ledger: Ledger) -> int:
    """By how many the group is to be smaller than its policy wants."""
    return int(ledger.notes.get(_name(group), 0))


def forget_deleted(group: Group, ledger: Ledger) -> None:
    """An operator has said anew how many he wants."""
    ledger.notes.drop(_name(group))


def _name(group: Group) -> str:
    return f"shrunk {group.name}"
