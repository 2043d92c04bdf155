"""Which offers to take: never above the price cap, never from bad hosts, the best of the rest.

Machines that the fleet is not on yet come first, then the hosts and machines that the group's owner
prefers, then those that stay long enough, then hosts not taken yet, then the most performance for a
dollar, or the lowest price where performance is unknown; a machine that has the image already may
cost a tenth more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

from vast_pyworker.model import Bounds, Group, Offer

from .deadlines import successor_s

BAD_MACHINE = 0.5  # one full strike, until it has decayed by half
BAD_HOST = 1.5  # two of them: a host has many machines
LONG_S = 6 * 3600.0
WARM_WORTH = 1.1


class Scores(Protocol):
    """What is remembered against machines and hosts: strikes, decayed; 0.0 is nothing."""

    def machine(self, machine_id: int) -> float: ...

    def host(self, host_id: int) -> float: ...


def choose(
    offers: Iterable[Offer],
    group: Group,
    bounds: Bounds,
    scores: Scores,
    taken_machines: Collection[int],
    taken_hosts: Collection[int],
    count: int,
    warm_machines: Collection[int] = (),
) -> list[Offer]:
    """At most ``count`` offers, those to take first first. Each choice counts as taken for the
    next, so that they spread over hosts and machines. ``warm_machines`` have the image already."""
    fit = [each for each in offers if _fits(each, group, bounds, scores)]
    order = _Order(group, set(taken_machines), set(taken_hosts), warm_machines)
    chosen: list[Offer] = []
    while fit and len(chosen) < count:
        best = min(fit, key=order.key)
        fit.remove(best)
        chosen.append(best)
        order.take(best)
    return chosen


class _Order:
    """Ranks offers by what is taken already."""

    def __init__(
        self, group: Group, machines: set[int], hosts: set[int], warm: Collection[int]
    ) -> None:
        self._good = group.preferences
        lifetime_s = group.max_lifetime_s
        self._long_s = LONG_S if lifetime_s is None else min(LONG_S, lifetime_s)
        self._machines = machines
        self._hosts = hosts
        self._warm = warm

    def take(self, offer: Offer) -> None:
        self._machines.add(offer.machine_id)
        self._hosts.add(offer.host_id)

    def key(self, offer: Offer) -> tuple[float, ...]:
        """The smaller, the better."""
        good = offer.machine_id in self._good.good_machines
        good = good or offer.host_id in self._good.good_hosts
        short = offer.available_s is not None and offer.available_s < self._long_s
        return (
            offer.machine_id in self._machines,
            not good,
            short,
            offer.host_id in self._hosts,
            offer.dlperf is None,
            -_per_dollar(offer) * self._worth(offer),
            offer.usd_per_hour / self._worth(offer),
            offer.id,
        )

    def _worth(self, offer: Offer) -> float:
        """What a machine that has the image may cost more by: the pull takes time and traffic."""
        return WARM_WORTH if offer.machine_id in self._warm else 1.0


def _fits(offer: Offer, group: Group, bounds: Bounds, scores: Scores) -> bool:
    bad = group.preferences
    return (
        offer.usd_per_hour <= bounds.max_usd_per_hour
        and offer.machine_id not in bad.bad_machines
        and offer.host_id not in bad.bad_hosts
        and scores.machine(offer.machine_id) < BAD_MACHINE
        and scores.host(offer.host_id) < BAD_HOST
        and (offer.available_s is None or offer.available_s > successor_s(group.deadlines))
    )


def _per_dollar(offer: Offer) -> float:
    if offer.dlperf is None:
        return 0.0
    return offer.dlperf / offer.usd_per_hour if offer.usd_per_hour > 0 else float("inf")
