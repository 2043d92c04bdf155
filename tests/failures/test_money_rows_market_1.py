"""M1 to M15 at the market: its own fault at the very call, by HTTP, and what is billed at the end.

What the controller does about each is said in ``test_money_rows_1``; here the market is the oracle.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from market_rig import MarketRig, group, market_rig

from vast_pyworker.controller.converging import SETTLED_AFTER_S
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.controller.policy.observation import Load
from vast_pyworker.errors import LedgerLocked
from vast_pyworker.model import Deadlines, Limits, Stage

LARGE = Limits(instances=40, usd_per_hour=100.0, usd_per_day=2000.0, usd_per_month=20_000.0)
LIMITS = Limits(instances=20, usd_per_hour=20.0, usd_per_day=200.0, usd_per_month=2000.0)
UNREADABLE = ("error_before", "truncated", "not_json", "too_many", "reset_before", "missing_page")
UNCLEAR = ("reset_after", "error_after", "truncated", "not_json")
MOMENTS = (("before", "create"), ("after", "create"))


def test_m01_no_second_fleet_where_the_list_has_two_pages(tmp_path: Path) -> None:
    with market_rig(tmp_path / "m", group(min_instances=28, max_instances=30), limits=LARGE) as m:
        m.run(400)
        fleet = set(m.there)
        assert (len(fleet), m.ready()) == (28, 28)
        for lost in (False, True):
            m.ledger.abandon()
            for file in m.folder.glob("ledger.db*") if lost else ():
                file.unlink()
            m.open()
            for kind in UNREADABLE:
                m.suffer(kind, "list", **({"page": 2} if kind == "missing_page" else {}))
                m.run(60)
                assert m.came() and m.loop.fleet.blind, kind
                m.heal()
            m.run(300)
            assert (m.made(), set(m.there), m.ready()) == (28, fleet, 28)


@pytest.mark.parametrize("kind", UNCLEAR)
@pytest.mark.parametrize("late_s", [0.0, 25.0, SETTLED_AFTER_S - 10.0])
def test_m02_an_unclear_create_is_looked_up_and_not_made_again(
    tmp_path: Path, kind: str, late_s: float
) -> None:
    with market_rig(tmp_path / "m", group(min_instances=1)) as m:
        m.suffer(kind, "create", times=1)
        m.suffer("stale_list", "list", age_s=1e6)  # as it was before
        m.run(late_s, 5.0)
        m.heal()
        m.suffer(kind, "create", times=0 if late_s else 1)
        m.run(600, 5.0)
        assert (m.made(), len(m.there), m.ready(), m.done("destroy")) == (1, 1, 1, [])
        m.check_counted()


def test_m02_absence_is_believed_after_a_minute_and_not_before(tmp_path: Path) -> None:
    with market_rig(tmp_path / "m", group(min_instances=1)) as m:
        m.suffer("reset_before", "create", times=1)
        m.run(600, 2.0)
        first, second = (at for name, _, at in m.acts if name == "create")
        assert SETTLED_AFTER_S <= second - first <= SETTLED_AFTER_S + 15.0
        assert (m.made(), m.ready()) == (1, 1)


def test_m02_one_that_shows_later_than_any_is_ended(tmp_path: Path) -> None:
    """Where an instance shows only after its absence was believed, it is destroyed then."""
    with market_rig(tmp_path / "m", group(min_instances=1)) as m:
        m.suffer("reset_after", "create", times=1)
        m.suffer("empty_list", "list")
        m.run(150, 30.0)
        assert m.made() == 2
        m.heal()
        m.run(900)
        assert (m.made(), len(m.there), m.ready()) == (2, 1, 1)
        m.check_counted()


@pytest.mark.parametrize(("moment", "call"), MOMENTS)
@pytest.mark.parametrize("number", [1, 2])
def test_m02_a_kill_around_the_create_leaves_no_orphan(
    tmp_path: Path, moment: str, call: str, number: int
) -> None:
    with market_rig(tmp_path / "m") as m:
        m.killed_at(moment, call, number)
        m.suffer("stale_list", "list", times=4, age_s=1e6)
        m.run(600, 5.0)
        assert (m.made(), len(m.ours), m.ready(), m.done("destroy")) == (2, 2, 2, [])
        m.check_counted()


@pytest.mark.parametrize("kind", ["truncated", "not_json", "null_fields"])
def test_m03_a_success_that_says_nothing_is_kept(tmp_path: Path, kind: str) -> None:
    with market_rig(tmp_path / "m", group(min_instances=1)) as m:
        params = {"fields": ["new_contract"]} if kind == "null_fields" else {}
        m.suffer(kind, "create", times=1, **params)
        m.run(300, 5.0)
        assert m.came() == 1
        assert (m.made(), m.ready(), m.done("create"), m.done("destroy")) == (
            1, 1, m.done("create")[:1], [],
        )  # fmt: skip


@pytest.mark.parametrize("kind", ["empty_list", "missing_page", "stale_list", "null_fields"])
def test_m04_a_list_that_lacks_some_replaces_nothing(tmp_path: Path, kind: str) -> None:
    with market_rig(tmp_path / "m", group(min_instances=5)) as m:
        m.run(200)
        fleet, before = set(m.there), len(m.acts)
        assert m.ready() == 5
        params = {"stale_list": {"age_s": 1e9}, "null_fields": {"fields": ["label"]}}
        m.suffer(kind, "list", **params.get(kind, {}))
        m.run(1800, 10.0)
        assert m.came() > 100
        assert (len(m.acts), set(m.there)) == (before, fleet)
        m.heal()
        m.run(30)
        assert m.ready() == 5
        m.check_counted()


def test_m05_a_new_one_that_lists_lack_is_waited_for(tmp_path: Path) -> None:
    with market_rig(tmp_path / "m") as m:
        m.suffer("stale_list", "list", age_s=1e9)
        m.run(210, 30.0)
        assert m.stages() == [Stage.ORDERED, Stage.ORDERED]
        m.heal()
        m.run(300)
        assert (m.made(), m.ready(), m.done("destroy")) == (2, 2, [])


def test_m06_what_carries_our_label_and_no_intent_is_found(tmp_path: Path) -> None:
    with market_rig(tmp_path / "m") as m:
        m.run(120)
        orphan, unnamed, foreign, bare = map(
            m.put, ("fleet/llm/nobody", "fleet/old/nobody-2", "a person's", None)
        )
        said = m.run(1800)
        assert any(f"instance {orphan} of group llm was found" in each for each in said)
        assert any("belong to group old" in each for each in said)
        assert {unnamed, foreign, bare} <= set(m.there) and len(m.ours) == 3
        closed = m.ledger.intents.closed(1)[0]
        again = m.put(closed.label)
        m.run(120)
        assert again not in m.there and m.made() == 7
        m.check_counted()
        assert {foreign, bare}.isdisjoint(m.ledger.spend.by_instance())


@pytest.mark.parametrize("kind", ["refused_200", "error_before", "reset_before", "too_many"])
def test_m07_a_destroy_that_does_nothing_is_made_again(tmp_path: Path, kind: str) -> None:
    with market_rig(tmp_path / "m") as m:
        m.run(120)
        m.suffer(kind, "destroy")
        m.wish(min_instances=1)
        said = m.run(1500)
        assert len(m.there) == 2 and any("still there, and billed" in each for each in said)
        asked = [at for name, _, at in m.acts if name == "destroy"]
        assert 4 <= len(asked) <= 20
        m.check_counted()
        m.restart()
        m.heal()
        m.run(900)
        assert (len(m.there), m.ready(), m.made()) == (1, 1, 2)
        m.check_counted()


def test_m08_a_stopped_one_is_paid_for_and_ends(tmp_path: Path) -> None:
    wanted = group(min_instances=1, cold_instances=1, stopped_ttl_s=7200.0)
    with market_rig(tmp_path / "m", wanted) as m:
        m.run(900)
        assert m.stages() == [Stage.COLD, Stage.READY]
        (cold,) = (each.id for each in m.there.values() if each.phase == "stopped")
        before = m.billed()[cold]
        m.run(3600, 60.0)
        assert cold in m.there and m.billed()[cold] > before
        m.check_counted()
        m.run(4500, 60.0)
        assert cold not in m.there and len(m.there) == 2
        m.wish(min_instances=1)
        m.run(900)
        assert (len(m.there), m.ready()) == (1, 1)
        m.check_counted()


def test_m09_two_fleets_of_an_account_leave_each_other_alone(tmp_path: Path) -> None:
    with market_rig(tmp_path / "m") as m:
        (tmp_path / "b").mkdir()
        other = MarketRig(tmp_path / "b", replace(m.wishes, fleet="fleet-b"), m.ground)
        try:
            for _ in range(20):
                m.tick(), other.tick()
            assert len(m.ours) == len(other.ours) == 2 and m.ours.isdisjoint(other.ours)
            with pytest.raises(LedgerLocked):
                Ledger.open(str(m.folder / "ledger.db"), holder="second", now=m.time)
            theirs = other.ours
            m.wish(min_instances=0)
            for _ in range(40):
                m.tick(20.0), other.tick()
            assert set(m.there) == theirs and other.ready() == 2
            assert theirs.isdisjoint(whom for _, whom, _ in m.acts)
        finally:
            other.ledger.close()


def test_m10_what_is_worked_on_asks_for_no_more(tmp_path: Path) -> None:
    with market_rig(tmp_path / "m", group(min_instances=1, policy="target")) as m:
        for _ in range(360):
            m.ears.loads["llm"] = Load(140.0, 140.0, 2000.0 * m.ready(), 0.0, 0.0, 0.0)
            m.tick(10.0)
        assert (m.made(), m.ready(), m.done("destroy")) == (2, 2, [])


def test_m11_what_boots_for_long_is_not_rented_twice(tmp_path: Path) -> None:
    wanted = group(deadlines=Deadlines(loading_s=86_400.0))
    with market_rig(tmp_path / "m", wanted, loading_median_s=900.0) as m:
        m.run(120)
        assert Stage.LOADING in m.stages()
        m.run(7200, 30.0)
        assert (m.made(), m.ready()) == (2, 2)


@pytest.mark.parametrize("kind", ["stuck_loading", "oci_failure"])
def test_m12_a_launch_that_fails_everywhere_is_given_up(tmp_path: Path, kind: str) -> None:
    wanted = group(min_instances=1, deadlines=Deadlines(loading_s=300.0))
    with market_rig(tmp_path / "m", wanted) as m:
        m.suffer(kind, "create")
        said = m.run(3600)
        failed = m.ledger.intents.closed(10)
        assert len({each.host_id for each in failed}) == 3 and not m.there
        assert m.made() == len({each.machine_id for each in failed}) <= 4  # a host may have two
        assert any("template or launch is at fault" in each for each in said)
        m.check_counted()


def test_m13_no_price_above_the_cap_is_kept(tmp_path: Path) -> None:
    with market_rig(tmp_path / "m") as m:
        m.wish(min_instances=0)
        cap = 1.3 * min(e.usd_per_hour for e in m.provider.offers("", disk_gb=20.0))
        m.wish(min_instances=1, max_usd_per_hour=cap)
        m.suffer("price_change", "create", times=1, factor=2.0)
        m.run(300, 5.0)
        (number,) = m.there
        assert (m.made(), len(m.done("destroy")), m.ready()) == (2, 1, 1)
        assert m.usd_per_hour() <= cap
        m.heal()
        m.strike("price_change", number, factor=3.0)
        m.run(700)
        assert m.done("reject_price_increase") and not m.ground.world.increases
        assert (set(m.there), m.usd_per_hour() <= cap) == ({number}, True)
        m.check_counted()


def test_m14_no_day_costs_more_at_the_market_than_its_limit(tmp_path: Path) -> None:
    limits = replace(LIMITS, usd_per_day=12.0)
    with market_rig(
        tmp_path / "m", group(min_instances=6, max_usd_per_hour=0.7), limits=limits
    ) as m:
        day = m.time() - m.time() % 86_400
        for until in (day + 86_400, day + 2 * 86_400):
            while m.time() + 120.0 < until:
                m.tick(120.0)
                if m.time() % 7200 < 120.0:
                    m.restart()
            m.ground.sleep(until - m.time())
            assert 1.0 < usd_between(m, until - 86_400, until) <= 12.0
        m.check_counted()


def usd_between(m: MarketRig, since: float, until: float) -> float:
    rows = m.ground.market.charges(m.ground.account, since=since, until=until)
    return sum(float(row["amount"]) for row in rows)


def test_m15_a_worker_that_died_is_rebooted_once_and_replaced(tmp_path: Path) -> None:
    with market_rig(tmp_path / "m") as m:
        m.run(120)
        dead = min(m.there)
        m.ears.silent.add(dead)
        m.run(3600)
        assert (m.done("reboot"), m.done("destroy")) == ([dead], [dead])
        assert (m.made(), len(m.there), m.ready()) == (3, 2, 2)
        m.check_counted()
