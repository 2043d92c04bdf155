from __future__ import annotations

import pytest
from planning_support import NOW, a_member, done, planned

from vast_pyworker.controller.planning.brake import braked
from vast_pyworker.model import Member, Stage, Trouble


def fleet(well: int, bad: int, since: float = NOW - 60) -> list[Member]:
    return [
        *(a_member(each) for each in range(well)),
        *(
            a_member(100 + each, Stage.SUSPECT, trouble=Trouble.FAILED, since=since)
            for each in range(bad)
        ),
    ]


@pytest.mark.parametrize(
    ("well", "bad", "on"),
    [(0, 2, False), (0, 3, True), (8, 2, False), (7, 3, True), (17, 4, False), (16, 5, True)],
)
def test_it_is_on_above_two_and_above_a_fifth(well: int, bad: int, on: bool) -> None:
    assert bool(braked(fleet(well, bad), NOW)) is on


def test_what_turned_bad_long_ago_does_not_count() -> None:
    assert not braked(fleet(1, 3, since=NOW - 300), NOW)
    assert braked(fleet(1, 3, since=NOW - 299), NOW)


def test_the_missing_count_and_those_that_leave_do_not() -> None:
    missing = [a_member(each, Stage.MISSING, since=NOW - 10) for each in range(3)]
    assert braked(missing, NOW)
    leaving = [a_member(each, Stage.DESTROYING, since=NOW - 10) for each in range(30)]
    assert braked([*missing, *leaving], NOW)


def test_those_proven_gone_count_as_if_they_were_missing_still() -> None:
    missing = [a_member(each, Stage.MISSING, since=NOW - 10) for each in range(2)]
    assert not braked(missing, NOW)
    assert braked(missing, NOW, gone=1).startswith("3 of 3 turned suspect or missing")
    well = [a_member(10 + each) for each in range(8)]
    assert not braked(well, NOW, gone=2)
    assert done(planned(well, hot=11, gone=3)) == ["alert"]


def test_while_it_is_on_nothing_is_done_and_a_person_is_told() -> None:
    made = planned(fleet(1, 3), hot=9)
    assert done(made) == ["alert"]
    assert "3 of 4 turned suspect or missing" in made.sentence


def test_afterwards_what_is_bad_still_is_dealt_with() -> None:
    made = planned(fleet(1, 3, since=NOW - 400), hot=4)
    assert done(made) == ["destroy 100", "destroy 101", "destroy 102", "rent", "rent", "rent"]
    assert done(planned(once_served(3), hot=4)) == ["destroy 100", "destroy 101", "rent", "rent"]


def once_served(bad: int) -> list[Member]:
    """One that is well, and some that served and have failed for long."""
    failed = (
        a_member(
            100 + each, Stage.SUSPECT, trouble=Trouble.FAILED, since=NOW - 400,
            created_at=NOW - 1e5,
        )
        for each in range(bad)
    )  # fmt: skip
    return [a_member(1), *failed]
