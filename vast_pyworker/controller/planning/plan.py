"""What to do about a group now: brake, then what must go, then more, then fewer, and a sentence.

Pure: the same arguments make the same plan, and once it is done the next one is empty. What a
person holds is counted and never touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vast_pyworker.model import Action, ActionKind, Bounds, Group, Member, Plan, Want

from .aims import Aim, aim_of
from .brake import braked
from .context import Context
from .deadlines import due, due_cold, failed_hosts
from .falling import fall
from .mending import Turns, in_turn
from .overdue import age, old_ones, over_price, replaced
from .rising import rise
from .roster import Roster, end, is_ready, roster_of
from .sentence import say, wanted


def plan(
    group: Group, bounds: Bounds, want: Want, members: Sequence[Member], context: Context
) -> Plan:
    """The plan for one group, from all members of it that are not gone."""
    aim = aim_of(want, bounds, context)
    alarm = braked(members, context.now, context.gone)
    if alarm and not context.spent:
        alert = Action(ActionKind.ALERT, group.name, alarm)
        return _plan(group, aim, members, context, [alert], [alarm])
    whole = roster_of(members)
    dear = over_price(whole, group, bounds)
    failing, turns = _failing(whole.without(dear), group, members, context)
    must, notes = _split(whole, [*dear, *failing])
    # What a person holds in ruins is left, and is no capacity; what is only dear still serves.
    # One that fails now is the last before the line stops, not the last but one.
    failed = failed_hosts(failing, members, group.deadlines) | context.failed_hosts
    context = replace(context, failed_hosts=failed)
    ruins = [each for each in failing if each.kind is ActionKind.DESTROY]
    roster = whole.without([*must, *ruins])
    old = old_ones(roster.hot, group, context.now)
    spared = [
        end(each, age(each, group, context.now))
        for each in replaced(old, roster.hot, aim.hot, group)
    ]
    roster = roster.without(spared)
    # A successor is only rented for one that serves until then; others are ended, or come back.
    ending = {each.intent_id for each in spared}
    waiting = any(is_ready(each) and each.intent.id not in ending for each in old)
    aim = aim.with_surge(1 if waiting and aim.hot else 0)
    up = rise(group, bounds, aim, roster, context)
    down = fall(group, bounds, aim, roster, context, up.actions)
    left = {each.intent_id for each in (*spared, *down.actions)}
    mended = [each for each in must if each.intent_id not in left]
    actions = [*mended, *spared, *up.actions, *down.actions]
    held_back = [*notes, *turns.held_back, *up.held_back, *down.held_back]
    made = _plan(group, aim, members, context, actions, held_back)
    return replace(made, mended=turns.mended, shrinks=bool(down.actions))


def _failing(
    roster: Roster, group: Group, members: Sequence[Member], context: Context
) -> tuple[list[Action], Turns]:
    """What is due whatever is wanted, for the state that members are in; of those that serve, or
    did, only as many as may be mended at a time. What a person holds takes no turn."""
    now = context.now
    held: list[Action] = []
    free: list[Action] = []
    for member in roster.hot:
        action = due(member, group, now)
        if action is not None:
            (held if member.intent.held else free).append(action)
    turns = in_turn(free, members, context.mended, group.deadlines, now)
    cold = (due_cold(each, group, now) or _too_old(each, group, now) for each in roster.cold)
    return [*turns.now, *held, *(each for each in cold if each is not None)], turns


def _too_old(member: Member, group: Group, now: float) -> Action | None:
    reason = age(member, group, now)
    return end(member, reason) if reason else None


def _split(roster: Roster, due_now: Sequence[Action]) -> tuple[list[Action], list[str]]:
    """What may be done, and a sentence for each that a person's hold forbids."""
    if not due_now:
        return [], []
    held = {each.intent.id for each in (*roster.hot, *roster.cold) if each.intent.held}
    notes = [
        f"Instance {each.instance_id} is held by a person, or {each.kind} would follow."
        for each in due_now
        if each.intent_id in held
    ]
    return [each for each in due_now if each.intent_id not in held], notes


def _plan(
    group: Group,
    aim: Aim,
    members: Sequence[Member],
    context: Context,
    actions: Sequence[Action],
    held_back: Sequence[str],
) -> Plan:
    told = wanted(aim.hot, aim.cold, aim.reason)
    return Plan(
        group=group.name,
        want=Want(aim.hot, aim.cold, aim.reason),
        actions=tuple(actions),
        sentence=say(told, members, context.renting, actions, held_back),
        held_back=tuple(held_back),
    )
