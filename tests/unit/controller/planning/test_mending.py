"""What fails is mended a share at a time: no group loses more than the brake would let it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from planning_support import GROUP, NOW, a_member, done, planned

from vast_pyworker.controller.deciding import History
from vast_pyworker.controller.planning.mending import lately
from vast_pyworker.model import ActionKind, Member, Plan, Stage, Trouble

OLD = NOW - 86400.0


def silent(number: int, **fields: Any) -> Member:
    """One that served for a day and has been silent longer than the brake looks back."""
    told = {"since": NOW - 900.0, "created_at": OLD, "trouble": Trouble.SILENT, "probe_ok": False}
    return a_member(number, Stage.SUSPECT, **{**told, **fields})


def rebooted(number: int, **fields: Any) -> Member:
    return silent(number, **{"reboots": 1, "told_at": NOW - 100.0, **fields})


def count(made: Plan, kind: ActionKind) -> int:
    return sum(each.kind is kind for each in made.actions)


def test_five_thousand_silent_ones_are_rebooted_a_fifth_at_a_time() -> None:
    fleet = [silent(each) for each in range(5000)] + [a_member(9000 + n) for n in range(5000)]
    made = planned(fleet, hot=10_000, group=replace(GROUP, max_instances=10_000))
    assert count(made, ActionKind.REBOOT) == 2000 == len(made.mended)
    assert "3000 more wait to be mended: at most 2000 are rebooted" in made.sentence


def test_nobody_else_is_rebooted_while_those_are_under_way() -> None:
    fleet = [silent(each) for each in range(4)]
    made = planned(fleet, hot=4)
    assert done(made) == ["reboot 0", "reboot 1"]
    history = History()
    mended = history.mending(made, NOW)
    assert done(planned(fleet, hot=4, mended=mended)) == ["reboot 0", "reboot 1"]
    told = [rebooted(0), rebooted(1), silent(2), silent(3)]
    assert done(planned(told, hot=4, mended=mended)) == []
    assert done(planned(told, hot=4)) == []  # a controller that began anew sees that they were told


def test_one_that_is_ready_again_gives_its_turn_to_the_next() -> None:
    fleet = [a_member(0, reboots=1), rebooted(1), silent(2), silent(3)]
    assert done(planned(fleet, hot=4, mended={"i0000": NOW - 100, "i0001": NOW - 100})) == [
        "reboot 2"
    ]


def test_one_that_a_reboot_did_not_help_keeps_its_turn_and_is_replaced() -> None:
    late = rebooted(1, told_at=NOW - 700.0)
    fleet = [late, rebooted(2), silent(3), silent(4)]
    made = planned(fleet, hot=4)
    assert done(made) == ["destroy 1", "rent"]
    left = [each for each in fleet if each is not late]
    assert done(planned(left, hot=3, mended=History().mending(made, NOW))) == []


def test_a_turn_ends_with_the_window_and_moves_with_the_clock() -> None:
    assert lately({"a": NOW - 299.0, "b": NOW - 300.0}, NOW) == {"a": NOW - 299.0}
    history = History(mended={"a": NOW - 299.0})
    assert history.moved(-3600.0).mended == {"a": NOW - 3899.0}


def test_what_has_never_served_takes_no_turn() -> None:
    """Its end is no loss, and waiting for it costs money."""
    never = [
        a_member(each, Stage.JOINING, since=NOW - 400, created_at=NOW - 2000) for each in range(4)
    ]
    assert done(planned(never, hot=0)).count("rent") == 0
    assert len([each for each in done(planned(never, hot=4)) if "destroy" in each]) == 4


def test_a_fleet_that_a_new_controller_never_hears_is_not_ended_at_once() -> None:
    """Reports that cannot reach it look like workers that never joined."""
    unheard = [a_member(each, Stage.JOINING, since=NOW - 400, created_at=OLD) for each in range(9)]
    made = planned(unheard, hot=9)
    assert [each for each in done(made) if each != "rent"] == ["destroy 0", "destroy 1"]
    assert "7 more wait to be mended" in made.sentence


def test_what_a_person_holds_takes_no_turn() -> None:
    fleet = [silent(0, held=True), silent(1, held=True), silent(2), silent(3), a_member(4)]
    assert done(planned(fleet, hot=5)) == ["reboot 2", "reboot 3"]
