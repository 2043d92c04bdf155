"""Money: charges are exactly what the credit fell by, and what each thing costs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_market import MONTH_S, Rig, plain, refused, refused_unchanged

from vast_pyworker.market.accounts.billing import GPU, STORAGE, UNITS_PER_USD, Purse, units, usd
from vast_pyworker.market.rentals.life import image_gb


def test_gpus_are_paid_while_running_and_the_disk_from_creation_to_destruction() -> None:
    rig = Rig()
    number = rig.create(disk=100.0)
    rig.market.advance(3600)
    hours_up = rig.row(number)["uptime_mins"] / 60
    rig.market.set_state(rig.account, number, "stopped")
    rig.market.advance(7200)
    rig.market.destroy(rig.account, number)
    rig.market.advance(7200)
    kinds = rig.market.bill(rig.account)["by_kind"]
    assert kinds["gpu"] == pytest.approx(hours_up * 1.0, abs=1e-6)
    assert kinds["storage"] == pytest.approx(3 * 100.0 * 0.72 / 720, abs=1e-6)
    rig.check_books()


def test_a_month_of_disk_costs_what_is_said_to_the_cent() -> None:
    rig = Rig(plain(listed_until=1.9e9))
    number = rig.create(disk=100.0)
    rig.market.set_state(rig.account, number, "stopped")
    rig.market.advance(MONTH_S)
    assert round(rig.market.bill(rig.account)["charged"], 2) == 72.00


def test_the_total_is_base_plus_disk_in_every_row_and_in_the_rate() -> None:
    rig = Rig(plain(storage_cost=0.137))
    number = rig.running(disk=33.0)
    row = rig.row(number)
    assert row["dph_total"] == row["dph_base"] + row["storage_cost"] * row["disk_space"] / 720
    assert row["instance"]["totalHour"] == row["dph_total"] == row["search"]["totalHour"]
    rate = rig.market.spend_rate(rig.account)
    assert rate["gpu_cost_per_hour"] == pytest.approx(row["dph_base"])
    assert rate["container_storage_cost_per_hour"] == pytest.approx(row["storage_total_cost"])
    rig.market.set_state(rig.account, number, "stopped")
    row = rig.row(number)
    assert row["instance"]["gpuCostPerHour"] == 0
    assert row["instance"]["totalHour"] == pytest.approx(33.0 * 0.137 / 720)


def test_an_image_is_traffic_once_per_pull() -> None:
    rig = Rig(plain(inet_down_cost=0.01))
    number = rig.running()
    rig.market.set_state(rig.account, number, "stopped")
    rig.market.set_state(rig.account, number, "running")
    rig.market.advance(3600)

    def pulls() -> list[tuple[float, float]]:
        rows = rig.market.charges(rig.account)
        return [(row["quantity"], row["amount"]) for row in rows if row["start"] == row["end"]]

    size = image_gb("ubuntu:22.04")
    assert pulls() == [(size, pytest.approx(0.01 * size, abs=1e-6))]
    rig.market.recycle(rig.account, number)
    rig.market.advance(3600)
    assert len(pulls()) == 2
    rig.check_books()


def test_a_running_one_has_a_little_traffic_of_its_own() -> None:
    rig = Rig(plain(inet_up_cost=0.02))
    number = rig.running()
    hours = rig.row(number)["uptime_mins"] / 60
    [row] = [each for each in rig.market.charges(rig.account) if each["kind"] == "upload"]
    assert row["rate"] == pytest.approx(0.02, rel=1e-3)
    assert 0 < row["quantity"] < 0.5 * hours
    rig.market.set_state(rig.account, number, "stopped")
    before = rig.market.bill(rig.account)["by_kind"]["upload"]
    rig.market.advance(86400)
    assert rig.market.bill(rig.account)["by_kind"]["upload"] == before
    rig.check_books()


def test_an_offline_host_is_paid_nothing() -> None:
    rig = Rig()
    number = rig.running()
    rig.market.strike("offline", number, params={"unknown_s": 0, "back_s": None})
    rig.market.advance(1)
    before = rig.market.credit(rig.account)
    rig.market.advance(86400)
    assert rig.market.credit(rig.account) == before
    rig.market.destroy(rig.account, number)
    rig.check_books()


def test_charges_can_be_asked_for_by_time_and_add_up() -> None:
    rig = Rig(plain(inet_down_cost=0.01))
    number = rig.running()
    start, now = rig.row(number)["start_date"], rig.clock.now()
    whole = rig.market.charges(rig.account)
    halves = [
        *rig.market.charges(rig.account, until=start + 1800),
        *rig.market.charges(rig.account, since=start + 1800),
    ]
    spent = rig.market.bill(rig.account)["charged"]
    assert sum(row["amount"] for row in whole) == pytest.approx(spent)
    assert sum(row["amount"] for row in halves) == pytest.approx(spent)
    assert {row["kind"] for row in whole} == {"gpu", "storage", "download"}
    assert all(start <= row["start"] <= row["end"] <= now for row in whole)
    assert rig.market.charges(rig.account, until=start - 1) == []


def test_payments_are_listed_and_add_to_the_credit() -> None:
    rig = Rig(credit=10.0)
    assert rig.market.credit(rig.account) == 10.0
    rig.market.add_credit(rig.account, 5.25)
    rig.market.add_credit(rig.account, -1.0, service="refund")
    assert [(row["amount"], row["service"]) for row in rig.market.payments(rig.account)] == [
        (10.0, "opening"),
        (5.25, "transfer"),
        (-1.0, "refund"),
    ]
    assert rig.market.credit(rig.account) == 14.25
    assert rig.accounts.account(rig.account).credit == 14.25


def test_a_host_may_ask_for_more_and_the_owner_accepts() -> None:
    rig = Rig()
    number = rig.running()
    rig.market.strike("price_change", number, params={"factor": 1.5})
    pending = rig.market.price_increases(rig.account)
    assert (pending["success"], pending["count"], pending["truncated"]) == (True, 1, False)
    row = pending["pending_price_increases"][0]
    assert row["contract_id"] == number
    assert row["new_gpu_costpersec"] == pytest.approx(1.5 * row["old_gpu_costpersec"])
    assert rig.row(number)["dph_base"] == 1.0
    number_of_it = row["pending_price_increase_id"]
    assert rig.market.accept_price_increase(rig.account, number_of_it) == {
        "success": True,
        "pending_price_increase_id": number_of_it,
        "contract_id": number,
    }
    assert rig.row(number)["dph_base"] == 1.5
    assert rig.market.spend_rate(rig.account)["gpu_cost_per_hour"] == pytest.approx(1.5)
    refusal = refused_unchanged(
        rig, lambda: rig.market.accept_price_increase(rig.account, number_of_it)
    )
    assert (refusal.status, refusal.code) == (404, "no_pending_price_increase")
    rig.check_books()


def test_a_rejected_increase_leaves_the_price() -> None:
    rig = Rig()
    number = rig.running()
    rig.market.strike("price_change", number)
    row = rig.market.price_increases(rig.account)["pending_price_increases"][0]
    rig.market.reject_price_increase(rig.account, row["pending_price_increase_id"])
    assert rig.market.price_increases(rig.account)["count"] == 0
    assert rig.row(number)["dph_base"] == 1.0
    assert refused(lambda: rig.market.reject_price_increase(rig.account, None)).status == 404


def test_a_deposit_lowers_the_price_of_the_gpus() -> None:
    rig = Rig()
    number = rig.running()
    for amount in (0, -1, None, "5", float("nan")):
        assert (
            refused_unchanged(rig, lambda a=amount: rig.market.prepay(rig.account, number, a)).msg
            == "amount must be > 0"
        )
    assert refused(lambda: rig.market.prepay(rig.account, number, 5000)).code == (
        "insufficient_credit"
    )
    assert refused(lambda: rig.market.prepay(rig.account, number, 900)).code == "rental_too_long"
    answer = rig.market.prepay(rig.account, number, 360)
    assert answer["timescale"] == pytest.approx(0.5)
    balance = rig.market.balance(rig.account, number)
    assert balance["refundable_deposit"] == 360
    assert balance["total_discount"] == answer["discount_rate"] > 0
    assert rig.row(number)["dph_base"] == pytest.approx(1 - answer["discount_rate"])
    rig.check_books()


AMOUNTS = st.integers(0, 5_000_000_000)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "end", "carry", "pay"]),
        st.integers(1, 3),
        AMOUNTS,
        st.floats(0, 1e6, allow_nan=False),
    ),
    max_size=40,
)


@given(STEPS)
def test_a_purse_loses_exactly_what_it_was_charged(
    steps: list[tuple[str, int, int, float]],
) -> None:
    purse, now = Purse(), 1.7e9
    purse.pay(units(1000.0), now, "opening")
    for what, contract, amount, seconds in steps:
        now += seconds
        if what == "begin" and not purse.runs(contract, GPU):
            purse.begin(contract, GPU, amount, now)
        elif what == "end":
            purse.end(contract, GPU, now)
        elif what == "carry":
            purse.carry(contract, "upload", seconds, amount, now)
        elif what == "pay":
            purse.pay(units(amount / 1e6), now, "transfer")
        charged = sum(charge.units for charge in purse.entries(now))
        assert purse.paid - charged == purse.credit(now)
    again = Purse.restore(purse.state())  # type: ignore[arg-type]
    assert again.credit(now) == purse.credit(now)
    assert list(again.entries(now)) == list(purse.entries(now))


@given(st.integers(10**6, 10**11), st.integers(1, 10**9), st.integers(1, 10**5))
def test_the_moment_at_which_the_credit_is_gone_is_the_first_one(
    rate: int, storage: int, cents: int
) -> None:
    purse = Purse()
    purse.pay(cents * UNITS_PER_USD // 100, 0.0, "opening")
    purse.begin(1, GPU, rate, 0.0)
    purse.begin(1, STORAGE, storage, 0.0)
    at = purse.empty_at()
    assert at is not None
    assert purse.credit(at) <= 0 < purse.credit(at - 1e-6 - at * 1e-15)


def test_units_hold_every_billionth_of_a_dollar() -> None:
    assert usd(units(0.000000001)) == 0.000000001
    assert units(1.0) == UNITS_PER_USD
