"""What the controller needs of a place that rents, with the timing it may rely on.

Every call has a deadline and ends in an answer or a ``ProviderError``; none of them repeats what
may have been done already. Calls may come from several threads at once. The same suite of tests
runs against every provider.

    read now           offers, show, credit, logs
    may lag by seconds instances, find: a create or destroy just made may not show in them yet
    may lag by more    charges: what is not in them yet is owed all the same
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from vast_pyworker.model import Instance, Launch, Offer


@dataclass(frozen=True)
class Rented:
    """What a create came to: the instance, and whether it was started."""

    instance_id: int
    started: bool


@dataclass(frozen=True)
class PriceIncrease:
    """A price that a host wants, with the disk. ``id`` is what accepts or rejects it; nothing
    changes until then, or until ``at`` (Unix seconds, None: not said)."""

    id: int
    instance_id: int
    usd_per_hour: float | None
    at: float | None = None


class Provider(Protocol):
    """A place where instances can be."""

    def offers(
        self, query: str, *, disk_gb: float, bid_usd_per_hour: float | None = None
    ) -> list[Offer]:
        """What matches and can be rented, priced with ``disk_gb``: all, or the cheapest thousands.

        With ``bid_usd_per_hour`` those that this bid wins now, priced at the bid. One whose price
        is not known is left out. Raises ``QueryError`` too, for a query that cannot be read.
        """

    def instances(self, label_prefix: str) -> list[Instance]:
        """All instances whose label starts so. Complete, or raises: never a part, never [] for
        a failure. May lag a create by seconds: absence alone proves nothing."""

    def show(self, instance_id: int) -> Instance | None:
        """One instance, read directly; None says that it is gone."""

    def find(self, label: str) -> list[Instance]:
        """The instances with exactly this label; as complete, and as late, as ``instances``."""

    def create(self, offer: Offer, launch: Launch, label: str, env: Mapping[str, str]) -> Rented:
        """Rent once. ``env`` goes over the launch's own.

        ``CreatedStopped`` says that it exists and stands still, ``OutcomeUnknown`` that it may
        exist: look the label up. Every other ``ProviderError`` means that nothing exists, as
        ``OfferGone``, ``InvalidRequest``, ``NoCredit``, ``AuthError``, ``RateLimited`` and
        ``ProviderUnreachable`` do. The price may have risen since the offer was read: the
        instance tells its own.
        """

    def start(self, instance_id: int) -> None:
        """Start a stopped one; no change where it runs or comes. ``ResourcesUnavailable``:
        queued, and may come, and be billed, much later. ``NotFound`` where it is gone."""

    def stop(self, instance_id: int) -> None:
        """Stop it, or take back a queued start; no change where it stands. Its disk stays, and
        stays billed. ``NotFound`` where it is gone."""

    def reboot(self, instance_id: int) -> None:
        """Stop and start its container in place. ``InvalidRequest`` or ``NotFound`` where there
        is none; ``OutcomeUnknown`` where it may have been done."""

    def destroy(self, instance_id: int) -> None:
        """Have it gone. Idempotent: one that is gone is no error. Not proof: look again."""

    def charges(self) -> Mapping[int, float] | None:
        """Dollars billed by instance since each was made, traffic and all, also for those that are
        gone; None: not known. Less than one's own count may only be late, and proves nothing."""

    def credit(self) -> float | None:
        """Dollars left to spend; below 0 once only disks are billed; None: not known."""

    def price_increases(self) -> list[PriceIncrease]:
        """Prices that hosts want for instances of the account; where there are very many, some
        of them."""

    def accept_price_increase(self, increase_id: int) -> None:
        """Pay it from now on. ``NotFound`` where it does not wait any more."""

    def reject_price_increase(self, increase_id: int) -> None:
        """Keep the price until the contract ends. As ``accept_price_increase``."""

    def logs(self, instance_id: int, tail: int | None = None) -> str:
        """The instance's own output, its last ``tail`` lines."""
