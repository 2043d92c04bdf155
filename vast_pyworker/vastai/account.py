"""The account: who it is, what it owes and spends, and which prices are about to rise.

Money is in US dollars; what an answer does not say is None, never 0.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import values
from .billing import charges, invoices
from .http import Endpoint, Transport
from .reading import bad, rows_of

# The API refuses query parameters here.
USER = Endpoint("GET", "/users/current")
SPEND_RATE = Endpoint("GET", "/users/spend-rate/")
DEPOSIT = Endpoint("GET", "/instances/balance/{id}/")
INCREASES = Endpoint("GET", "/instances/pending-price-increases/")
ACCEPT = Endpoint("PUT", "/instances/accept-price-increase/")
REJECT = Endpoint("PUT", "/instances/reject-price-increase/")
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True)
class User:
    """``credit_usd`` can be spent, ``balance_usd`` is the ledger's; ``raw`` may hold keys."""

    id: int | None = None
    username: str | None = None
    email: str | None = None
    credit_usd: float | None = None
    balance_usd: float | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> User:
        return cls(
            id=values.whole(row.get("id")),
            username=values.text(row.get("username")),
            email=values.text(row.get("email")),
            credit_usd=values.number(row.get("credit")),
            balance_usd=values.number(row.get("balance")),
            raw=row,
        )


@dataclass(frozen=True)
class SpendRate:
    """What the account spends now, dollars an hour."""

    gpu_usd_per_hour: float | None = None
    storage_usd_per_hour: float | None = None
    volumes_usd_per_hour: float | None = None
    active: bool | None = None

    @property
    def usd_per_hour(self) -> float | None:
        """All together; None where a part is unknown."""
        parts = (self.gpu_usd_per_hour, self.storage_usd_per_hour, self.volumes_usd_per_hour)
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None

    def runway_hours(self, credit_usd: float | None) -> float | None:
        """For how long the credit lasts; infinite where nothing is spent, None where unknown."""
        rate = self.usd_per_hour
        if credit_usd is None or rate is None:
            return None
        return max(0.0, credit_usd) / rate if rate > 0 else float("inf")


@dataclass(frozen=True)
class Deposit:
    """What is paid ahead for a reserved instance."""

    refundable_usd: float | None = None
    discount_usd: float | None = None
    discount_months: float | None = None


@dataclass(frozen=True)
class PriceIncrease:
    """A host's wish for more money; nothing changes until it is accepted."""

    id: int | None = None
    instance_id: int | None = None
    old_gpu_usd_per_hour: float | None = None
    new_gpu_usd_per_hour: float | None = None
    contract_ends_at: float | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> PriceIncrease:
        return cls(
            id=values.whole(row.get("pending_price_increase_id")),
            instance_id=values.whole(row.get("contract_id")),
            old_gpu_usd_per_hour=_hourly(row.get("old_gpu_costpersec")),
            new_gpu_usd_per_hour=_hourly(row.get("new_gpu_costpersec")),
            contract_ends_at=values.not_negative(row.get("contract_end_date")),
            raw=row,
        )


@dataclass(frozen=True)
class PriceIncreases:
    """``truncated`` where there are more than the API tells at once."""

    items: tuple[PriceIncrease, ...]
    truncated: bool


class Account:
    """The account of one key."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def user(self) -> User:
        row = self._transport.call(USER)
        if not isinstance(row, Mapping) or values.whole(row.get("id")) is None:
            raise bad(USER, "no user")
        return User.of(row)

    def credit_usd(self) -> float | None:
        return self.user().credit_usd

    def spend_rate(self) -> SpendRate:
        row = values.mapping(self._transport.call(SPEND_RATE))
        return SpendRate(
            gpu_usd_per_hour=values.not_negative(row.get("gpu_cost_per_hour")),
            storage_usd_per_hour=values.not_negative(row.get("container_storage_cost_per_hour")),
            volumes_usd_per_hour=values.not_negative(row.get("volume_storage_cost_per_hour")),
            active=values.flag(row.get("has_active_resources")),
        )

    def deposit(self, instance_id: int) -> Deposit:
        """Raises NotFound for an instance that is not the account's."""
        row = values.mapping(
            self._transport.call(DEPOSIT, {"id": instance_id}, query={"owner": "me"})
        )
        return Deposit(
            refundable_usd=values.number(row.get("refundable_deposit")),
            discount_usd=values.number(row.get("total_discount")),
            discount_months=values.number(row.get("discount_months")),
        )

    def price_increases(self) -> PriceIncreases:
        answer = self._transport.call(INCREASES)
        rows = rows_of(answer, "pending_price_increases", INCREASES)
        more = values.flag(values.mapping(answer).get("truncated"))
        return PriceIncreases(tuple(PriceIncrease.of(row) for row in rows), bool(more))

    def accept_price_increase(self, increase_id: int) -> None:
        self._decide(ACCEPT, increase_id)

    def reject_price_increase(self, increase_id: int) -> None:
        self._decide(REJECT, increase_id)

    def charges(
        self, since: float, until: float, *, kinds: Collection[str] = ()
    ) -> list[Mapping[str, Any]]:
        """Rows of what was charged; ``kinds`` are of instance, volume, serverless."""
        return charges(self._transport, since, until, kinds)

    def invoices(self, since: float, until: float) -> list[Mapping[str, Any]]:
        """Rows of what was paid in and out."""
        return invoices(self._transport, since, until)

    def _decide(self, endpoint: Endpoint, increase_id: int) -> None:
        # The API refuses any other key in the body.
        body = {"pending_price_increase_id": increase_id}
        self._transport.call(endpoint, json=body, effect="once")


def _hourly(usd_per_second: object) -> float | None:
    known = values.not_negative(usd_per_second)
    return None if known is None else known * SECONDS_PER_HOUR
