"""Rents one offer after the other until enough run, and knows at every moment what exists.

The label of each creation is told before it is sent, so that whatever happens to this process,
what it made can be found. What was made and is not wanted (it did not start, it costs more than
allowed) is destroyed at once; what could not be is named in the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from vast_pyworker.errors import (
    CreatedStopped,
    OfferGone,
    OutcomeUnknown,
    ProviderError,
    PyworkerError,
)
from vast_pyworker.vastai.creating import LaunchRequest
from vast_pyworker.vastai.instances import Instances
from vast_pyworker.vastai.records import Instance, Offer
from vast_pyworker.vastai.states import Phase

_STANDING = (Phase.STOPPED, Phase.OUTBID, Phase.SCHEDULING)
PRICE_NOTED = 0.01  # a rise above what was offered, as a share, that is worth a word


@dataclass(frozen=True)
class Rented:
    """An instance that was made and is wanted; ``notes`` are sentences about what is amiss."""

    instance_id: int
    offer_id: int
    label: str
    usd_per_hour: float | None = None
    disk_gb: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Passed:
    """An offer that came to nothing, and nothing is left of it."""

    offer_id: int
    why: str


@dataclass(frozen=True)
class Left:
    """An instance that exists, is billed, and is not wanted; ``why`` it is still there."""

    instance_id: int
    offer_id: int
    why: str


@dataclass(frozen=True)
class Unsettled:
    """An offer of which nobody can say whether it was rented; ``label`` finds out."""

    offer_id: int
    label: str
    why: str


@dataclass
class Result:
    """Everything that came of it; ``error`` is what ended it before enough was rented."""

    rented: list[Rented] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    unsettled: list[Unsettled] = field(default_factory=list)
    error: PyworkerError | None = None


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What is wanted. ``hourly`` is what an offer costs with our disk and bid.

    ``label_is_unique`` says that nobody else uses the request's label: then whatever is found
    under it is ours to destroy.
    """

    request: LaunchRequest
    hourly: Callable[[Offer], float | None]
    label_is_unique: bool
    max_usd_per_hour: float | None = None
    keep_stopped: bool = False
    settle_s: float = 20.0


class Renting:
    """``known`` are instances that carried the label before; ``tell`` takes one sentence."""

    def __init__(
        self, instances: Instances, terms: Terms, tell: Callable[[str], None], known: Iterable[int]
    ) -> None:
        self._instances = instances
        self._terms = terms
        self._tell = tell
        self._label = terms.request.label
        self._known = set(known)  # under the label, those already destroyed too
        self._alive = len(self._known)
        self._in_flight: Offer | None = None
        self._wanted = 0
        self.result = Result()

    def rent(self, offers: Iterable[Offer], wanted: int) -> Result:
        """Never raises for what the provider did, nor for an interrupt: the result tells."""
        self._wanted = wanted
        try:
            for offer in offers:
                if len(self.result.rented) >= wanted or not self._try(offer):
                    break
        except KeyboardInterrupt:
            self.result.error = PyworkerError("Interrupted; what was rented until then is rented.")
            if self._in_flight is not None:
                self._settle(self._in_flight, "The call was interrupted.")
        return self.result

    def _try(self, offer: Offer) -> bool:
        """Whether to go on with the next offer."""
        self._tell(f"Renting offer {offer.id} under the label {self._label}")
        self._in_flight = offer
        try:
            created = self._instances.create(offer.id, self._terms.request)
        except OfferGone:
            self._pass(offer, "it was taken by others")
        except CreatedStopped as exc:
            self._note(exc.instance_id)
            self._stopped(exc.instance_id, offer)
        except OutcomeUnknown as exc:
            return self._settle(offer, str(exc))
        except ProviderError as exc:
            self._in_flight = None
            self.result.error = exc
            return False
        else:
            self._note(created.instance_id)
            self._made(created.instance_id, offer, created.instance)
        return True

    def _settle(self, offer: Offer, why: str) -> bool:
        """Look the label up: what is new under it is what the lost call made."""
        self._in_flight = None
        try:
            found = self._instances.settle(
                self._label, self._terms.settle_s, expected=self._alive + 1
            )
            new = [number for number in found if number not in self._known]
            rows = [(number, self._instances.show(number)) for number in new]
        except (ProviderError, KeyboardInterrupt) as exc:
            self.result.unsettled.append(Unsettled(offer.id, self._label, f"{why} {exc}".strip()))
            self.result.error = self.result.error or PyworkerError(why)
            return False
        for number, row in rows:
            self._note(number)
            self._adopt(number, offer, row)
        if not rows:
            self._pass(offer, "the answer was lost, and nothing was made")
        return True

    def _adopt(self, number: int, offer: Offer, row: Instance | None) -> None:
        """One that was found by its label, which may be another's where the label is not unique."""
        stands = row is not None and row.state.phase in _STANDING
        surplus = len(self.result.rented) >= self._wanted
        if (stands or surplus) and not self._terms.label_is_unique:
            why = f"it is new under the label {self._label}, and may be another's"
            self.result.left.append(Left(number, offer.id, why))
        elif surplus:
            self._remove(number, offer, "it is one more than wanted")
        elif stands:
            self._stopped(number, offer)
        else:
            self._made(number, offer, row)

    def _made(self, number: int, offer: Offer, row: Instance | None) -> None:
        price = row.usd_per_hour if row else None
        most = self._terms.max_usd_per_hour
        if most is not None and price is not None and price > most * (1 + 1e-9):
            self._remove(number, offer, f"it costs {price:.4f} $/h, above the {most:.4f} allowed")
            return
        notes = tuple(self._notes(offer, row))
        disk_gb = row.disk_gb if row else None
        rented = Rented(number, offer.id, self._label, price, disk_gb, notes)
        self.result.rented.append(rented)

    def _notes(self, offer: Offer, row: Instance | None) -> Iterable[str]:
        expected, wanted_gb = self._terms.hourly(offer), self._terms.request.disk_gb
        price = row.usd_per_hour if row else None
        if price is None:
            yield "its price could not be read"
        elif expected is not None and price > expected * (1 + PRICE_NOTED):
            yield f"it costs {price:.4f} $/h, and {expected:.4f} were offered"
        if row is not None and row.disk_gb is not None and row.disk_gb < wanted_gb:
            yield f"it has {row.disk_gb:g} GB of disk, and {wanted_gb:g} were asked for"

    def _stopped(self, number: int, offer: Offer) -> None:
        if not self._terms.keep_stopped:
            self._remove(number, offer, "it was made but did not start")
            return
        rented = Rented(number, offer.id, self._label, notes=("it stands still",))
        self.result.rented.append(rented)

    def _remove(self, number: int, offer: Offer, why: str) -> None:
        # Until the provider says that it is gone it is named as left, also if this is interrupted.
        left = Left(number, offer.id, why)
        self.result.left.append(left)
        try:
            self._instances.destroy(number)
        except ProviderError as exc:
            self.result.left[-1] = replace(left, why=f"{why}; destroying it failed: {exc}")
            return
        self.result.left.remove(left)
        self._alive -= 1
        self._pass(offer, f"{why}, so instance {number} was destroyed")

    def _note(self, number: int) -> None:
        """It exists: from here on it is in the result, whatever happens."""
        self._known.add(number)
        self._alive += 1
        self._in_flight = None

    def _pass(self, offer: Offer, why: str) -> None:
        self._in_flight = None
        self.result.passed.append(Passed(offer.id, why))
        self._tell(f"Offer {offer.id}: {why}.")
