"""M16 to M30 at the market: its own fault at the very call, by HTTP, and what is billed at the end.

What the controller does about each is said in ``test_money_rows_2``; here the market is the oracle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from market_rig import MarketRig, group, market_rig

from vast_pyworker.controller.policy.observation import Load
from vast_pyworker.model import Deadlines, Limits, OnDelete, Pace

HOUR_S = 3600.0
LIMITS = Limits(instances=20, usd_per_hour=20.0, usd_per_day=200.0, usd_per_month=2000.0)
QUIET = Load(0.0, 0.0, in_flight=0.0, queued=0.0)


def test_m16_a_host_that_nobody_reaches_is_left_for_another(tmp_path: Path) -> None:
    with market_rig(tmp_path / "m") as m:
        m.run(120)
        lost = min(m.there)
        machine = m.there[lost].machine_id
        m.strike("offline", lost, unknown_s=60.0, back_s=None)
        m.run(2 * HOUR_S)
        assert (m.ready(), len(m.there), m.made()) == (2, 2, 3)
        assert machine not in {each.machine_id for each in m.there.values()}
        m.check_counted()


def restart_broken(m: MarketRig, number: int) -> None:
    m.strike("oci_failure", number)
    for state in ("stopped", "running"):
        m.ground.market.set_state(m.ground.account, number, state)


def pull_for_ever(m: MarketRig, number: int) -> None:
    m.strike("stuck_loading", number)
    m.ground.market.recycle(m.ground.account, number)


STATES: dict[str, Callable[[MarketRig, int], object]] = {
    "exited": lambda m, each: m.strike("exited", each),
    "offline": lambda m, each: m.strike("offline", each, unknown_s=0.0, back_s=None),
    "unknown": lambda m, each: m.strike("offline", each, unknown_s=1e6, back_s=None),
    "expired": lambda m, each: m.strike("expired", each),
    "stopped": lambda m, each: m.ground.market.set_state(m.ground.account, each, "stopped"),
    "failed": restart_broken,
    "loading": pull_for_ever,
}


@pytest.mark.parametrize("state", STATES)
def test_m17_only_what_runs_counts(tmp_path: Path, state: str) -> None:
    wanted = group(deadlines=Deadlines(loading_s=600.0))
    with market_rig(tmp_path / "m", wanted) as m:
        m.run(120)
        lost = min(m.there)
        STATES[state](m, lost)
        m.run(130 if state == "unknown" else 5, 5.0)  # a fresh report proves that it runs
        assert m.ready() == 1
        m.run(2 * HOUR_S)
        assert (m.ready(), len(m.there)) == (2, 2) and m.made() <= 3
        m.check_counted()


def test_m18_a_rental_that_stands_still_is_ended(tmp_path: Path) -> None:
    with market_rig(tmp_path / "m") as m:
        m.suffer("create_stopped", "create", times=2)
        m.run(600, 5.0)
        assert (m.ready(), len(m.there), m.made()) == (2, 2, 4)
        assert len(m.done("destroy")) == 2 and set(m.done("destroy")).isdisjoint(m.there)
        m.check_counted()


@pytest.mark.parametrize("free_s", [None, 60.0])
def test_m19_a_queued_start_has_its_deadline(tmp_path: Path, free_s: float | None) -> None:
    """A start that waits for its GPUs is waited for so long as the group says, and taken back."""
    wanted = group(deadlines=Deadlines(starting_s=120.0))
    with market_rig(tmp_path / "m", wanted) as m:
        m.run(120)
        lost = min(m.there)
        m.ground.market.set_state(m.ground.account, lost, "stopped")
        m.strike("start_queued", lost, free_s=free_s)
        at = m.time()
        m.run(1800, 5.0)
        assert m.done("start") == [lost]
        if free_s is not None:  # they came free in time
            assert (m.made(), m.ready(), lost in m.there) == (2, 2, True)
            return
        assert (m.made(), m.ready(), len(m.there), lost in m.there) == (3, 2, 2, False)
        ended = next(when for name, whom, when in m.acts if (name, whom) == ("destroy", lost))
        assert 120.0 <= ended - at <= 180.0
        m.check_counted()


def test_m20_all_ends_before_the_credit_does(tmp_path: Path) -> None:
    with market_rig(tmp_path / "m") as m:
        m.run(120)
        market, account = m.ground.market, m.ground.account
        market.add_credit(account, 10 * m.usd_per_hour() - market.credit(account))
        said = m.run(9 * HOUR_S, 60.0)
        for hours in (24, 6):
            assert any(f"credit lasts less than {hours} h" in each for each in said), hours
        m.wish(min_instances=4)
        m.run(3 * HOUR_S, 60.0)
        assert (dict(m.there), m.made()) == ({}, 2)
        assert market.credit(account) > 0.0
        market.add_credit(account, 1000.0)
        m.run(1200)
        assert m.ready() == 4


def test_m21_a_successor_serves_before_the_contract_ends(tmp_path: Path) -> None:
    with market_rig(tmp_path / "m", group(min_instances=1)) as m:
        m.run(120)
        (ending,) = m.there
        ends = m.there[ending].end_date = m.time() + 2 * HOUR_S
        while m.time() < ends:
            m.tick(30.0)
            assert m.ready() >= 1
        assert ending not in m.there and (m.made(), len(m.there)) == (2, 1)
        assert all(each.end_date > m.time() + HOUR_S for each in m.there.values())


@pytest.mark.parametrize(("way", "made"), [(OnDelete.REPLACE, 3), (OnDelete.SHRINK, 2)])
def test_m22_what_the_console_deletes_is_not_rented_twice(
    tmp_path: Path, way: OnDelete, made: int
) -> None:
    with market_rig(tmp_path / "m", group(on_external_delete=way)) as m:
        m.run(120)
        gone, stopped = sorted(m.there)
        m.suffer("latency", "list", seconds=2.0)
        m.ground.market.destroy(m.ground.account, gone)
        m.run(600)
        m.heal()
        m.restart()
        m.ground.market.set_state(m.ground.account, stopped, "stopped")
        m.run(2 * HOUR_S)
        assert (m.made(), len(m.there), m.ready()) == (made, made - 1, made - 1)
        assert m.done("start") == [stopped]
        said = [each.sentence for each in m.ledger.journal.events(0, 1000)]
        assert (way is OnDelete.SHRINK) == any("another hand deleted" in each for each in said)


def test_m23_the_busy_and_dear_one_stays(tmp_path: Path) -> None:
    slow = Pace(cooldown_down_s=60.0, max_step=1)
    with market_rig(tmp_path / "m", group(min_instances=4, pace=slow)) as m:
        m.run(1200)
        prices = {each: m.there[each].prices.gpu for each in m.there}
        *others, dearest = sorted(prices, key=lambda each: prices[each])
        m.ears.busy[dearest] = 3
        m.wish(min_instances=1, pace=slow)
        m.run(1800, 10.0)
        assert set(m.there) == {dearest}
        assert m.done("destroy") == others[::-1]
        times = [at for name, _, at in m.acts if name == "destroy"]
        assert all(later - sooner >= 60.0 for sooner, later in pairwise(times))


def test_m24_what_others_rent_is_never_touched(tmp_path: Path) -> None:
    labels = ("", None, "a person's", "fleet", "fleet2/llm/0123456789abcdef", "fleetllm/x")
    with market_rig(tmp_path / "m", limits=replace(LIMITS, instances=2)) as m:
        foreign = {m.put(each) for each in labels}
        m.run(60)
        m.strike("exited", min(foreign))
        m.suffer("null_fields", "list", "show", share=0.3)
        m.run(HOUR_S)
        m.heal()
        m.restart()
        m.run(60)
        assert m.ready() == 2
        m.wish(min_instances=0)
        m.suffer("duplicate", "list", share=1.0)
        m.run(600)
        m.heal()
        m.run(600)
        assert set(m.there) == foreign
        assert foreign.isdisjoint(whom for _, whom, _ in m.acts)
        assert foreign.isdisjoint(m.ledger.spend.by_instance())


def test_m25_a_load_that_is_not_known_ends_nobody(tmp_path: Path) -> None:
    with market_rig(tmp_path / "m", group(min_instances=0, policy="target")) as m:
        m.ears.loads["llm"] = Load(150.0, 150.0, in_flight=5.0, queued=0.0)
        m.run(900)
        assert m.ready() == 3
        for unknown in (Load(), Load(in_flight=0.0), Load(arrivals_60s=0.0, queued=0.0)):
            m.ears.loads["llm"] = unknown
            m.run(2 * HOUR_S, 60.0)
            assert (m.ready(), m.done("destroy")) == (3, []), unknown
        m.ears.loads["llm"] = QUIET
        m.run(2 * HOUR_S, 60.0)
        assert not m.there


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("instances", replace(LIMITS, instances=4)),
        ("usd_per_hour", replace(LIMITS, usd_per_hour=2.0)),
        ("usd_per_day", replace(LIMITS, usd_per_day=30.0)),
        ("usd_per_month", replace(LIMITS, usd_per_month=1500.0)),
    ],
)
def test_m26_five_hundred_end_at_the_limits(tmp_path: Path, name: str, limits: Limits) -> None:
    with market_rig(tmp_path / "m", limits=limits) as m:
        m.wish(min_instances=500, max_instances=500)
        said: list[str] = []
        until = m.time() + HOUR_S
        while m.time() < until:
            said += m.tick(20.0)
            assert len(m.there) <= limits.instances
            assert m.usd_per_hour() <= limits.usd_per_hour
        assert len(m.there) >= 1
        assert any(f"limits.{name}" in each for each in said)


@pytest.mark.parametrize("form", ["detail", "msg", "text", "bucket"])
def test_m27_being_told_to_wait_is_no_failure(tmp_path: Path, form: str) -> None:
    with market_rig(tmp_path / "m") as m:
        m.suffer("too_many", "create", form=form)
        m.run(HOUR_S, 5.0)
        assert (m.made(), len(m.done("create")) <= 17) == (0, True)
        assert m.came() <= 600  # one try after another within a call, and ever fewer calls
        m.heal()
        m.run(600)
        before, fleet = len(m.acts), set(m.there)
        assert m.ready() == 2
        m.suffer("too_many", "*", form=form)
        m.run(HOUR_S)
        m.heal()
        m.run(120)
        assert (len(m.acts), set(m.there), m.ready()) == (before, fleet, 2)


def test_m28_the_old_one_serves_until_another_is_had(tmp_path: Path) -> None:
    with market_rig(tmp_path / "m", group(max_lifetime_s=2 * HOUR_S)) as m:
        m.run(300)
        first = set(m.there)
        m.suffer("empty_list", "search")
        m.suffer("offer_gone", "create")
        m.run(3 * HOUR_S, 60.0)
        assert set(m.there) == first
        m.heal()
        for _ in range(180):
            m.tick(20.0)
            assert m.ready() >= 2 and len(m.there) <= 4
        assert first.isdisjoint(m.there) and len(m.there) == 2


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_m29_a_killed_start_is_finished(tmp_path: Path, moment: str, number: int) -> None:
    wide = replace(LIMITS, usd_per_month=20_000.0)
    with market_rig(tmp_path / "m", group(min_instances=4), limits=wide) as m:
        m.killed_at(moment, "create", number)
        m.run(600, 5.0)
        assert (m.made(), len(m.there), m.ready(), m.done("destroy")) == (4, 4, 4, [])
        m.check_counted()


@pytest.mark.parametrize(("dearer", "again"), [(1.05, True), (1.2, False)])
def test_m30_the_machine_with_the_image_is_taken_again(
    tmp_path: Path, dearer: float, again: bool
) -> None:
    """The market bills the pull of an image by the gigabyte, and the ledger has it."""
    with market_rig(tmp_path / "m", group(min_instances=1)) as m:
        m.run(120)
        (first,) = m.there
        warm = m.there[first].machine_id
        rows = m.ground.market.charges(m.ground.account)
        pulled = sum(row["amount"] for row in rows if row["kind"] == "download")
        assert pulled > 0.0
        m.check_counted()
        m.wish(min_instances=0)
        m.run(600)
        assert not m.there
        worth = {}
        for offer in m.provider.offers("", disk_gb=20.0):
            value = (offer.dlperf or 0.0) / offer.usd_per_hour
            worth[offer.machine_id] = max(worth.get(offer.machine_id, 0.0), value)
        second = max(value for machine, value in worth.items() if machine != warm)
        m.reprice(warm, worth[warm] / second * dearer)
        m.wish(min_instances=1)
        m.run(300)
        (there,) = m.there.values()
        assert (there.machine_id == warm) is again
