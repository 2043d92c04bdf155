"""Runs of the sweep that only read: offers, the account, its money."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sweep_case import Case
from sweep_faults import OF_LISTS
from sweep_scene import Scene

from vast_pyworker.errors import NotFound, OutcomeUnknown


def search(case: Case) -> None:
    """Search offers: what is found can be had, at that price and in that order."""
    most = case.rng.choice((1, 5, 20))

    def found() -> Any:
        return case.vast.offers.search("num_gpus=1", order="dph_total", limit=most, disk_gb=8.0)

    found()
    with case.faults("search"):
        got = case.ask(found)
    case.check_outlived(got)
    assert not got.like(OutcomeUnknown, NotFound), got
    if got.value is None or case.kind in OF_LISTS:
        return
    truth = found()
    assert [each.id for each in got.value] == [each.id for each in truth]
    for one, other in zip(got.value, truth, strict=True):
        assert one.usd_per_hour in (None, other.usd_per_hour)


def _read(case: Case, call: str, read: Callable[[], Any], judge: Callable[[Any], None]) -> None:
    """A read that is right, or an error."""
    with case.faults(call):
        got = case.ask(read)
    case.check_outlived(got)
    assert not got.like(OutcomeUnknown), got
    if got.well:
        judge(got.value)


def user(case: Case) -> None:
    """Read who the account is and what it has."""
    case.have()

    def judge(value: Any) -> None:
        assert value.id == case.ground.account
        credit = case.ground.market.credit(case.ground.account)
        assert value.credit_usd is None or value.credit_usd == pytest.approx(credit, abs=0.5)

    _read(case, "user", case.vast.account.user, judge)


def spend_rate(case: Case) -> None:
    """Read what is spent an hour."""
    case.have()

    def judge(value: Any) -> None:
        now = case.ground.market.spend_rate(case.ground.account)
        if not case.drawn.of_world:  # which may lie between the two looks
            assert value.gpu_usd_per_hour in (None, now["gpu_cost_per_hour"])
            assert value.active in (None, True)

    _read(case, "spend_rate", case.vast.account.spend_rate, judge)


def deposit(case: Case) -> None:
    """Read what is paid ahead."""
    (number,) = case.have()

    def judge(value: Any) -> None:
        assert value.refundable_usd in (None, 0.0)

    _read(case, "balance", lambda: case.vast.account.deposit(number), judge)


def charges(case: Case) -> None:
    """Read what was charged: all of it, or an error."""
    case.ground.market.advance(2.0)  # after what was charged in earlier runs
    since = case.ground.now()
    ids = case.have(case.rng.randint(1, 3))
    until = case.ground.now()

    def judge(rows: Any) -> None:
        if case.kind not in ("stale_list", "empty_list"):
            assert len(rows) == len(ids)

    _read(case, "charges", lambda: case.vast.account.charges(since, until), judge)


def invoices(case: Case) -> None:
    """Read what was paid."""
    case.ground.market.advance(2.0)
    since = case.ground.now()
    case.ground.market.add_credit(case.ground.account, 5.0)

    def judge(rows: Any) -> None:
        if case.kind not in ("stale_list", "empty_list"):
            assert len(rows) == 1 or case.kind == "credit_zero"

    _read(case, "invoices", lambda: case.vast.account.invoices(since, since + 1.0), judge)


def price_increases(case: Case) -> None:
    """Read which hosts ask for more."""
    (number,) = case.have()
    case.ground.market.strike("price_change", number, params={"factor": 1.5})

    def judge(value: Any) -> None:
        if not case.drawn.of_world and case.kind not in OF_LISTS:
            assert {each.instance_id for each in value.items} <= {number, None}
            assert value.items

    _read(case, "price_increases", case.vast.account.price_increases, judge)


SCENES = (
    Scene("search", search, world=True, lists=True),
    Scene("user", user, world=True),
    Scene("spend_rate", spend_rate, world=True),
    Scene("deposit", deposit, world=True),
    Scene("charges", charges, world=True, lists=True),
    Scene("invoices", invoices, world=True, lists=True),
    Scene("price_increases", price_increases, world=True, lists=True),
)
