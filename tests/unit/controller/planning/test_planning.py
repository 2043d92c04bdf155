from __future__ import annotations

from dataclasses import replace
from datetime import time

import pytest
from msgspec import structs
from planning_support import GROUP, NOW, a_member, done, planned

from vast_pyworker.controller.planning.context import Verdict
from vast_pyworker.model import (
    ActionKind,
    Bounds,
    Desired,
    Pace,
    Phase,
    Report,
    Stage,
    Trouble,
    Window,
)


def test_all_that_will_be_capacity_counts() -> None:
    stages = (
        Stage.ORDERED, Stage.LOADING, Stage.JOINING, Stage.WARMING, Stage.STARTING, Stage.READY,
        Stage.SUSPECT, Stage.MISSING,
    )  # fmt: skip
    members = [a_member(i, each, since=NOW - 10) for i, each in enumerate(stages)]
    assert done(planned(members, hot=8)) == []


def test_what_leaves_is_no_capacity() -> None:
    stages = (Stage.DESTROYING, Stage.STOPPING, Stage.DRAINING)
    members = [a_member(i, each, held=True) for i, each in enumerate(stages)]
    assert done(planned(members, hot=1)) == ["rent"]


def test_rents_under_way_count_and_no_second_order_is_made() -> None:
    assert done(planned([a_member(1)], hot=2, renting=1)) == []
    assert done(planned([a_member(1)], hot=5, renting=1)) == []


@pytest.mark.parametrize(
    ("stage", "fields", "first"),
    [
        (Stage.DRAINING, {}, "keep 2"),
        (Stage.DRAINING, {"desired": Desired.STOP}, "keep 2"),
        (Stage.STOPPING, {}, "keep 2"),
        (Stage.DESTROYING, {}, "rent"),
        (Stage.DRAINING, {"set_by": "alice"}, "rent"),
        (Stage.DRAINING, {"held": True}, "rent"),
        (Stage.DRAINING, {"usd_per_hour": 0.51}, "rent"),
        (Stage.DRAINING, {"ends_at": NOW + 600}, "rent"),
        (Stage.DRAINING, {"silent_s": 91.0}, "rent"),
        (Stage.DRAINING, {"silent_s": None}, "rent"),
        (Stage.DRAINING, {"report": Report(2, "1", error_msg="out of memory")}, "rent"),
    ],
)
def test_only_what_is_well_and_drained_by_a_plan_is_taken_back(
    stage: Stage, fields: dict[str, object], first: str
) -> None:
    own = {"usd_per_hour"} & set(fields)
    member = a_member(2, stage, **{k: v for k, v in fields.items() if k not in own})
    if own and member.instance is not None:
        member = structs.replace(member, instance=replace(member.instance, usd_per_hour=0.51))
    assert done(planned([a_member(1), member], hot=2))[0] == first


@pytest.mark.parametrize("phase", [Phase.OFFLINE, Phase.OUTBID])
def test_a_stopped_one_that_cannot_start_is_not_told_to(phase: Phase) -> None:
    assert done(planned([a_member(1, Stage.COLD, phase=phase)], hot=1, cold=1)) == ["rent"]


def test_a_stopped_one_above_the_cap_of_the_hour_waits_for_a_dearer_hour() -> None:
    dear = a_member(1, Stage.COLD)
    assert dear.instance is not None
    dear = structs.replace(dear, instance=replace(dear.instance, usd_per_hour=0.6))
    day = Bounds(0, 10, 0.5)
    assert done(planned([dear], hot=0, cold=1, bounds=day)) == ["destroy 1", "rent"]
    night = Window(frozenset(range(7)), time(22), time(6), "UTC", max_usd_per_hour=0.7)
    group = replace(GROUP, windows=(night,))
    assert done(planned([dear], hot=0, cold=1, group=group, bounds=day)) == []
    assert done(planned([dear], hot=1, cold=1, group=group, bounds=day)) == ["rent"]
    assert done(planned([dear], hot=1, cold=0, group=group, bounds=Bounds(0, 10, 0.7))) == [
        "start 1"
    ]


