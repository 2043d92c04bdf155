"""The account: money that is unknown is None, what cannot last is told, prices are decided once."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import pytest

from vast_pyworker.errors import BadAnswer, NotFound, OutcomeUnknown
from vast_pyworker.vastai.account import SpendRate
from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.fake_vast import FakeVast, Told
from vast_pyworker.vastai.pacing import Pacing

RATE = {
    "gpu_cost_per_hour": 0.4,
    "container_storage_cost_per_hour": 0.05,
    "volume_storage_cost_per_hour": 0.05,
    "has_active_resources": True,
}
INCREASE = {"pending_price_increase_id": 3, "contract_id": 7, "old_gpu_costpersec": 0.0001,
            "new_gpu_costpersec": 0.0002, "contract_end_date": None}  # fmt: skip


@pytest.fixture
def vast() -> Iterator[FakeVast]:
    with FakeVast() as vast:
        yield vast


@pytest.fixture
def client(vast) -> Iterator[VastClient]:
    with VastClient("secret", base_url=vast.url, pacing=Pacing.off()) as client:
        yield client


def test_the_user_is_asked_for_without_parameters(vast, client):
    vast.on("GET /api/v0/users/current", {"id": 5, "email": "a@b", "credit": 12.5, "balance": 0})
    user = client.account.user()
    assert (user.id, user.email, user.credit_usd, user.balance_usd) == (5, "a@b", 12.5, 0.0)
    assert vast.asked[0].query == {}


@pytest.mark.parametrize("body", [{}, [], {"success": True}, None])
def test_what_is_no_user_is_an_error(body, vast, client):
    vast.on("GET /api/v0/users/current", Told(body))
    with pytest.raises(BadAnswer):
        client.account.user()


def test_a_credit_that_is_not_told_is_unknown(vast, client):
    vast.on("GET /api/v0/users/current", {"id": 5, "credit": None})
    assert client.account.credit_usd() is None


def test_spending_and_how_long_the_credit_lasts(vast, client):
    vast.on("GET /api/v0/users/spend-rate/", RATE)
    rate = client.account.spend_rate()
    assert rate.usd_per_hour == pytest.approx(0.5)
    assert rate.runway_hours(10.0) == pytest.approx(20.0)
    assert rate.runway_hours(-1.0) == 0.0
    assert rate.active is True


def test_a_rate_of_which_a_part_is_unknown_is_unknown(vast, client):
    vast.on("GET /api/v0/users/spend-rate/", {"gpu_cost_per_hour": 0.4})
    rate = client.account.spend_rate()
    assert (rate.usd_per_hour, rate.runway_hours(10.0)) == (None, None)


def test_nothing_spent_lasts_for_ever():
    idle = SpendRate(0.0, 0.0, 0.0, False)
    assert math.isinf(idle.runway_hours(1.0) or 0)
    assert idle.runway_hours(None) is None


def test_deposit(vast, client):
    told = {"success": True, "refundable_deposit": 5.0, "total_discount": 1.0, "discount_months": 3}
    gone = Told(
        {"success": False, "error": "no_such_instance", "msg": "Instance 7 not found."}, 404
    )
    vast.on("GET /api/v0/instances/balance/7/", told, gone)
    assert client.account.deposit(7).refundable_usd == 5.0
    with pytest.raises(NotFound):
        client.account.deposit(7)


def test_price_increases_are_dollars_an_hour(vast, client):
    told = {"success": True, "count": 1, "truncated": False, "pending_price_increases": [INCREASE]}
    vast.on("GET /api/v0/instances/pending-price-increases/", told)
    found = client.account.price_increases()
    (increase,) = found.items
    assert (increase.id, increase.instance_id, found.truncated) == (3, 7, False)
    assert increase.old_gpu_usd_per_hour == pytest.approx(0.36)
    assert increase.new_gpu_usd_per_hour == pytest.approx(0.72)


@pytest.mark.parametrize("verb", ["accept", "reject"])
def test_an_increase_is_decided_once_and_with_its_number_alone(verb, vast, client):
    done = {"success": True, "pending_price_increase_id": 3, "contract_id": 7}
    vast.on(f"PUT /api/v0/instances/{verb}-price-increase/", done, Told({}, 502))
    decide = getattr(client.account, f"{verb}_price_increase")
    decide(3)
    assert vast.asked[0].body == {"pending_price_increase_id": 3}
    with pytest.raises(OutcomeUnknown):
        decide(3)
    assert len(vast.asked) == 2


def test_charges_are_read_to_the_last_page(vast, client):
    first = {"success": True, "results": [{"id": 1}], "count": 1, "total": 2, "next_token": "t"}
    second = {"success": True, "results": [{"id": 2}], "count": 1, "total": 2, "next_token": None}
    vast.on("GET /api/v0/charges/", first, second)
    rows = client.account.charges(100.0, 200.5, kinds=["instance"])
    assert rows == [{"id": 1}, {"id": 2}]
    one, two = vast.asked
    filters = {"day": {"gte": 100, "lte": 200}, "type": {"in": ["instance"]}}
    assert json.loads(one.query["select_filters"]) == filters
    assert "after_token" not in one.query
    assert two.query["after_token"] == "t"


@pytest.mark.parametrize("rows", [[], [{"id": 1}, {"id": 1}]])
def test_a_ledger_that_lacks_a_row_or_has_one_twice_is_an_error(rows, vast, client):
    vast.on("GET /api/v0/charges/", {"success": True, "results": rows, "total": 1})
    with pytest.raises(BadAnswer, match=f"{len(rows)} rows where it counts 1"):
        client.account.charges(100, 200)


def test_invoices_are_of_the_newer_api(vast, client):
    vast.on("GET /api/v1/invoices/", {"success": True, "count": 0, "results": []})
    assert client.account.invoices(100, 200) == []
    filters = json.loads(vast.asked[0].query["select_filters"])
    assert filters == {"when": {"gte": 100, "lte": 200}}


def test_pages_that_do_not_end_are_an_error_and_no_part_of_a_list(vast, client):
    vast.on("GET /api/v1/invoices/", {"success": True, "results": [{"id": 1}], "next_token": "t"})
    with pytest.raises(BadAnswer, match="no end"):
        client.account.invoices(100, 200)


def test_a_page_without_rows_is_an_error(vast, client):
    first = {"success": True, "results": [{"id": 1}], "next_token": "t"}
    vast.on("GET /api/v1/invoices/", first, {"success": True})
    with pytest.raises(BadAnswer, match="results"):
        client.account.invoices(100, 200)
