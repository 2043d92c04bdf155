"""Who is looked at directly, how often, and how many at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from msgspec import structs
from planning.planning_support import a_member

from vast_pyworker.controller.probing import AT_ONCE, LONGEST_S, PER_TICK, Probing
from vast_pyworker.model import Member, Report, Stage, Trouble


class Later:
    """An executor whose work is done when it is told to."""

    def __init__(self) -> None:
        self.work: dict[str, Callable[[], None]] = {}
        self.most = 0

    def run(self, key: str, work: Callable[[], None]) -> bool:
        if key in self.work:
            return False
        self.work[key] = work
        self.most = max(self.most, len(self.work))
        return True

    def busy(self, key: str) -> bool:
        return key in self.work

    def close(self, wait_s: float) -> None: ...

    def do(self) -> None:
        while self.work:
            self.work.pop(next(iter(self.work)))()


class Site:
    def __init__(self) -> None:
        self.at = 0.0
        self.later = Later()
        self.asked: list[tuple[float, str]] = []
        self.found: dict[str, bool] = {}
        self.probing = Probing(self.later, self._probe, self._note, lambda: self.at)

    def _probe(self, url: str) -> bool:
        self.asked.append((self.at, url))
        return url.endswith("1")

    def _note(self, intent_id: str, found: bool) -> None:
        self.found[intent_id] = found

    def tick(self, members: list[Member], seconds: float = 5.0) -> int:
        """How many were asked."""
        before = len(self.asked)
        self.probing.look(members)
        self.later.do()
        self.at += seconds
        return len(self.asked) - before


def doubted(number: int, **fields: Any) -> Member:
    report = Report(number, "1", url=f"http://w{number}")
    told = {"report": report, "trouble": Trouble.SILENT, **fields}
    return a_member(number, Stage.SUSPECT, **told)


def test_five_thousand_are_looked_at_some_at_a_time_and_each_at_last() -> None:
    site = Site()
    fleet = [doubted(each) for each in range(5000)]
    counts = [site.tick(fleet) for _ in range(80)]
    assert set(counts) == {PER_TICK}
    assert site.later.most == AT_ONCE
    assert len(site.found) == 5000  # those looked at least come first
    assert site.found["i0001"] and not site.found["i0002"]


def test_one_is_looked_at_once_in_ten_seconds_and_less_and_less_often() -> None:
    site, one = Site(), [doubted(7)]
    for _ in range(2000):
        site.tick(one, 1.0)
    times = [at for at, _ in site.asked]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert gaps == sorted(gaps) and min(gaps) >= 10.0
    assert LONGEST_S <= gaps[-1] <= 1.5 * LONGEST_S + 1
    assert len(times) < 16


def test_those_that_fell_silent_together_are_not_asked_together_again() -> None:
    site = Site()
    fleet = [doubted(each) for each in range(60)]
    assert site.tick(fleet, 1.0) == 60
    again = [site.tick(fleet, 1.0) for _ in range(16)]
    assert sum(again) == 60 and max(again) <= 30


def test_who_is_well_again_is_asked_at_once_when_it_falls_silent_anew() -> None:
    site, one = Site(), doubted(1)
    assert [site.tick([one]) for _ in range(2)] == [1, 0]
    assert site.tick([structs.replace(one, stage=Stage.READY)]) == 0
    assert site.tick([one]) == 1


def test_while_answers_are_awaited_no_more_are_put_aside() -> None:
    site = Site()
    fleet = [doubted(each) for each in range(1000)]
    for _ in range(50):
        site.probing.look(fleet)
        site.at += 5.0
    assert len(site.later.work) == AT_ONCE
    site.later.do()
    assert len(site.asked) == PER_TICK


def test_only_those_in_doubt_that_said_where_they_are_can_be_looked_at() -> None:
    site = Site()
    nowhere = doubted(2, report=Report(2, "1"))
    unheard = doubted(3, report=None)
    assert site.tick([a_member(1), nowhere, unheard]) == 0
