"""Turns "one more for this group" into an instance: the intent first, then the money.

Every intent is durable before its create is sent, and the create is sent once. What came of it is
written after; where that cannot be known, the intent stays open and the next complete list tells.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from vast_pyworker.controller.converging import SETTLED_AFTER_S
from vast_pyworker.controller.labels import Label, new_intent_id
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.controller.planning.choosing import choose
from vast_pyworker.controller.planning.context import Verdict
from vast_pyworker.controller.resting import Rests
from vast_pyworker.errors import (
    CreatedStopped,
    InvalidRequest,
    NotFound,
    OutcomeUnknown,
    ProviderError,
    ResourcesUnavailable,
)
from vast_pyworker.model import Bounds, Desired, Group, Intent, Offer
from vast_pyworker.providers.protocol import Provider

SPARE_OFFERS = 4  # how many more offers than needed are kept at hand: some are gone when asked for
WARM_FOR_S = 7 * 86400.0
CLOSED_LOOKED_AT = 500
WHO = "controller"

log = logging.getLogger(__name__)


class Purse(Protocol):
    """Judges one more instance at a price in dollars an hour, against all that is committed now."""

    def __call__(self, usd_per_hour: float) -> Verdict: ...


@dataclass(frozen=True)
class Order:
    """``count`` more instances for a group, within its present bounds, and why."""

    group: Group
    bounds: Bounds
    count: int
    reason: str


class Renting:
    """Rents for one fleet. ``run`` may be called from any thread; two orders may run at once.

    ``mono`` is a clock that never jumps.
    """

    def __init__(
        self,
        fleet: str,
        provider: Provider,
        ledger: Ledger,
        *,
        purse: Purse,
        env_of: Callable[[str], Mapping[str, str]],
        now: Callable[[], float],
        mono: Callable[[], float],
    ) -> None:
        self._fleet = fleet
        self._provider = provider
        self._ledger = ledger
        self._purse = purse
        self._env_of = env_of
        self._now = now
        self._mono = mono
        self._spending = threading.Lock()  # between judging the budget and writing the intent
        self._creating: dict[str, float] = {}  # until when by ``mono`` something may come of it
        self._rests = Rests(mono)

    def may_come(self, intent_id: str) -> bool:
        """Whether a create for this intent is under way, or ended so lately, and so unclearly,
        that what came of it may still be missing from lists."""
        return self._mono() < self._creating.get(intent_id, float("-inf"))

    def resting(self, group: str) -> str:
        """Why the group's rents wait a while; "" where they do not."""
        return self._rests.why(group)

    def run(self, order: Order) -> list[str]:
        """Rent up to ``order.count``; sentences on what did not come to an instance."""
        try:
            offers = self._offers(order)
        except ProviderError as exc:
            return [f"No offers could be read for {order.group.name}: {exc}"]
        if not offers:
            cap = order.bounds.max_usd_per_hour
            return [f"No offer for {order.group.name} costs at most ${cap:.3f}/h and matches."]
        said: list[str] = []
        rented = 0
        for offer in offers:
            if rented == order.count:
                break
            sentence, outcome = self._take(order, offer)
            said += [sentence] if sentence else []
            if outcome is _STOP:
                break
            rented += outcome is _DONE
        return said

    def _offers(self, order: Order) -> list[Offer]:
        group, launch = order.group, order.group.launch
        offers = self._provider.offers(
            group.query, disk_gb=launch.disk_gb, bid_usd_per_hour=launch.bid_usd_per_hour
        )
        open_now = list(self._ledger.intents.open().values())
        return choose(
            offers,
            group,
            order.bounds,
            self._ledger.reputation.scores(self._now()),
            taken_machines=frozenset(each.machine_id for each in open_now if each.machine_id),
            taken_hosts=frozenset(each.host_id for each in open_now if each.host_id),
            count=order.count + SPARE_OFFERS,
            warm_machines=self._warm_machines(group.name),
        )

    def _warm_machines(self, group: str) -> frozenset[int]:
        """Machines on which the group ran lately: its image is probably still there, and pulling it
        again costs time and traffic."""
        since = self._now() - WARM_FOR_S
        return frozenset(
            each.machine_id
            for each in self._ledger.intents.closed(CLOSED_LOOKED_AT)
            if each.group == group and each.confirmed and each.machine_id is not None
            and (each.closed_at or 0.0) >= since
        )  # fmt: skip

    def _take(self, order: Order, offer: Offer) -> tuple[str, object]:
        """Rent one offer: the sentence to say, and how to go on."""
        with self._spending:
            verdict = self._purse(offer.usd_per_hour)
            if not verdict.allowed:
                return verdict.sentence, _STOP
            intent = self._intent(order, offer)
            self._creating[intent.id] = float("inf")
            try:
                self._ledger.intents.write(intent)
            except BaseException:
                del self._creating[intent.id]
                raise
        try:
            return self._record(order, offer, intent)
        finally:
            self._ended(intent.id)

    def _ended(self, intent_id: str) -> None:
        """The call is over; where nobody knows what came of it, it may still show."""
        known = self._ledger.intents.open().get(intent_id)
        with self._spending:
            del self._creating[intent_id]
            mono = self._mono()
            self._creating = {key: at for key, at in self._creating.items() if mono < at}
            if known is not None and known.instance_id is None:
                self._creating[intent_id] = mono + SETTLED_AFTER_S

    def _record(self, order: Order, offer: Offer, intent: Intent) -> tuple[str, object]:
        row = self._ledger.journal.begin(
            "rent", group=intent.group, intent_id=intent.id, who=WHO, reason=order.reason,
            at=self._now(),
        )  # fmt: skip
        sentence, outcome = self._create(order, offer, intent)
        self._ledger.journal.end(row, sentence or _OUTCOMES[outcome], self._now())
        return sentence, outcome

    def _create(self, order: Order, offer: Offer, intent: Intent) -> tuple[str, object]:
        env = self._env_of(intent.id)
        try:
            rented = self._provider.create(offer, order.group.launch, intent.label, env)
        except CreatedStopped as exc:
            return self._stands_still(intent, exc), _NEXT
        except OutcomeUnknown as exc:
            return f"Whether offer {offer.id} was rented is not known yet: {exc}", _DONE
        except (NotFound, ResourcesUnavailable) as exc:
            self._nothing(intent, str(exc))
            return "", _NEXT
        except InvalidRequest as exc:
            self._nothing(intent, str(exc))
            self._ledger.reputation.note_failure(intent.group, offer.host_id, self._now())
            self._rests.begin(intent.group, exc)
            return f"Offer {offer.id} was refused for {intent.group}: {exc}", _STOP
        except ProviderError as exc:
            self._nothing(intent, str(exc))
            self._rests.begin(intent.group, exc)
            return f"Nothing more can be rented for {intent.group} now: {exc}", _STOP
        self._ledger.intents.change(intent.id, instance_id=rented.instance_id)
        self._rests.end(intent.group)
        return "", _DONE

    def _intent(self, order: Order, offer: Offer) -> Intent:
        intent_id, now = new_intent_id(), self._now()
        return Intent(
            id=intent_id,
            group=order.group.name,
            label=str(Label(self._fleet, order.group.name, intent_id)),
            created_at=now,
            desired=Desired.RUN,
            desired_at=now,
            reason=order.reason,
            set_by=WHO,
            usd_per_hour_cap=order.bounds.max_usd_per_hour,
            machine_id=offer.machine_id,
            host_id=offer.host_id,
            usd_per_hour=offer.usd_per_hour,
        )

    def _stands_still(self, intent: Intent, exc: CreatedStopped) -> str:
        why = "it came up stopped, and its disk is billed"
        self._ledger.intents.change(
            intent.id,
            instance_id=exc.instance_id,
            desired=Desired.DESTROY,
            desired_at=self._now(),
            reason=why,
        )
        return f"Instance {exc.instance_id} of {intent.group} is destroyed: {why}."

    def _nothing(self, intent: Intent, why: str) -> None:
        self._ledger.intents.close(intent.id, self._now(), f"nothing was created: {why}")


_DONE = object()  # this offer became an instance, or may have
_NEXT = object()  # this one did not: try another
_STOP = object()  # none will
_OUTCOMES = {_DONE: "rented", _NEXT: "not rented", _STOP: "not rented"}
