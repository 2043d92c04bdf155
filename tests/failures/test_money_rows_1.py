"""The ways in which fleets have wasted money, M1 to M15: each is provoked, and the money counted.

The first sentence of each test says what the controller does about its row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from loop_rig import LIMITS, START, Rig, group, rig

from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.controller.policy.observation import Load
from vast_pyworker.errors import LedgerLocked, OutcomeUnknown
from vast_pyworker.model import Deadlines, Group, Limits, Phase, Stage
from vast_pyworker.providers.fake import FakeProvider, Times


class Killed(BaseException):
    """The end of the controller's process, at the worst moment."""


def acts(made: Rig, call: str) -> list[int | str]:
    """Whom each call of one kind was for."""
    return [each.subject for each in made.provider.acts if each.call == call]


@contextmanager
def unbilled(folder: Path, *groups: Group, limits: Limits = LIMITS) -> Iterator[Rig]:
    """A rig that cannot read the provider's bill: it has to count for itself."""
    with rig(folder, *groups, limits=limits) as made:
        made.provider.fail("charges", "unreachable", times=None)
        yield made


def assert_counted(made: Rig) -> None:
    """The ledger has every micro-dollar that was billed, but for one of rounding for each."""
    made.tick(0.0)
    billed = made.provider.billed_in_all()
    assert billed > 0
    assert made.ledger.spend.spent_micro(0.0) >= billed - made.provider.calls["create"]


def test_m01_a_restart_rents_no_second_fleet(tmp_path: Path) -> None:
    """Intents outlive the process in the ledger, what carries the fleet's label is adopted even
    where the ledger is lost, and nothing is rented before the first complete list."""
    with unbilled(tmp_path) as made:
        made.run(120)
        fleet = set(made.provider.truth())
        for lost in (False, True):
            made.ledger.abandon()
            for file in tmp_path.glob("ledger.db*") if lost else ():
                file.unlink()
            made.open()
            made.provider.fail("instances", "unreachable", times=3)
            made.provider.fail("instances", "lost_page", times=3)
            made.run(300)
            assert (len(acts(made, "create")), set(made.provider.truth())) == (2, fleet)
            assert made.ready() == 2


