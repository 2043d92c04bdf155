"""The fake's bill is exact, by phase and rate, and its credit ends to the microsecond."""

from __future__ import annotations

from fractions import Fraction

import pytest
from fake_rig import START, FakeSite, offer

from vast_pyworker.model import Phase
from vast_pyworker.providers.fake.bill import Bill

RUNNING, STOPPED = 404_000, 4_000  # micro-dollars an hour


def test_only_a_running_one_pays_for_its_gpus() -> None:
    site = FakeSite()
    number = site.rent()
    site.pass_time(3630.0)  # 30 s until it runs
    site.fake.stop(number)
    site.pass_time(7200.0)
    lines = site.fake.billed_lines(number)
    assert [(each.phase, each.micro_usd_per_hour) for each in lines] == [
        (Phase.CREATING, STOPPED),
        (Phase.LOADING, STOPPED),
        (Phase.RUNNING, RUNNING),
        (Phase.STOPPED, STOPPED),
    ]
    wanted = RUNNING + Fraction(STOPPED * 7230, 3600)
    assert site.fake.billed(number) == wanted == sum(each.micro_usd for each in lines)


def test_nothing_is_paid_while_the_machine_is_away_or_after_the_end() -> None:
    site = FakeSite()
    number = site.running()
    site.fake.outside.befall(number, Phase.OFFLINE)
    before = site.fake.billed(number)
    site.pass_time(3600.0)
    assert site.fake.billed(number) == before
    site.fake.outside.recover(number)
    site.pass_time(3600.0)
    assert site.fake.billed(number) == before + RUNNING
    site.fake.destroy(number)
    site.pass_time(3600.0)
    assert site.fake.billed(number) == before + RUNNING
    assert site.fake.charges() == {number: pytest.approx(float(before + RUNNING) / 1e6)}


@pytest.mark.parametrize("phase", [Phase.EXITED, Phase.FAILED, Phase.OUTBID, Phase.UNKNOWN])
def test_what_does_not_run_pays_for_its_disk(phase: Phase) -> None:
    site = FakeSite()
    number = site.running()
    site.fake.outside.befall(number, phase)
    before = site.fake.billed(number)
    site.pass_time(3600.0)
    assert site.fake.billed(number) - before == STOPPED
    row = site.fake.truth()[number]
    assert row.usd_per_hour_now == row.usd_per_hour_stopped == 0.004


def test_a_new_price_counts_from_its_time() -> None:
    site = FakeSite()
    number = site.running()
    before = site.fake.billed(number)
    site.pass_time(1800.0)
    site.fake.accept_price_increase(site.fake.outside.ask_more(number, 0.604))
    site.pass_time(1800.0)
    assert site.fake.billed(number) - before == (RUNNING + 604_000) / 2


def test_the_whole_is_the_sum_of_its_parts() -> None:
    site = FakeSite(credit_usd=50.0)
    numbers = [site.running(f"fleet/g/{n}") for n in range(3)]
    site.fake.stop(numbers[0])
    site.fake.destroy(numbers[1])
    site.pass_time(12_345.678)
    whole = site.fake.billed_in_all()
    assert whole == sum(site.fake.billed(each) for each in numbers)
    assert site.fake.credit() == pytest.approx(50.0 - float(whole) / 1e6)


def test_credit_ends_on_time_and_disks_go_on() -> None:
    site = FakeSite(credit_usd=0.404)
    number = site.rent()
    site.pass_time(100_000.0)
    *_, running, stopped = site.fake.billed_lines(number)
    assert (running.phase, stopped.phase) == (Phase.RUNNING, Phase.STOPPED)
    before_end = Fraction(STOPPED * 30, 3600) + running.micro_usd
    assert 0 <= before_end - 404_000 < Fraction(RUNNING, 3_600_000_000)
    left = site.fake.credit()
    assert left is not None and left < 0


def test_credit_that_comes_in_lets_it_start_again() -> None:
    site = FakeSite()
    number = site.running()
    site.fake.outside.set_credit(0.0)
    assert site.fake.truth()[number].phase is Phase.STOPPED
    site.fake.outside.set_credit(10.0)
    site.fake.start(number)
    site.pass_time(5.0)
    assert site.fake.truth()[number].phase is Phase.RUNNING


def test_disks_can_be_free() -> None:
    site = FakeSite(offers=[offer(1, 0.25)], storage_usd_per_gb_month=0.0)
    number = site.running()
    row = site.fake.truth()[number]
    assert (row.usd_per_hour, row.usd_per_hour_stopped) == (0.25, 0.0)
    assert site.fake.billed(number) == Fraction(250_000 * 30, 3600)


def test_a_bill_tells_when_it_comes_to_a_sum() -> None:
    bill = Bill()
    assert bill.reaches(1) is None
    bill.begin(1, Phase.RUNNING, 7, 100)
    assert bill.reaches(70) == 110
    assert bill.reaches(71) == 111
    assert bill.total_units(111) == 77
    bill.end(1, 111)
    assert bill.reaches(77) == 111 and bill.reaches(78) is None
    assert bill.total_units(10**9) == 77


def test_the_same_rate_in_the_same_phase_is_one_line() -> None:
    bill = Bill()
    for at in (0, 10, 20):
        bill.begin(1, Phase.STOPPED, 5, at)
    assert len(bill.lines(1, 30)) == 1
    assert bill.micro_usd(1, 30) == Fraction(150, 3_600_000_000)
    assert bill.lines(2, 30) == [] and START > 0
