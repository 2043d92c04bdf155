"""Calls about money: deposits, charges, invoices, and price increases that wait for an answer."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from vast_pyworker.market.calls.asking import Asked
from vast_pyworker.market.refusal import MarketRefusal, invalid
from vast_pyworker.market.reports.billing_rows import (
    Row,
    charge_row,
    invoice_row,
    payment_row,
    rows_by_contract,
)

from .door import Route
from .instances import READ, instance_id
from .parts import Parts

BILLING = "billing_read"
_PAGE, _LONGEST_PAGE = 20, 100
_NO_DAYS = "Must provide both 'day' gte and lte filters for instance charges"


def routes(parts: Parts) -> list[Route]:
    """Those under /api/v0."""
    calls, rise, write = BillingCalls(parts), "price_increases", "instance_write"
    pending, accept, reject = (
        f"/instances/{name}/"
        for name in ("pending-price-increases", "accept-price-increase", "reject-price-increase")
    )
    return [
        Route("GET", "/instances/balance/<ident>/", "balance", calls.balance, READ),
        Route("GET", "/charges/", "charges", calls.charges, BILLING),
        Route("GET", "/users/me/invoices", "invoices", calls.old_invoices, BILLING, "charges"),
        Route("GET", pending, rise, calls.price_increases, READ),
        Route("PUT", accept, rise, calls.accept, write, "price_increase_accept"),
        Route("PUT", reject, rise, calls.reject, write, "price_increase_reject"),
    ]


def v1_routes(parts: Parts) -> list[Route]:
    """Those under /api/v1."""
    return [Route("GET", "/invoices/", "invoices", BillingCalls(parts).invoices, BILLING)]


class BillingCalls:
    """The views; every figure is the market's."""

    def __init__(self, parts: Parts) -> None:
        self._market = parts.market
        self._now = parts.now

    def balance(self, asked: Asked, ident: str) -> Row:
        return self._market.balance(asked.account_id, instance_id(ident))

    def charges(self, asked: Asked) -> Row:
        """One row per instance, its kinds of charges as items."""
        day = _condition(asked, "day")
        if not {"gte", "lte"} <= set(day):
            raise invalid(_NO_DAYS)
        since, until = _seconds(day["gte"]), _seconds(day["lte"])
        found = self._market.charges(asked.account_id, since=since, until=until)
        return page_of(asked, rows_by_contract(found))

    def invoices(self, asked: Asked) -> Row:
        when = _condition(asked, "when")
        since, until = _seconds(when.get("gte", 0)), _seconds(when.get("lte", 1e15))
        if since > until:
            raise MarketRefusal(200, "Invalid date range", "gte is after lte", count=0)
        paid = self._market.payments(asked.account_id)
        return page_of(asked, [invoice_row(p) for p in paid if since <= p["when"] <= until])

    def old_invoices(self, asked: Asked) -> Row:
        since, until = _seconds(asked.json_of("sdate", 0)), _seconds(asked.json_of("edate", 1e15))
        account = asked.account
        rows = [payment_row(p) for p in self._market.payments(account.id)]
        if asked.json_of("inc_charges", True):
            found = self._market.charges(account.id, since=since, until=until)
            rows += [charge_row(row) for row in found]
        charged = [row["amount"] for row in rows if row["type"] == "charge"]
        return {
            "invoices": [row for row in rows if since <= row["timestamp"] <= until],
            "username": account.username,
            "email": account.email,
            "current": {
                "charges": sum(map(float, charged)),
                "service_fee": 0.0,
                "total": sum(map(float, charged)),
                "credit": self._market.bill(account.id)["credit"],
            },
        }

    def price_increases(self, asked: Asked) -> Row:
        return self._market.price_increases(asked.account_id)

    def accept(self, asked: Asked) -> Row:
        return self._market.accept_price_increase(asked.account_id, _pending_id(asked))

    def reject(self, asked: Asked) -> Row:
        return self._market.reject_price_increase(asked.account_id, _pending_id(asked))


def page_of(asked: Asked, rows: list[Row]) -> Row:
    """One page of ``rows``, which are by time; a token is the number of rows before the page."""
    if asked.json_of("latest_first", False):
        rows = rows[::-1]
    limit = asked.json_of("limit", _PAGE)
    size = min(limit, _LONGEST_PAGE) if type(limit) is int and limit > 0 else _PAGE
    at = _offset(asked.query.get("after_token"))
    shown, end = rows[at : at + size], at + size
    return {
        "success": True,
        "count": len(shown),
        "total": len(rows),
        "results": shown,
        "next_token": _token(end) if end < len(rows) else None,
    }


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(json.dumps({"values": {"n": offset}}).encode()).decode()


def _offset(token: str | None) -> int:
    if not token:
        return 0
    try:
        offset = json.loads(base64.urlsafe_b64decode(token))["values"]["n"]
    except (binascii.Error, ValueError, LookupError, TypeError) as error:
        raise MarketRefusal(400, "invalid_token", "Invalid after_token.") from error
    if type(offset) is not int or offset < 0:
        raise MarketRefusal(400, "invalid_token", "Invalid after_token.")
    return offset


def _pending_id(asked: Asked) -> Any:
    asked.forbid_unknown("pending_price_increase_id")
    return asked.body.get("pending_price_increase_id")


def _condition(asked: Asked, name: str) -> Mapping[str, Any]:
    filters = asked.json_of("select_filters", {})
    found = filters.get(name, {}) if isinstance(filters, dict) else {}
    return found if isinstance(found, dict) else {}


def _seconds(value: Any) -> float:
    """Epoch seconds as a number or as digits; MarketRefusal(400) for anything else."""
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise invalid(f"{value!r} is not a time.") from error
    if not 0 <= seconds <= 1e15:
        raise invalid(f"{value!r} is not a time.")
    return seconds
