from __future__ import annotations

from dataclasses import replace

from msgspec import structs
from planning_support import NOW, a_member

from vast_pyworker.controller.planning.victims import surplus_cold, victims
from vast_pyworker.model import Member, Stage


def priced(member: Member, usd: float, stopped: float | None = None) -> Member:
    assert member.instance is not None
    instance = replace(member.instance, usd_per_hour=usd, usd_per_hour_stopped=stopped)
    return structs.replace(member, instance=instance)


def ids(members: list[Member]) -> list[int | None]:
    return [each.intent.instance_id for each in members]


def test_suspects_then_never_ready_then_least_used_then_dearest() -> None:
    members = [
        a_member(1, in_flight=None),
        a_member(2, in_flight=4),
        priced(a_member(3, in_flight=0), 0.2),
        priced(a_member(4, in_flight=0), 0.4),
        a_member(5, Stage.WARMING),
        a_member(6, Stage.LOADING),
        a_member(7, Stage.SUSPECT),
    ]
    assert ids(victims(members, 9, 9)) == [7, 6, 5, 4, 3, 2, 1]
    assert ids(victims(members, 2, 9)) == [7, 6]
    assert ids(victims(members, 9, 1)) == [7, 6, 5, 4]
    assert victims(members, -1, -1) == []


def test_neither_the_held_nor_the_missing_go() -> None:
    assert victims([a_member(1, held=True), a_member(2, Stage.MISSING)], 2, 2) == []


def test_of_the_stopped_the_dearest_to_keep_go_first() -> None:
    cold = [
        priced(a_member(1, Stage.COLD), 0.2, 0.01),
        priced(a_member(2, Stage.COLD), 0.2, 0.03),
        priced(a_member(3, Stage.COLD), 0.4, 0.01),
        a_member(4, Stage.COLD, held=True),
        a_member(5, Stage.STOPPING, since=NOW),
    ]
    assert ids(surplus_cold(cold, 2)) == [2, 3]
