from __future__ import annotations

from planning_support import NOW, a_member, planned

from vast_pyworker.controller.planning.context import Verdict
from vast_pyworker.controller.planning.words import span
from vast_pyworker.controller.policy.words import amount
from vast_pyworker.model import Stage


def test_it_says_what_is_wanted_what_there_is_and_what_is_done() -> None:
    members = [a_member(1), a_member(2, in_flight=2), a_member(3, Stage.COLD)]
    assert planned(members, hot=1, cold=1).sentence == (
        "want 1 and 1 cold (test), have 2 ready, 1 cold: drain 1 (idle, $0.300/h)."
    )


def test_it_is_the_same_as_long_as_nothing_changes_in_meaning() -> None:
    first = [a_member(1), a_member(2, Stage.LOADING, since=NOW - 60)]
    later = [a_member(1, in_flight=7, silent_s=1.0), a_member(2, Stage.LOADING, since=NOW - 900)]
    assert planned(first, hot=2).sentence == planned(later, hot=2).sentence


def test_sums_of_money_that_change_by_the_minute_stay_out_of_it() -> None:
    told = "One more could take the day to $21 of at most $20 (limits.usd_per_day): $3.21 is spent."
    made = planned([], hot=1, may_rent=lambda usd, rents: Verdict(False, told))
    assert made.sentence.endswith("Held back: " + told.partition(": $")[0] + ".")
    assert made.held_back == (told,)


def test_many_reasons_are_cut_short() -> None:
    ages = (2000, 3000, 4000, 4000, 5000)
    members = [a_member(i, Stage.LOADING, since=NOW - age) for i, age in enumerate(ages)]
    assert "destroy 5 (loading for 33 min" in planned(members, hot=5).sentence
    assert "; and 2 more)" in planned(members, hot=5).sentence


def test_numbers_are_rounded_to_what_matters() -> None:
    assert [amount(each) for each in (0.0, 0.3149, 2.68, 2.0, 27.3, 243.0, 12345.0, 9.96)] == [
        "0", "0.31", "2.7", "2", "27", "240", "12000", "10",
    ]  # fmt: skip
    assert [span(each) for each in (5.2, 119, 120, 7199, 7200, 9000, 1e5, 2e5)] == [
        "5 s", "119 s", "2 min", "120 min", "2 h", "2.5 h", "27.8 h", "2 d",
    ]  # fmt: skip
