"""What ends or interrupts instances from outside: hosts lost, offers over, no credit left."""

from __future__ import annotations

import pytest
from small_market import LISTED_S, Rig, refused, refused_unchanged

STOPPED = ("stopped", "stopped", "stopped")


def test_a_lost_host_is_unknown_then_offline_then_back() -> None:
    rig = Rig()
    number = rig.running()
    rig.market.strike("offline", number, params={"unknown_s": 60, "back_s": 600})
    assert rig.states(number) == ("unknown", "running", "running", "running")
    assert rig.row(number)["ports"] is None
    rig.market.advance(61)
    assert rig.states(number)[0] == "offline"
    assert rig.runtime.told[-1] == ("stop", number)
    assert rig.market.search({"type": "on-demand"}) == []
    assert refused(rig.answer).status == 410
    rig.market.advance(1200)
    assert rig.states(number)[0] == "running"
    assert rig.runtime.told[-1] == ("start", number)


def test_reports_that_were_only_late_interrupt_nothing() -> None:
    rig = Rig()
    number = rig.running()
    rig.market.strike("offline", number, params={"unknown_s": 60, "back_s": 10})
    rig.market.advance(11)
    assert rig.states(number)[0] == "running"
    rig.market.advance(600)
    assert rig.states(number)[0] == "running"
    assert rig.runtime.told == [("start", number)]


def test_what_was_asked_of_a_lost_host_is_done_when_it_is_back() -> None:
    rig = Rig()
    stopped, started = rig.running(), rig.running(rig.machines[0].asks[1])
    rig.market.set_state(rig.account, started, "stopped")
    rig.market.strike("offline", stopped, params={"unknown_s": 1, "back_s": 100})
    rig.market.advance(50)
    rig.market.set_state(rig.account, stopped, "stopped")
    answer = rig.market.set_state(rig.account, started, "running")
    assert answer["error"] == "resources_unavailable"
    rig.market.advance(3600)
    assert rig.states(stopped)[1:] == STOPPED
    assert rig.states(started)[0] == "running"


def test_a_contract_ends_with_its_offer_and_is_deleted_two_days_later() -> None:
    rig = Rig()
    number = rig.running()
    rig.market.advance(LISTED_S)
    assert rig.states(number)[1:] == STOPPED
    refusal = refused_unchanged(rig, lambda: rig.market.set_state(rig.account, number, "running"))
    assert (refusal.status, refusal.code) == (400, "invalid_args")
    rig.market.advance(46 * 3600)
    assert rig.market.show(rig.account, number) is not None
    rig.market.advance(3 * 3600)
    assert rig.market.show(rig.account, number) is None
    rig.check_books()


def test_without_credit_everything_stops_and_disks_are_still_billed() -> None:
    rig = Rig(credit=1.5)
    first, second = rig.create(), rig.create(rig.machines[0].asks[1])
    rig.market.advance(6 * 3600)
    assert {rig.states(first)[1:], rig.states(second)[1:]} == {STOPPED}
    left = rig.market.credit(rig.account)
    assert left < 0
    rig.market.advance(3600)
    assert rig.market.credit(rig.account) == pytest.approx(left - 2 * 20 * 0.72 / 720)
    for call in (
        lambda: rig.market.set_state(rig.account, first, "running"),
        lambda: rig.market.set_state_many(rig.account, [first], "running"),
        rig.answer,
    ):
        refusal = refused_unchanged(rig, call)
        assert refusal.status == 400
        assert "credit" in refusal.msg
    rig.market.add_credit(rig.account, 50)
    rig.market.advance(60)
    assert rig.states(first)[1:] == STOPPED
    assert rig.market.set_state(rig.account, first, "running") == {"success": True}
    rig.check_books()


def test_credit_runs_out_at_the_same_moment_however_seldom_one_looks() -> None:
    def left(step: float) -> float:
        rig = Rig(credit=1.5)
        rig.create()
        for _ in range(int(14400 / step)):
            rig.market.advance(step)
        return rig.market.credit(rig.account)

    assert left(14400) == left(1)
