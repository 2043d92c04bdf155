"""What holds for every plan: it converges, stays within bounds, and leaves alone what is held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import assume, given, note, settings
from hypothesis import strategies as st
from msgspec import structs
from planning_support import GROUP, NOW, a_member, planned

from vast_pyworker.controller.planning.brake import braked
from vast_pyworker.model import (
    Action,
    ActionKind,
    Desired,
    Group,
    Member,
    Pace,
    Plan,
    Stage,
    Trouble,
)

GROUPS = st.builds(
    lambda pair, cold, step: replace(
        GROUP,
        min_instances=min(pair),
        max_instances=max(pair),
        cold_instances=cold,
        pace=Pace(0.0, 0.0, step),
        max_lifetime_s=86400.0,
    ),
    st.tuples(st.integers(0, 5), st.integers(0, 5)),
    st.integers(0, 2),
    st.integers(1, 4),
)


@st.composite
def fleets(draw: st.DrawFn) -> list[Member]:
    return [
        _member(draw, number) for number in range(1, draw(st.integers(0, 8)) + 1)
    ]  # fmt: skip


def _member(draw: st.DrawFn, number: int) -> Member:
    stage = draw(st.sampled_from(Stage))
    member = a_member(
        number,
        stage,
        since=NOW - draw(st.sampled_from([10.0, 400.0, 2000.0])),
        created_at=NOW - draw(st.sampled_from([5000.0, 90000.0])),
        held=draw(st.integers(0, 5)) == 0,
        in_flight=draw(st.none() | st.integers(0, 2)),
        trouble=draw(st.sampled_from(Trouble)) if stage is Stage.SUSPECT else None,
        probe_ok=draw(st.none() | st.booleans()),
        reboots=draw(st.integers(0, 1)),
    )
    if member.instance is None:
        return member
    usd = draw(st.sampled_from([None, 0.2, 0.5, 0.6]))
    return structs.replace(member, instance=replace(member.instance, usd_per_hour=usd))


def applied(members: Sequence[Member], made: Plan) -> list[Member]:
    """The members after a plan was done, before anything else has happened."""
    by_id = {each.intent.id: each for each in members}
    for number, action in enumerate(made.actions):
        if action.kind is ActionKind.RENT:
            new = a_member(1000 + number, Stage.ORDERED, since=NOW, created_at=NOW)
            by_id[new.intent.id] = new
        elif action.intent_id is not None:
            by_id[action.intent_id] = _told(by_id[action.intent_id], action)
    return list(by_id.values())


def _told(member: Member, action: Action) -> Member:
    desired, stage = {
        ActionKind.DRAIN: (Desired.DESTROY, Stage.DRAINING),
        ActionKind.DESTROY: (Desired.DESTROY, Stage.DESTROYING),
        ActionKind.STOP: (Desired.STOP, Stage.DRAINING),
        ActionKind.KEEP: (Desired.RUN, Stage.WARMING),
        ActionKind.START: (Desired.RUN, Stage.STARTING),
        ActionKind.REBOOT: (Desired.RUN, Stage.STARTING),
    }[action.kind]
    intent = replace(member.intent, desired=desired, reason=action.reason, desired_at=NOW)
    return structs.replace(member, intent=intent, stage=stage, since=NOW, trouble=None)


def settled(members: Sequence[Member]) -> list[Member]:
    """What becomes of members in time: they come up, stop, and go; some are found."""
    after = []
    for each in members:
        desired = each.intent.desired
        if each.intent.held or each.stage is Stage.MISSING:
            after.append(each)
        elif desired is Desired.STOP:
            after.append(_at(each, Stage.COLD))
        elif desired is Desired.RUN and each.stage is not Stage.SUSPECT:
            after.append(_at(each, Stage.READY))
        elif desired is Desired.RUN:
            after.append(each)
    return after


def _at(member: Member, stage: Stage) -> Member:
    fresh = a_member(1, stage)
    assert member.instance is not None and fresh.instance is not None
    instance = replace(member.instance, phase=fresh.instance.phase)
    return structs.replace(
        member, stage=stage, instance=instance, since=NOW, silent_s=5.0, report=None, trouble=None
    )


def noted(members: Sequence[Member], made: Plan) -> Plan:
    """Shows a failing case in a form that a person can read."""
    for each in members:
        held = "held" if each.intent.held else ""
        old = f"{NOW - each.intent.created_at:.0f} s old"
        note(f"{each.intent.id} {each.stage} {each.intent.desired} {old} {each.trouble} {held}")
    for action in made.actions:
        note(f"  {action.kind} {action.intent_id} {action.reason}")
    note(made.sentence)
    return made


def wanting(group: Group, data: st.DataObject) -> int:
    return data.draw(st.integers(group.min_instances, group.max_instances))


@given(group=GROUPS, members=fleets(), data=st.data())
@settings(max_examples=200)
def test_no_plan_goes_above_the_bounds_or_the_step(
    group: Group, members: list[Member], data: st.DataObject
) -> None:
    hot = data.draw(st.integers(0, 9))
    made = noted(members, planned(members, hot, group.cold_instances, group=group))
    mended = [each for each in made.actions if each.reason.startswith("started again")]
    kinds = [each.kind for each in made.actions if each not in mended]
    assert kinds.count(ActionKind.RENT) + kinds.count(ActionKind.START) <= group.pace.max_step
    assert group.min_instances <= made.want.hot <= group.max_instances
    after = applied(members, made)
    running = [each for each in after if each.intent.desired is Desired.RUN]
    if ActionKind.RENT in kinds:
        standing = [each for each in after if each.intent.desired is Desired.STOP]
        ruins = [each for each in after if each.intent.held]
        surge = 1
        total = len(running) + len(standing) - len(ruins)
        assert total <= made.want.hot + surge + max(made.want.cold, len(standing))


@given(group=GROUPS, members=fleets(), data=st.data())
@settings(max_examples=200)
def test_what_is_held_is_untouched_and_the_braked_do_nothing(
    group: Group, members: list[Member], data: st.DataObject
) -> None:
    made = planned(members, wanting(group, data), group.cold_instances, group=group)
    held = {each.intent.id for each in members if each.intent.held}
    assert not held & {each.intent_id for each in made.actions}
    if braked(members, NOW):
        assert [each.kind for each in made.actions] == [ActionKind.ALERT]


@given(group=GROUPS, members=fleets(), data=st.data())
@settings(max_examples=200)
def test_one_member_gets_one_action(
    group: Group, members: list[Member], data: st.DataObject
) -> None:
    made = planned(members, wanting(group, data), group.cold_instances, group=group)
    ids = [each.intent_id for each in made.actions if each.intent_id is not None]
    assert len(ids) == len(set(ids))


@given(group=GROUPS, members=fleets(), data=st.data())
@settings(max_examples=200)
def test_those_that_serve_never_fall_below_what_is_wanted_but_for_their_price(
    group: Group, members: list[Member], data: st.DataObject
) -> None:
    made = planned(members, wanting(group, data), group.cold_instances, group=group)
    dear = {each.intent_id for each in made.actions if each.reason.startswith("costs ")}
    ready = [each for each in members if each.stage is Stage.READY and each.intent.id not in dear]
    gone = {each.intent_id for each in made.actions}
    left = sum(each.intent.id not in gone for each in ready)
    assert left >= min(made.want.hot, len(ready))


@given(group=GROUPS, members=fleets(), data=st.data())
@settings(max_examples=200)
def test_once_it_is_done_the_next_plan_is_empty(
    group: Group, members: list[Member], data: st.DataObject
) -> None:
    group = replace(group, pace=Pace(0.0, 0.0, 99))
    hot = wanting(group, data)
    made = noted(members, planned(members, hot, group.cold_instances, group=group))
    assume(not any("wait" in each for each in made.held_back))  # who ends leaves the turn to others
    mended = dict.fromkeys(made.mended, NOW)
    after = applied(members, made)
    again = noted(after, planned(after, hot, group.cold_instances, group=group, mended=mended))
    assert [each for each in again.actions if each.kind is not ActionKind.ALERT] == []


@given(group=GROUPS, members=fleets(), data=st.data())
@settings(max_examples=100)
def test_it_converges_to_what_is_wanted(
    group: Group, members: list[Member], data: st.DataObject
) -> None:
    hot, fleet = wanting(group, data), [
        each for each in members
        if not each.intent.held and each.stage not in (Stage.SUSPECT, Stage.MISSING)
    ]  # fmt: skip
    for _ in range(20):
        made = noted(fleet, planned(fleet, hot, group.cold_instances, group=group))
        fleet = settled(applied(fleet, made))
        fleet = [_renumbered(each, at) for at, each in enumerate(fleet, 1)]
    stages = [each.stage for each in settled(fleet)]
    assert stages.count(Stage.READY) == hot
    assert stages.count(Stage.COLD) == group.cold_instances
    assert planned(settled(fleet), hot, group.cold_instances, group=group).actions == ()


def _renumbered(member: Member, number: int) -> Member:
    return structs.replace(
        member, intent=replace(member.intent, id=f"i{number:04}", instance_id=number)
    )
