"""Vast.ai as a provider: calls of ``VastClient``, and its rows as the controller's nouns.

What it does not: retry, remember or decide anything; the client retries what is safe to repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from vast_pyworker.errors import InvalidRequest, NotFound
from vast_pyworker.model import Instance, Launch, Offer
from vast_pyworker.providers.protocol import PriceIncrease, Rented
from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.creating import LaunchRequest
from vast_pyworker.vastai.offers import Kind

from . import money, rows
from .onstart import start_script

__all__ = ["VastProvider"]

MOST_OFFERS = 3000  # asked for, cheapest first; without a limit Vast gives a few dozen
_AHEAD_S = 366 * 86_400.0  # Vast's clock may run ahead of ours: nothing billed is cut off


class VastProvider:
    """An account at Vast.ai, or at a market that speaks its API.

    The client stays its owner's to close. ``script_of`` writes the ``onstart`` of a launch that has
    an image and no onstart of its own, given the backend. Charges before ``billed_since`` (Unix
    seconds) are not read: it must be before the first instance was made.

    A list is read 25 instances at a time, and Vast wants a second between two calls: a fleet of
    1,000 is seen every 40 s at best.
    """

    def __init__(
        self,
        client: VastClient,
        *,
        script_of: Callable[[str], str] = start_script,
        billed_since: float = 0.0,
    ) -> None:
        self._client = client
        self._script_of = script_of
        self._billed_since = billed_since

    def offers(
        self, query: str, *, disk_gb: float, bid_usd_per_hour: float | None = None
    ) -> list[Offer]:
        kind: Kind = "on-demand" if bid_usd_per_hour is None else "bid"
        found = self._client.offers.search(
            query, order="dph_total", kind=kind, limit=MOST_OFFERS, disk_gb=disk_gb
        )
        now = self._client.transport.wall()
        read = (rows.offer_of(row, disk_gb, bid_usd_per_hour, now) for row in found)
        return [each for each in read if each is not None]

    def instances(self, label_prefix: str) -> list[Instance]:
        # The filters of the list know whole labels only.
        listed = self._client.instances.list()
        ours = (row for row in listed if (row.label or "").startswith(label_prefix))
        return [rows.instance_of(row) for row in ours]

    def show(self, instance_id: int) -> Instance | None:
        row = self._client.instances.show(instance_id)
        return None if row is None else rows.instance_of(row)

    def find(self, label: str) -> list[Instance]:
        return [rows.instance_of(row) for row in self._client.instances.find(label)]

    def create(self, offer: Offer, launch: Launch, label: str, env: Mapping[str, str]) -> Rented:
        request = LaunchRequest(
            image=launch.image,
            template_hash=launch.template_hash,
            disk_gb=launch.disk_gb,
            label=label,
            env={**launch.env, **env},
            bid_usd_per_hour=launch.bid_usd_per_hour,
            onstart=self._onstart(launch),
            cancel_unavail=True,
        )
        made = self._client.instances.create(offer.id, request, check=False)
        return Rented(made.instance_id, made.started)

    def start(self, instance_id: int) -> None:
        self._client.instances.start(instance_id)

    def stop(self, instance_id: int) -> None:
        self._client.instances.stop(instance_id)

    def reboot(self, instance_id: int) -> None:
        self._client.instances.reboot(instance_id)

    def destroy(self, instance_id: int) -> None:
        self._client.instances.destroy(instance_id)

    def charges(self) -> Mapping[int, float] | None:
        until = self._client.transport.wall() + _AHEAD_S
        billed = self._client.account.charges(self._billed_since, until, kinds=("instance",))
        return money.sums_by_instance(billed)

    def credit(self) -> float | None:
        return self._client.account.credit_usd()

    def price_increases(self) -> list[PriceIncrease]:
        read = map(money.increase_of, self._client.account.price_increases().items)
        return [each for each in read if each is not None]

    def accept_price_increase(self, increase_id: int) -> None:
        with _not_found():
            self._client.account.accept_price_increase(increase_id)

    def reject_price_increase(self, increase_id: int) -> None:
        with _not_found():
            self._client.account.reject_price_increase(increase_id)

    def logs(self, instance_id: int, tail: int | None = None) -> str:
        return self._client.instances.logs(instance_id, tail=tail)

    def _onstart(self, launch: Launch) -> str | None:
        """A template's own, which a request would override, is left to it."""
        if launch.onstart is not None or launch.template_hash:
            return launch.onstart
        return self._script_of(launch.backend)


@contextmanager
def _not_found() -> Iterator[None]:
    """A 404 about a price increase has a word of its own, which the client does not know."""
    try:
        yield
    except InvalidRequest as error:
        if error.status != 404:
            raise
        raise NotFound(
            f"{error} It was answered already, or its instance is gone.",
            status=error.status,
            code=error.code,
            endpoint=error.endpoint,
        ) from error
