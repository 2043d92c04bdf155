"""Many members lost within minutes: what is believed, what is done, and how fast."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from loop_rig import LIMITS, Rig, group, rig, wishes

from vast_pyworker.controller.planning.roster import act
from vast_pyworker.errors import LedgerError
from vast_pyworker.model import ActionKind, Bounds, Desired, OnDelete, Plan, Stage, Want
from vast_pyworker.providers.fake import Times

AMPLE = replace(LIMITS, instances=100, usd_per_hour=100.0, usd_per_day=None, usd_per_month=None)
TEN = group(min_instances=10, max_instances=12)


def acts(made: Rig) -> list[str]:
    return [each.call for each in made.provider.acts]


def vanish(made: Rig, count: int) -> None:
    for instance_id in sorted(made.provider.truth())[:count]:
        made.provider.outside.vanish(instance_id)


def test_a_list_and_direct_looks_that_deny_half_a_group_are_not_believed_at_once(
    tmp_path: Path,
) -> None:
    with rig(tmp_path, TEN, limits=AMPLE) as made:
        made.settle()
        assert made.ready() == 10
        before, shown = acts(made), made.provider.calls["show"]
        vanish(made, 5)
        said = made.run(290.0)
        assert acts(made) == before
        assert made.provider.calls["show"] == shown
        assert made.stages().count(Stage.MISSING) == 5
        assert any("5 of 10 turned suspect or missing" in each for each in said)
        made.run(600.0)
        assert made.ready() == 10


def test_those_that_go_two_by_two_are_counted_together(tmp_path: Path) -> None:
    """Each pair alone is believed, and closed before the next one goes."""
    with rig(tmp_path, TEN, limits=AMPLE) as made:
        made.settle()
        vanish(made, 2)
        made.run(30.0)
        assert len(made.ledger.intents.open()) == 10  # found gone, and two more ordered
        assert len(made.ledger.intents.closed()) == 2
        before = acts(made)
        vanish(made, 2)
        said = made.run(240.0)
        assert acts(made) == before
        assert any("4 of 12 turned suspect or missing" in each for each in said)
        made.run(900.0)
        assert made.ready() == 10


def test_what_is_proven_gone_at_once_is_closed_in_few_commits(tmp_path: Path) -> None:
    big = group(min_instances=60, max_instances=60, on_external_delete=OnDelete.SHRINK)
    with rig(tmp_path, big, limits=AMPLE) as made:
        made.settle()
        assert made.ready() == 60
        vanish(made, 60)
        made.run(300.0)
        assert len(made.ledger.intents.closed()) == 0
        commits = made.ledger.commits
        made.run(20.0)
        assert len(made.ledger.intents.closed()) == 60
        assert made.ledger.commits - commits < 30
        assert made.run(60.0, 20.0) and made.loop.fleet.members == ()


def test_silent_ones_are_rebooted_a_share_at_a_time_and_all_come_back(tmp_path: Path) -> None:
    """Only the reports of eight of ten are lost, and nothing answers."""
    with rig(tmp_path, TEN, limits=AMPLE) as made:
        made.probe = lambda url: False
        made.restart()
        made.settle()
        made.ears.silent |= set(sorted(made.provider.truth())[:8])
        counts = []
        for _ in range(300):
            made.tick(5.0)
            under = sum(each.reboots > 0 for each in made.loop.fleet.members)
            counts.append(under)
            if acts(made).count("reboot") >= 4:
                break
        assert max(counts[:-1]) == 2
        assert acts(made).count("destroy") == 0 or made.ready() >= 2
        made.ears.silent.clear()
        made.run(1800.0, 20.0)
        assert made.ready() == 10


def test_a_probe_of_each_is_made_now_and_then_and_not_at_every_tick(tmp_path: Path) -> None:
    asked: list[str] = []
    with rig(tmp_path, TEN, limits=AMPLE) as made:
        made.probe = lambda url: bool(asked.append(url)) or True
        made.restart()
        made.settle()
        made.ears.silent |= set(made.provider.truth())
        made.run(200.0)
        assert len(set(asked)) == 10
        assert 30 <= len(asked) <= 60  # for 110 s in doubt: at 0, then 10, 20, 40 s apart and more


def test_one_that_falls_silent_soon_after_its_reboot_is_replaced(tmp_path: Path) -> None:
    with rig(tmp_path) as made:
        made.probe = lambda url: False
        made.restart()
        made.settle()
        flapping = min(made.provider.truth())
        for _ in range(3):
            made.ears.silent.add(flapping)
            made.run(240.0)
            made.ears.silent.discard(flapping)
            made.run(120.0)
        assert acts(made).count("reboot") == 1
        assert flapping not in made.provider.truth()


def test_an_idle_victim_goes_within_two_ticks_and_a_busy_one_stays(tmp_path: Path) -> None:
    with rig(tmp_path) as made:
        made.settle()
        busy, _ = sorted(made.provider.truth())
        made.ears.busy[busy] = 3
        made.loop.desire(replace(made.wishes, groups={"llm": group(min_instances=0)}))
        made.run(15.0)
        assert set(made.provider.truth()) == {busy}
        assert made.ledger.intents.open()
        assert all(each.desired is Desired.DESTROY for each in made.ledger.intents.open().values())
        made.run(120.0)
        assert not made.provider.truth()


def test_an_order_that_ends_within_a_tick_is_not_placed_again(tmp_path: Path) -> None:
    """The order that is under way when a tick begins counts until its end."""
    with rig(tmp_path) as made:
        before, kept = made.ears.places, []

        class Ending:
            """An order is under way when a tick begins, and ends when the routes are told."""

            def run(self, key: str, work: object) -> bool:
                kept.append(key)
                return True

            def busy(self, key: str) -> bool:
                return made.ears.places is before

            def close(self, wait_s: float) -> None: ...

        made.loop._executor = made.loop.doing._executor = Ending()
        made.tick()
        assert not [each for each in kept if each.startswith("rent")]


def test_boots_that_take_long_to_fail_stop_the_line_too(tmp_path: Path) -> None:
    """Failures count together for as long as so many starts may take one after another; an hour
    after the last one it is tried again."""
    wanted = group(min_instances=1)  # the image may be pulled for half an hour
    with rig(tmp_path, wanted) as made:
        made.provider.times = Times(loading_s=1e9)
        made.run(2.4 * 3600, 30.0)
        assert acts(made).count("create") == 3
        assert made.provider.truth() == {}
        made.run(1800, 30.0)
        assert acts(made).count("create") == 4


def test_a_reboot_that_could_not_be_written_down_is_none(tmp_path: Path) -> None:
    """Or one that was never rebooted would be replaced as one that no reboot helps."""
    full = False

    def watch(point: str) -> None:
        if full:
            raise LedgerError("The disk is full.")

    made = Rig(tmp_path, wishes(), watch=watch)
    made.settle()
    member = made.loop.fleet.members[0]
    action = act(ActionKind.REBOOT, member, "silent")
    plan = Plan("llm", Want(2, 0, ""), (action,), "")
    before = made.provider.mutations
    full = True
    with pytest.raises(LedgerError):
        made.loop.doing.run(group(), Bounds(2, 2, 1.5), plan)
    full = False
    made.tick()
    assert [each.reboots for each in made.loop.fleet.members] == [0, 0]
    assert made.provider.mutations == before
    made.ledger.close()