def test_the_cheapest_of_the_stopped_is_started() -> None:
    members = [a_member(i, Stage.COLD) for i in (1, 2, 3)]
    prices = (0.4, 0.2, 0.3)
    members = [
        structs.replace(each, instance=replace(each.instance, usd_per_hour=usd))
        for each, usd in zip(members, prices, strict=True)
        if each.instance is not None
    ]
    assert done(planned(members, hot=1, cold=2)) == ["start 2"]


def test_a_started_one_of_the_pool_is_replaced_in_it() -> None:
    assert done(planned([a_member(1, Stage.COLD)], hot=1, cold=1)) == ["start 1", "rent"]


def test_a_price_above_the_cap_ends_a_member_and_an_unknown_price_does_not() -> None:
    dear, unknown = a_member(1), a_member(2)
    assert dear.instance is not None and unknown.instance is not None
    dear = structs.replace(dear, instance=replace(dear.instance, usd_per_hour=0.51))
    unknown = structs.replace(unknown, instance=replace(unknown.instance, usd_per_hour=None))
    assert done(planned([dear, unknown], hot=2)) == ["drain 1", "rent"]


def test_each_rent_is_judged_with_those_planned_before_it() -> None:
    asked: list[tuple[float, int]] = []

    def may_rent(usd_per_hour: float, planned_rents: int) -> Verdict:
        asked.append((usd_per_hour, planned_rents))
        return Verdict(planned_rents < 2, "" if planned_rents < 2 else "No more money.")

    made = planned([], hot=4, may_rent=may_rent)
    assert done(made) == ["rent", "rent"]
    assert asked == [(0.5, 0), (0.5, 1), (0.5, 2)]
    assert made.held_back == ("No more money.",)
    assert made.sentence.endswith("rent 2 (at most $0.500/h). Held back: No more money.")


def test_what_is_not_needed_is_not_judged() -> None:
    def may_rent(usd_per_hour: float, planned_rents: int) -> Verdict:
        raise AssertionError("asked without a need")

    assert done(planned([a_member(1)], hot=1, may_rent=may_rent)) == []


def test_below_the_minimum_no_cooldown_holds() -> None:
    group = replace(GROUP, min_instances=2, pace=Pace(cooldown_up_s=600.0, max_step=5))
    made = planned([], hot=4, group=group, last_up_at=NOW - 10)
    assert done(made) == ["rent", "rent"]
    assert made.held_back == ("2 more wait: at most 5 at once, 600 s apart.",)
    assert len(done(planned([], hot=4, group=group, last_up_at=NOW - 600))) == 4
    assert len(done(planned([], hot=4, group=group, last_up_at=NOW + 50))) == 4  # clock went back


def test_the_largest_step_holds_for_starts_and_rents_together() -> None:
    group = replace(GROUP, pace=Pace(max_step=2))
    members = [a_member(1, Stage.COLD)]
    assert done(planned(members, hot=4, group=group)) == ["start 1", "rent"]


def test_three_failed_hosts_stop_the_line_but_not_starts() -> None:
    hosts = frozenset({1, 2, 3})
    made = planned([a_member(1, Stage.COLD)], hot=2, failed_hosts=hosts)
    assert done(made) == ["start 1", "alert"]
    assert done(planned([a_member(1)], hot=1, failed_hosts=hosts)) == []
    assert done(planned([], hot=1, failed_hosts=frozenset({1, 2}))) == ["rent"]


def test_a_victim_is_not_told_to_start_or_reboot_too() -> None:
    bad = a_member(1, Stage.SUSPECT, trouble=Trouble.STOPPED)
    assert done(planned([bad, a_member(2)], hot=1)) == ["drain 1"]


def test_no_more_of_those_that_serve_go_than_are_ready_beyond_what_is_wanted() -> None:
    members = [a_member(1), a_member(2, Stage.LOADING, held=True)]
    assert done(planned(members, hot=1)) == []


def test_one_with_requests_is_not_stopped_while_it_is_needed() -> None:
    members = [a_member(1, in_flight=3), a_member(2, Stage.LOADING)]
    assert done(planned(members, hot=1, cold=1)) == []


@pytest.mark.parametrize("stage", [each for each in Stage if each is not Stage.ORDERED])
def test_nothing_happens_to_what_a_person_holds(stage: Stage) -> None:
    fields = {"trouble": Trouble.FAILED} if stage is Stage.SUSPECT else {}
    member = a_member(1, stage, held=True, since=NOW - 1e6, ends_at=NOW + 10, **fields)
    for hot in (0, 1, 2):
        made = planned([member], hot=hot)
        assert all(each.intent_id != member.intent.id for each in made.actions)


