"""One run of the sweep: what the caller knows, what the market holds, and that the two agree."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from sweep_faults import KINDS, RETRIED, Trouble, trouble
from sweep_ground import Ground

from vast_pyworker.errors import (
    AuthError,
    BadAnswer,
    CreatedStopped,
    InvalidRequest,
    NoCredit,
    NotFound,
    OutcomeUnknown,
    ProviderError,
    ProviderUnreachable,
    RateLimited,
)
from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.instances import LaunchRequest

T = TypeVar("T")
SETTLE_S = 60.0
NOTHING_DONE = (AuthError, InvalidRequest, NoCredit, NotFound, RateLimited)
"""What says that the call changed nothing."""
PERHAPS_DONE = (OutcomeUnknown, ProviderUnreachable, BadAnswer)


@dataclass(frozen=True)
class Got(Generic[T]):
    """What a call of the client came to: a value, or an error of those that are documented."""

    value: T | None
    error: ProviderError | None

    @property
    def well(self) -> bool:
        return self.error is None

    def like(self, *kinds: type[ProviderError]) -> bool:
        return isinstance(self.error, kinds)


@dataclass
class Case:
    """``known`` are the instances the caller has been told of; ``struck``: faults that came."""

    ground: Ground
    kind: str
    name: str
    seed: int
    known: set[int] = field(default_factory=set)
    struck: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(str(self))
        self.trouble: Trouble | None = None
        self.ground.begin(str(self))

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}/{self.seed}"

    @property
    def vast(self) -> VastClient:
        return self.ground.vast

    @property
    def drawn(self) -> Trouble:
        assert self.trouble is not None
        return self.trouble

    @contextmanager
    def faults(self, *calls: str, passing: bool = False, prompt: bool = False) -> Iterator[Trouble]:
        """Trouble for these calls while the block lasts; ``passing``: it passes; ``prompt``: no
        answer comes after the client has hung up."""
        book = self.ground.book
        drawn = trouble(self.kind, calls, self.rng, passing)
        self.trouble = drawn = drawn.sooner() if prompt else drawn
        book.replace([drawn.fault], seed=str(self))
        self.ground.patient(not drawn.too_late)
        try:
            yield drawn
        finally:
            self.struck += sum(each["came"] for each in book.to_json())
            book.clear()
            self.ground.patient(True)

    @contextmanager
    def storm(self) -> Iterator[list[str]]:
        """Several kinds of trouble at once, for any call, while the block lasts: which."""
        book, kinds = self.ground.book, self.rng.sample(KINDS, self.rng.randint(2, 6))
        drawn = [trouble(kind, ("*",), self.rng, True).sooner().fault for kind in kinds]
        book.replace((replace(each, script=None, probability=0.25) for each in drawn), seed=self)
        try:
            yield kinds
        finally:
            self.struck += sum(each["came"] for each in book.to_json())
            book.clear()

    def ask(self, call: Callable[[], T]) -> Got[T]:
        """Any error but a ``ProviderError`` is a defect, and so is one with nothing to say."""
        try:
            return Got(call(), None)
        except ProviderError as error:
            assert str(error).endswith(".") and "Traceback" not in str(error)
            if isinstance(error, CreatedStopped):
                self.known.add(error.instance_id)
            return Got(None, error)

    # What there is before the trouble

    def label(self) -> str:
        return f"sweep/{self}/{self.rng.randrange(10**6)}"

    def request(self, **changes: Any) -> LaunchRequest:
        bid = 120.0 if self.rng.random() < 0.3 else None
        disk = self.rng.choice((5.0, 16.0, 1e6))
        fields = {"image": "i", "label": self.label(), "disk_gb": disk, "bid_usd_per_hour": bid}
        return LaunchRequest(**{**fields, **changes})

    def have(self, count: int = 1, label: str | None = None, **body: Any) -> list[int]:
        """Running instances of the caller's."""
        ground, ids = self.ground, []
        for offer in ground.offers(count, self.rng):
            sent = {"image": "i", "disk": 5.0, "label": label, **body}
            ids.append(ground.market.create(ground.account, offer, sent)["new_contract"])
        ground.market.advance(60.0)
        self.known.update(ids)
        return ids

    def have_stopped(self, count: int = 1) -> list[int]:
        ids = self.have(count)
        for each in ids:
            self.ground.market.set_state(self.ground.account, each, "stopped")
        return ids

    # What must hold

    def check_changed(self, got: Got[Any], before: Any, wanted: Any, now: Any) -> None:
        """Of a call that makes ``before`` into ``wanted``, where there is ``now`` this."""
        if got.well:
            assert now == wanted, (got, now)
        elif got.like(*PERHAPS_DONE):
            assert now in (before, wanted), (got, now)
        elif not self.drawn.of_world:
            assert got.like(*NOTHING_DONE), got
            assert now == before, (got, now)

    def check_outlived(self, got: Got[Any]) -> None:
        """A read, or what may be repeated, is not given up for trouble that passes."""
        if self.drawn.passes and self.kind in RETRIED and not self.drawn.too_late:
            assert got.well, got

    def check_waited(self, got: Got[Any]) -> None:
        """What is sent once waits where it is told to, and knows what was surely not done."""
        if self.drawn.passes and self.kind == "too_many":
            assert got.well, got
        if got.like(OutcomeUnknown):
            assert self.kind not in ("too_many",), got

    def settle(self, label: str, expected: int = 1) -> set[int]:
        """After trouble: what carries the label, from now on known."""
        found = set(self.vast.instances.settle(label, SETTLE_S, expected=expected))
        self.known |= found
        assert found == set(self.ground.contracts(label)), (found, label)
        return found

    def check_money(self) -> set[int]:
        """Those that are billed and that nobody knows of: there are none."""
        unknown = set(self.ground.contracts()) - self.known
        assert not unknown, f"{self}: {unknown} are billed and unknown"
        return unknown