@pytest.mark.parametrize("points", range(1, 25))
def test_m02_a_crash_around_the_create_leaves_no_orphan(tmp_path: Path, points: int) -> None:
    """The intent is written before its create is sent once under a label of its own; after a crash
    or a timeout the label is looked for, and only where it is proven absent another is rented."""
    left = [-1]

    def watch(*point: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    with unbilled(tmp_path) as made:
        made.watch = made.provider.watch = watch
        made.restart()
        left[0] = points
        with suppress(Killed):
            made.tick()
        left[0] = -1
        made.restart()
        made.provider.list_lag_s = 20.0
        made.settle()
        assert len(set(acts(made, "create"))) == len(acts(made, "create")) == 2
        assert (len(made.provider.truth()), made.ready()) == (2, 2)
        assert_counted(made)


def test_m03_a_success_that_cannot_be_read_is_no_failure(tmp_path: Path) -> None:
    """An answer of success that cannot be read is an unknown outcome and never a failure: the
    instance is found by its label and kept."""
    with unbilled(tmp_path, group(min_instances=1)) as made:
        odd = [OutcomeUnknown("A create was answered by 200 and no JSON.", label=None)]

        def watch(moment: str, call: str) -> None:
            if (moment, call) == ("after", "create") and odd:
                raise odd.pop()

        made.provider.watch = watch
        made.settle()
        assert (len(acts(made, "create")), len(made.provider.truth())) == (1, 1)
        assert (made.ready(), acts(made, "destroy")) == (1, [])


@pytest.mark.parametrize("how", ["empty", "partial", "lost_page"])
def test_m04_a_short_list_replaces_nothing(tmp_path: Path, how: str) -> None:
    """A list that broke off is an error and no list; what is missing from whole ones is gone only
    after two of them and a direct look, and where many are missing at once all changes stop."""
    with unbilled(tmp_path, group(min_instances=5)) as made:
        made.run(120)
        before = made.provider.mutations
        made.provider.fail("instances", how, times=360)  # type: ignore[arg-type]
        made.run(1860)
        assert (made.provider.mutations, made.ready()) == (before, 5)
        assert_counted(made)


def test_m05_a_new_one_that_is_not_listed_yet_is_not_gone(tmp_path: Path) -> None:
    """One that was just rented counts as ordered capacity for five minutes before its absence from
    lists means anything."""
    with unbilled(tmp_path) as made:
        made.provider.list_lag_s = 240.0
        made.run(230)
        assert made.stages() == [Stage.ORDERED, Stage.ORDERED]
        made.run(600)
        assert (len(acts(made, "create")), made.ready()) == (2, 2)
        assert acts(made, "destroy") == []


def test_m06_orphans_are_found_counted_and_ended(tmp_path: Path) -> None:
    """Every list is swept for the fleet's label: an orphan gets an intent, is counted and paid for,
    and ends as surplus; one of a closed intent is destroyed; one of a group that is not named is
    said to people and left, as all that is not the fleet's."""
    with unbilled(tmp_path) as made:
        made.run(120)
        put = made.provider.outside.put
        orphan, unnamed, foreign = map(put, ("fleet/llm/nobody", "fleet/old/nobody", "somebody"))
        said = made.run(1200)
        left = set(made.provider.truth())
        assert {unnamed, foreign} <= left and len(left) == 4
        assert any(f"instance {orphan} of group llm was found" in each for each in said)
        assert any("belong to group old" in each for each in said)
        closed = made.ledger.intents.closed(1)[0]
        again = put(closed.label)
        made.run(60)
        assert again not in made.provider.truth()
        assert len(acts(made, "create")) == 2
        assert made.ledger.spend.by_instance()[unnamed] >= made.provider.billed(unnamed) - 2


def test_m07_a_destroy_that_is_lost_is_made_again(tmp_path: Path) -> None:
    """That an instance is to be gone is a wish in the ledger, told again with longer waits, through
    restarts, until the provider shows it gone; it costs until then and people are told."""
    with unbilled(tmp_path) as made:
        made.run(120)
        made.provider.fail("destroy", "ignored", times=5)
        made.provider.fail("destroy", "unreachable", times=5)
        made.loop.desire(replace(made.wishes, groups={"llm": group(min_instances=1)}))
        said = made.run(1200)
        assert len(made.provider.truth()) == 2
        assert any("still there, and billed" in each for each in said)
        assert_counted(made)
        made.wishes = replace(made.wishes, groups={"llm": group(min_instances=1)})
        made.restart()
        made.run(1800)
        assert (len(made.provider.truth()), len(acts(made, "create"))) == (1, 2)
        assert len(acts(made, "destroy")) == 11


def test_m08_what_stands_still_is_paid_for_and_ends(tmp_path: Path) -> None:
    """A stopped instance is charged for its disk, counts in every limit, and is destroyed when it
    has stood for the group's stopped_ttl or no cold pool wants it."""
    with unbilled(tmp_path, group(min_instances=1, cold_instances=1, stopped_ttl_s=7200.0)) as made:
        made.run(900)
        there = made.provider.truth().values()
        (cold,) = (each.id for each in there if each.phase is Phase.STOPPED)
        before = made.provider.billed(cold)
        made.run(3600, 30.0)
        assert cold in made.provider.truth() and made.provider.billed(cold) > before
        assert_counted(made)
        made.run(4500, 30.0)
        assert cold not in made.provider.truth()
        assert len(acts(made, "create")) == 3
        made.loop.desire(replace(made.wishes, groups={"llm": group(min_instances=1)}))
        made.run(900)
        assert [each.phase for each in made.provider.truth().values()] == [Phase.RUNNING]


def test_m09_a_second_controller_is_turned_away(tmp_path: Path) -> None:
    """One controller at a time has the ledger; a second one is turned away before it asks the
    provider for anything, fleets differ in their labels, and what a person holds is left."""
    with unbilled(tmp_path) as made:
        made.run(120)
        before = made.provider.mutations
        with pytest.raises(LedgerLocked):
            Ledger.open(str(tmp_path / "ledger.db"), holder="second", now=made.time)
        other = made.provider.outside.put("fleet-b/llm/1")
        held = next(iter(made.ledger.intents.open().values()))
        made.ledger.intents.change(held.id, held=True)
        made.provider.outside.befall(held.instance_id or 0, Phase.STOPPED)
        made.run(1200)
        assert made.provider.mutations == before
        assert {other, held.instance_id} <= set(made.provider.truth())


def test_m10_running_work_is_no_queue(tmp_path: Path) -> None:
    """The number wanted follows the work that arrives and waits, and never what the workers hold
    because there are more of them: the same load wants the same number for ever."""
    with unbilled(tmp_path, group(min_instances=1, policy="target")) as made:
        for _ in range(360):
            held = 2000.0 * made.ready()
            made.ears.loads["llm"] = Load(140.0, 140.0, held, 0.0, 0.0, 0.0)
            made.tick(10.0)
        assert (len(acts(made, "create")), made.ready()) == (2, 2)
        assert acts(made, "destroy") == []


def test_m11_what_boots_is_capacity(tmp_path: Path) -> None:
    """What is ordered, loading, joining and warming counts as capacity until its own deadline, so
    that a slow boot is never rented for twice."""
    with unbilled(tmp_path, group(min_instances=1, policy="target")) as made:
        made.run(2000, 10.0)
        made.provider.times = Times(creating_s=600.0, loading_s=1000.0)
        made.ears.join_s, made.ears.warm_s = 200.0, 1500.0
        made.ears.loads["llm"] = Load(210.0, 210.0, 210.0, 0.0, 0.0, 0.0)
        seen = set()
        for _ in range(400):
            made.tick(10.0)
            seen.update(made.stages())
            assert len(acts(made, "create")) <= 3
        assert {Stage.LOADING, Stage.JOINING, Stage.WARMING} <= seen
        assert (made.ready(), len(acts(made, "create")), acts(made, "destroy")) == (3, 3, [])


def test_m12_boots_that_fail_do_not_churn(tmp_path: Path) -> None:
    """Each part of a boot has its deadline, a machine that failed is not rented again while its
    strike lasts, and after three hosts on which the launch failed nothing more is rented."""
    wanted = group(min_instances=1, deadlines=Deadlines(loading_s=300.0))
    with unbilled(tmp_path, wanted) as made:
        made.provider.times = Times(loading_s=1e9)
        said = made.run(3600, 10.0)
        closed = made.ledger.intents.closed(10)
        assert len(acts(made, "create")) == len({each.machine_id for each in closed}) == 3
        assert made.provider.truth() == {}
        assert any("template or launch is at fault" in each for each in said)


def test_m13_no_price_above_the_cap_is_paid(tmp_path: Path) -> None:
    """Offers are read with the group's own disk, the instance's own price is looked at after the
    create and at every list, one above the cap goes at once, and a price that a host wants above
    the cap is turned down."""
    offers = FakeProvider(lambda: START).offers("", disk_gb=20.0)
    cap = offers[0].usd_per_hour * 1.4
    with unbilled(tmp_path, group(min_instances=1, max_usd_per_hour=cap)) as made:
        made.provider.fail("create", "dearer", times=1)
        made.settle()
        (instance,) = made.provider.truth().values()
        assert (instance.usd_per_hour or 0.0) <= cap
        assert (len(acts(made, "create")), len(acts(made, "destroy"))) == (2, 1)
        wish = made.provider.outside.ask_more(instance.id, cap * 2)
        made.run(600)
        assert acts(made, "reject_price_increase") == [wish]
        made.provider.outside.reprice(instance.id, cap * 2)
        made.run(900)
        assert instance.id not in made.provider.truth() and made.ready() == 1
        assert all((each.usd_per_hour or 0.0) <= cap for each in made.provider.truth().values())
        assert_counted(made)


def test_m14_a_day_never_costs_more_than_its_limit(tmp_path: Path) -> None:
    """Every rent reserves what it may cost until the end of the UTC day and month beside all that
    the ledger says is spent and committed, through restarts, and all ends before a limit is met."""
    limits = replace(LIMITS, usd_per_day=12.0)
    with unbilled(tmp_path, group(min_instances=6, max_usd_per_hour=0.7), limits=limits) as made:
        midnight, before = START - START % 86_400 + 86_400, 0.0
        for day in range(2):
            while made.time.at + 120.0 <= midnight + day * 86_400:
                made.tick(120.0)
                if made.time.at % 7200 < 120.0:
                    made.restart()
            billed = float(made.provider.billed_in_all())
            assert 1e6 < billed - before <= 12e6
            before = billed
        assert_counted(made)


def test_m15_a_dead_worker_is_rebooted_once_and_replaced(tmp_path: Path) -> None:
    """Readiness is a lease that the worker's own reports renew: one that is silent is looked at,
    rebooted once, then destroyed with a strike against its machine and replaced."""
    with unbilled(tmp_path) as made:
        made.run(120)
        dead = min(made.provider.truth())
        made.ears.silent.add(dead)
        made.run(3600, 10.0)
        assert acts(made, "reboot") == [dead]
        assert acts(made, "destroy") == [dead]
        assert (len(acts(made, "create")), len(made.provider.truth()), made.ready()) == (3, 2, 2)