def test_a_group_that_is_all_old_is_replaced_one_by_one() -> None:
    old = [a_member(i, created_at=NOW - 1e5) for i in (1, 2)]
    group = replace(GROUP, max_instances=2, max_lifetime_s=86400.0)
    assert done(planned(old, hot=2, group=group)) == ["rent"]
    young = a_member(3, Stage.WARMING)
    assert done(planned([*old, young], hot=2, group=group)) == []
    ready = a_member(3)
    made = planned([*old, ready], hot=2, group=group)
    assert done(made) == ["drain 1", "rent"]


def test_an_old_one_that_serves_nobody_goes_at_once() -> None:
    group = replace(GROUP, max_lifetime_s=86400.0)
    old = a_member(1, Stage.SUSPECT, trouble=Trouble.UNKNOWN, created_at=NOW - 1e5)
    assert done(planned([old, a_member(2)], hot=1, group=group)) == ["drain 1"]
    assert done(planned([old], hot=0, group=group)) == ["drain 1"]
    assert done(planned([old], hot=1, group=group)) == []  # it may come back, or will be ended
    loading = a_member(1, Stage.LOADING, since=NOW - 10, created_at=NOW - 1e5)
    assert done(planned([loading], hot=1, group=group)) == ["destroy 1", "rent"]


def test_old_ones_that_nobody_has_heard_yet_are_not_ended_together() -> None:
    """As a controller finds its fleet when it starts anew."""
    group = replace(GROUP, max_lifetime_s=86400.0)
    fleet = [a_member(each, Stage.JOINING, since=NOW, created_at=NOW - 1e5) for each in range(1, 6)]
    assert done(planned(fleet, hot=5, group=group)) == []


def test_one_that_may_have_requests_is_drained_also_before_it_was_heard() -> None:
    joining = [a_member(each, Stage.JOINING, since=NOW) for each in (1, 2)]
    assert done(planned(joining, hot=1)) == ["drain 1"]
    loading = [a_member(each, Stage.LOADING, since=NOW) for each in (1, 2)]
    assert done(planned(loading, hot=1)) == ["destroy 1"]


def test_spent_money_is_not_spared_by_the_brake_but_by_a_person() -> None:
    fleet = [
        *(a_member(each, Stage.SUSPECT, trouble=Trouble.SILENT, since=NOW - 9) for each in (1, 2)),
        a_member(3, Stage.SUSPECT, trouble=Trouble.SILENT, since=NOW - 9, held=True),
        a_member(4),
    ]
    assert done(planned(fleet, hot=0)) == ["alert"]
    made = planned(fleet, hot=0, spent="the day is over its limit")
    assert done(made) == ["drain 1", "drain 2", "drain 4"]
    assert "1 held by a person, and billed on." in made.held_back


def test_an_old_stopped_one_is_destroyed() -> None:
    made = planned([a_member(1, Stage.COLD, ends_at=NOW + 600)], hot=0, cold=1)
    assert done(made) == ["destroy 1", "rent"]


def test_nothing_is_started_for_what_another_hand_deleted_and_nobody_wants_back() -> None:
    assert done(planned([a_member(1)], hot=2, shrunk=1)) == []


def test_reasons_and_prices_go_with_every_action() -> None:
    made = planned([a_member(1, Stage.LOADING, since=NOW - 2000)], hot=1)
    assert [each.kind for each in made.actions] == [ActionKind.DESTROY, ActionKind.RENT]
    assert [each.usd_per_hour for each in made.actions] == [0.3, 0.5]
    assert made.actions[0].reason.startswith("loading for 33 min, 30 min allowed")
    assert made.actions[1].reason == "1 wanted: test"


def test_only_fewer_wanted_is_a_step_down_and_the_end_of_a_bad_one_is_not() -> None:
    late = a_member(2, Stage.JOINING, since=NOW - 400)
    assert done(replaced := planned([a_member(1), late], hot=2)) == ["destroy 2", "rent"]
    assert not replaced.shrinks
    assert planned([a_member(1), a_member(2)], hot=1).shrinks
