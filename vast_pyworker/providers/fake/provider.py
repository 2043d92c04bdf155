"""``FakeProvider``: the calls of a provider, each of which can be made to go wrong.

Deterministic: the same offers, times and calls give the same ids, phases and bill. What it does
not: run anything, or know any HTTP (``vast-pyworker market`` does both).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from vast_pyworker.errors import (
    CreatedStopped,
    InvalidRequest,
    NoCredit,
    NotFound,
    OfferGone,
    ProviderError,
    ResourcesUnavailable,
)
from vast_pyworker.model import Instance, Launch, Offer, Phase
from vast_pyworker.providers.protocol import PriceIncrease, Rented

from .bill import Line, micro
from .boxes import Box, Slot, Times
from .faults import MUTATING, Call, Faults, How, Struck, error_of
from .listing import Listing, falsified
from .offers import make_offers, matcher
from .outside import Outside
from .world import World

Moment = Literal["before", "after"]
_COMING = (Phase.CREATING, Phase.LOADING, Phase.RUNNING, Phase.REBOOTING)
_DEARER = 1.5


@dataclass(frozen=True)
class Act:
    """One mutating call: ``subject`` is an instance's id, for a create its label, else the id of a
    price increase."""

    at: float
    call: str
    subject: int | str


class FakeProvider:
    """``now`` is Unix seconds. ``offers`` are priced without a disk (default: ``make_offers``);
    disks cost ``storage_usd_per_gb_month`` on top, 0.144 being 0.0002 $/h for each GB.

    ``credit_usd`` None is without end; where it is spent, everything stops. ``list_lag_s`` is by
    how much ``instances`` and ``find`` are late; it and ``times`` may be set at any time.
    ``watch`` hears of each call before and after its effect, ("before" | "after", name); what it
    raises, the caller gets: a crash at that point. ``calls`` counts them, ``acts`` remembers those
    that asked for a change. ``outside`` does to instances what no call of ours does.
    """

    def __init__(
        self,
        now: Callable[[], float],
        *,
        offers: Iterable[Offer] | None = None,
        times: Times | None = None,
        list_lag_s: float = 0.0,
        credit_usd: float | None = None,
        storage_usd_per_gb_month: float = 0.144,
        watch: Callable[[Moment, str], None] | None = None,
    ) -> None:
        self._world = World(
            now,
            make_offers(100) if offers is None else offers,
            times=times or Times(),
            credit_usd=credit_usd,
            storage_usd_per_gb_month=storage_usd_per_gb_month,
        )
        self._listing = Listing(self._world)
        self._faults = Faults()
        self.outside = Outside(self._world)
        self.list_lag_s = list_lag_s
        self.watch = watch
        self.calls: Counter[str] = Counter()
        self.acts: list[Act] = []

    # --- what a provider does ---

    def offers(
        self, query: str, *, disk_gb: float, bid_usd_per_hour: float | None = None
    ) -> list[Offer]:
        """See ``Provider``. Of the query, what ``offers.matcher`` knows."""
        matches = matcher(query)
        bid = None if bid_usd_per_hour is None else micro(bid_usd_per_hour)
        with self._call("offers") as how:
            world = self._world
            found = [
                world.offer_with(slot, disk_gb, bid)
                for slot in world.free_slots()
                if world.can_take(slot, bid) and (slot.offer.disk_gb or disk_gb) >= disk_gb
            ]
            found = [] if how == "empty" else [each for each in found if matches(each)]
            return sorted(found, key=lambda each: (each.usd_per_hour, each.id))

    def instances(self, label_prefix: str) -> list[Instance]:
        with self._call("instances") as how:
            rows = self._listing.rows(self.list_lag_s)
            return falsified([row for row in rows if row.label.startswith(label_prefix)], how)

    def find(self, label: str) -> list[Instance]:
        with self._call("find") as how:
            rows = self._listing.rows(self.list_lag_s)
            return falsified([row for row in rows if row.label == label], how)

    def show(self, instance_id: int) -> Instance | None:
        with self._call("show", instance_id):
            box = self._world.boxes.get(instance_id)
            return box.row if box else None

    def create(self, offer: Offer, launch: Launch, label: str, env: Mapping[str, str]) -> Rented:
        with self._call("create", label, label=label) as how:
            slot = self._take(offer, launch, label, how)
            box = self._world.add(slot, launch, label, {**launch.env, **env})
            if how == "stopped":
                self._world.enter(box, Phase.STOPPED)
                raise CreatedStopped(f"Instance {box.id} stands still; destroy it.", box.id)
            return Rented(box.id, started=True)

    def start(self, instance_id: int) -> None:
        with self._call("start", instance_id) as how:
            box = self._world.need(instance_id)
            if how != "ignored" and box.phase not in _COMING:
                self._start(box, queued=how == "queued")

    def stop(self, instance_id: int) -> None:
        with self._call("stop", instance_id) as how:
            box = self._world.need(instance_id)
            if how != "ignored" and box.phase not in (Phase.STOPPED, Phase.EXPIRED):
                self._world.enter(box, Phase.STOPPED)

    def reboot(self, instance_id: int) -> None:
        with self._call("reboot", instance_id) as how:
            box = self._world.need(instance_id)
            if box.shown not in (Phase.RUNNING, Phase.EXITED):
                raise InvalidRequest(f"Instance {instance_id} does not run; start it.")
            if how != "ignored":
                self._world.reboot(box)

    def destroy(self, instance_id: int) -> None:
        with self._call("destroy", instance_id) as how:
            box = self._world.boxes.get(instance_id)
            if box is not None and how != "ignored":
                self._world.remove(box)

    def charges(self) -> Mapping[int, float] | None:
        with self._call("charges") as how:
            billed = self._world.bill.usd_by_instance(self._world.micros())
            return {} if how == "empty" else billed

    def credit(self) -> float | None:
        with self._call("credit"):
            return self._world.credit_usd()

    def price_increases(self) -> list[PriceIncrease]:
        with self._call("price_increases"):
            return list(self._world.increases.values())

    def accept_price_increase(self, increase_id: int) -> None:
        with self._call("accept_price_increase", increase_id):
            wish = self._settle(increase_id)
            assert wish.usd_per_hour is not None
            self._world.reprice(self._world.need(wish.instance_id), wish.usd_per_hour)

    def reject_price_increase(self, increase_id: int) -> None:
        with self._call("reject_price_increase", increase_id):
            self._settle(increase_id)

    def logs(self, instance_id: int, tail: int | None = None) -> str:
        with self._call("logs", instance_id):
            box = self._world.need(instance_id)
            lines = [f"instance {box.id} of {box.label}", f"it is {box.phase}"]
            kept = lines if tail is None else lines[max(0, len(lines) - tail) :]
            return "".join(f"{line}\n" for line in kept)

    # --- what a test does to it, and looks at ---

    def fail(
        self, call: Call, how: How | ProviderError, *, times: int | None = 1, skip: int = 0
    ) -> None:
        """The next ``times`` calls (None: all until ``heal``) go wrong, after ``skip`` good ones.

        ``how`` is an error to raise with nothing done, or a word: see ``faults.How``. A call
        draws the first fault that is for it. ValueError for what the call cannot suffer.
        """
        with self._world.now():
            self._faults.add(call, how, times, skip)

    def heal(self, call: Call | None = None) -> None:
        """Forget the faults of a call, or all."""
        with self._world.now():
            self._faults.clear(call)

    @property
    def times(self) -> Times:
        return self._world.times

    @times.setter
    def times(self, times: Times) -> None:
        self._world.times = times

    @property
    def mutations(self) -> int:
        """How many calls have asked for a change, those that failed too."""
        return len(self.acts)

    def truth(self) -> dict[int, Instance]:
        """What there really is now, by id."""
        with self._world.now() as world:
            return {box.id: box.row for box in world.boxes.values()}

    def env_of(self, instance_id: int) -> Mapping[str, str]:
        """The environment that it was created with."""
        with self._world.now() as world:
            return world.need(instance_id).env

    def billed(self, instance_id: int) -> Fraction:
        """Micro-dollars that it was charged so far, exact; also of one that is gone."""
        with self._world.now() as world:
            return world.bill.micro_usd(instance_id, world.micros())

    def billed_in_all(self) -> Fraction:
        """The same of all together."""
        with self._world.now() as world:
            return world.bill.total_micro_usd(world.micros())

    def billed_lines(self, instance_id: int) -> list[Line]:
        """What one was charged by phase and rate, in order of time."""
        with self._world.now() as world:
            return world.bill.lines(instance_id, world.micros())

    # --- how it does so ---

    @contextmanager
    def _call(
        self, call: str, subject: int | str = "", *, label: str | None = None
    ) -> Iterator[Struck]:
        """One call: watched, counted, and struck by what was written down for it."""
        with self._world.now() as world:
            self._look("before", call)
            self.calls[call] += 1
            if call in MUTATING:
                self.acts.append(Act(world.at, call, subject))
            how = self._faults.draw(call)
            error = None if how is None else error_of(how, call, label)
            if error is not None and how != "after_effect":
                raise error
            yield how
            self._look("after", call)
            if error is not None:
                raise error

    def _look(self, moment: Moment, call: str) -> None:
        if self.watch is not None:
            self.watch(moment, call)

    def _take(self, offer: Offer, launch: Launch, label: str, how: Struck) -> Slot:
        """The GPUs of an offer, or the error that says why not."""
        world = self._world
        if not label or launch.disk_gb <= 0 or not (launch.image or launch.template_hash):
            raise InvalidRequest("A create needs a label, a disk, and an image or a template.")
        if world.is_broke():
            raise NoCredit("The account lacks credit; add some.")
        slot = world.slots.get(offer.id)
        if slot is not None and how == "offer_gone":
            world.withdraw(slot)
        if slot is not None and how == "dearer":
            slot.gpu_micro = round(slot.gpu_micro * _DEARER)
        bid = launch.bid_usd_per_hour
        if slot is None or not world.can_take(slot, None if bid is None else micro(bid)):
            raise OfferGone(f"Offer {offer.id} is no longer available; take another.")
        return slot

    def _start(self, box: Box, *, queued: bool) -> None:
        world = self._world
        if world.is_broke():
            raise NoCredit("The account lacks credit; add some.")
        if box.phase is Phase.EXPIRED:
            raise InvalidRequest(f"The contract of instance {box.id} has ended; rent another.")
        if queued:
            world.lose_gpus(box, Phase.SCHEDULING)
        if queued or not world.start(box):
            raise ResourcesUnavailable(f"The GPUs of instance {box.id} are taken; it is queued.")

    def _settle(self, increase_id: int) -> PriceIncrease:
        wish = self._world.increases.pop(increase_id, None)
        if wish is None:
            raise NotFound(f"No price increase {increase_id} waits for an answer.")
        return wish
