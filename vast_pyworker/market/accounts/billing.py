"""Money: what each account paid, what it was charged, and what is running up. Exact.

All amounts are whole ``UNITS``: billionths of a dollar per hour, times microseconds. A rate over
a time is then a product of integers, so that nothing is ever rounded and what was charged is to
the last unit what the credit fell by. It knows no contracts, only their numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

US_PER_HOUR = 3_600_000_000
NANO = 1_000_000_000
UNITS_PER_USD = US_PER_HOUR * NANO

GPU, STORAGE, UPLOAD, DOWNLOAD = "gpu", "storage", "upload", "download"


def nano(usd: float) -> int:
    """Dollars as whole billionths."""
    return round(usd * NANO)


def units(usd: float) -> int:
    """Dollars as units."""
    return nano(usd) * US_PER_HOUR


def usd(units: int) -> float:
    """Units as dollars, for showing."""
    return units / UNITS_PER_USD


def micros(seconds: float) -> int:
    return round(seconds * 1e6)


@dataclass(frozen=True, slots=True)
class Charge:
    """One entry of the ledger, from ``began`` to ``ended`` (microseconds since the epoch) at
    ``rate`` (billionths of a dollar per hour), or where the two are equal at once. Traffic has
    its ``gigabytes``."""

    contract: int
    kind: str
    began: int
    ended: int
    rate: int
    gigabytes: float
    units: int

    def within(self, since: int, until: int) -> Charge | None:
        """The part of it between two times; None where there is none."""
        if self.began == self.ended:
            return self if since <= self.began < until else None
        began, ended = max(self.began, since), min(self.ended, until)
        if began >= ended:
            return None
        size = self.gigabytes * (ended - began) / (self.ended - self.began)
        units = self.rate * (ended - began)
        return Charge(self.contract, self.kind, began, ended, self.rate, size, units)


@dataclass(frozen=True, slots=True)
class Payment:
    """Credit that came in; ``at`` in microseconds."""

    id: int
    at: int
    units: int
    service: str


@dataclass(frozen=True, slots=True)
class Meter:
    """Something that is paid by the hour: ``rate`` as in ``Charge``, and GB per hour of traffic."""

    rate: int
    began: int
    gb_per_hour: float = 0.0

    def charge(self, contract: int, kind: str, ended: int) -> Charge:
        time = ended - self.began
        size = self.gb_per_hour * time / US_PER_HOUR
        return Charge(contract, kind, self.began, ended, self.rate, size, self.rate * time)


class Purse:
    """The money of one account. Times come from the caller and never go back."""

    def __init__(self) -> None:
        self.payments: list[Payment] = []
        self.charges: list[Charge] = []
        self.rates = {GPU: 0, STORAGE: 0, UPLOAD: 0, DOWNLOAD: 0}
        self.spent = False
        """All was stopped for want of credit; until credit comes in this happens once."""
        self._paid = 0
        self._charged = 0
        self._since = 0
        self._meters: dict[tuple[int, str], Meter] = {}

    @property
    def paid(self) -> int:
        return self._paid

    def pay(self, units: int, at: float, service: str) -> None:
        self.payments.append(Payment(len(self.payments) + 1, micros(at), units, service))
        self._paid += units
        self.spent = self.spent and self.credit(at) <= 0

    def begin(
        self, contract: int, kind: str, rate: int, at: float, gb_per_hour: float = 0.0
    ) -> None:
        """Something is paid by the hour from now on; one meter of a kind for each contract."""
        self._settle(micros(at))
        if (contract, kind) in self._meters:
            raise ValueError(f"contract {contract} is charged for {kind} already")
        self._meters[contract, kind] = Meter(rate, micros(at), gb_per_hour)
        self.rates[kind] += rate

    def end(self, contract: int, kind: str, at: float) -> None:
        """Not any more. Nothing happens where it was not."""
        meter = self._meters.pop((contract, kind), None)
        if meter is None:
            return
        self._settle(micros(at))
        self.rates[kind] -= meter.rate
        if micros(at) > meter.began:
            self.charges.append(meter.charge(contract, kind, micros(at)))

    def carry(self, contract: int, kind: str, gigabytes: float, rate: int, at: float) -> None:
        """Traffic, charged at once; ``rate`` is billionths of a dollar per GB."""
        units = round(gigabytes * rate) * US_PER_HOUR
        when = micros(at)
        if units:
            self.charges.append(Charge(contract, kind, when, when, rate, gigabytes, units))
            self._charged += units

    def runs(self, contract: int, kind: str) -> bool:
        return (contract, kind) in self._meters

    def credit(self, at: float) -> int:
        """Units left."""
        return self._paid - self._charged - sum(self.rates.values()) * (micros(at) - self._since)

    def empty_at(self) -> float | None:
        """Epoch seconds at which the credit is gone if nothing changes; None for never."""
        left = self._paid - self._charged
        rate = sum(self.rates.values())
        if left <= 0:
            return self._since / 1e6
        if rate <= 0:
            return None
        return (self._since - (-left // rate)) / 1e6

    def entries(self, at: float) -> Iterator[Charge]:
        """Every charge, those still running up to ``at``."""
        yield from self.charges
        for (contract, kind), meter in self._meters.items():
            if micros(at) > meter.began:
                yield meter.charge(contract, kind, micros(at))

    def _settle(self, now: int) -> None:
        self._charged += sum(self.rates.values()) * (now - self._since)
        self._since = now

    def state(self) -> dict[str, Any]:
        """Everything here as JSON values, for ``restore``."""
        return {
            "payments": [[p.id, p.at, p.units, p.service] for p in self.payments],
            "charges": [
                [c.contract, c.kind, c.began, c.ended, c.rate, c.gigabytes, c.units]
                for c in self.charges
            ],
            "meters": [[*key, m.rate, m.began, m.gb_per_hour] for key, m in self._meters.items()],
            "since": self._since,
            "spent": self.spent,
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Purse:
        purse = cls()
        purse.payments = [Payment(*row) for row in state["payments"]]
        purse.charges = [Charge(*row) for row in state["charges"]]
        for contract, kind, *meter in state["meters"]:
            purse._meters[contract, kind] = Meter(*meter)
            purse.rates[kind] += purse._meters[contract, kind].rate
        purse.spent = bool(state["spent"])
        purse._since = int(state["since"])
        purse._paid = sum(p.units for p in purse.payments)
        purse._charged = sum(c.units for c in purse.charges)
        purse._charged += sum(
            meter.rate * (purse._since - meter.began) for meter in purse._meters.values()
        )
        return purse
