"""Where the sweep takes place: a market behind a real socket, a client, and one clock for both.

Nobody waits: the client's sleep moves the market's clock, and returns once everything that was due
by then is done, calls whose client has hung up included.
"""

from __future__ import annotations

import itertools
import random
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import requests

from vast_pyworker.engine.running import RunningServer
from vast_pyworker.engine.wsgi import WSGIApp
from vast_pyworker.market.app import Conduct, build_app
from vast_pyworker.market.composing import Built, MarketOptions, build
from vast_pyworker.market.rentals.contracts import Contract
from vast_pyworker.market.runtime.simulated import SimulatedRuntime
from vast_pyworker.vastai.client import VastClient
from vast_pyworker.vastai.pacing import Pacing
from vast_pyworker.vastai.sending import Timeouts

KEY = "market"
EPOCH = 1_760_000_000.0
PATIENT = Timeouts(connect_s=5.0, read_s=10.0, total_s=120.0)
HASTY = Timeouts(connect_s=5.0, read_s=0.03, total_s=120.0)
LATE_S = 10.0
"""An answer that is this late comes after the client has hung up."""
_RICH_USD = 1e6
_DAY_S = 86_400.0
FEWEST_OFFERS = 45
"""What one run may take, and what its faults may take away."""


class Lateness:
    """Holds calls until the market's clock says that they are due. ``now`` and ``pass_`` are that
    clock's; short delays only move it."""

    def __init__(self, now: Callable[[], float], pass_: Callable[[float], object]) -> None:
        self._now = now
        self._pass = pass_
        self._changed = threading.Condition()
        self._held: dict[int, float] = {}

    def hold(self, seconds: float) -> None:
        """On the thread of a call."""
        if seconds < LATE_S:
            self._pass(seconds)
            return
        with self._changed:
            due = self._held[threading.get_ident()] = self._now() + seconds
            self._changed.wait_for(lambda: self._now() >= due, timeout=30)

    def around(self, app: WSGIApp) -> WSGIApp:
        """``app``, which tells when a call that was held is done."""

        def call(environ: Any, start_response: Any) -> Any:
            try:
                return app(environ, start_response)
            finally:
                with self._changed:
                    self._held.pop(threading.get_ident(), None)
                    self._changed.notify_all()

        return call

    def let_go(self) -> None:
        """Returns when all that is due is done."""
        with self._changed:
            self._changed.notify_all()
            done = self._changed.wait_for(self._nothing_due, timeout=30)
        assert done, "a call that was held did not end"

    def _nothing_due(self) -> bool:
        return all(due > self._now() for due in self._held.values())


class Ground:
    """``vast`` is the client; ``built`` and ``world`` are the truth it must arrive at."""

    def __init__(self, built: Built, url: str, lateness: Lateness) -> None:
        self.built = built
        self.parts = built.parts
        self.market = built.parts.market
        self.account = next(iter(built.parts.accounts)).id
        self.book = built.book
        self.world = self.market._gate.world
        self._lateness = lateness
        self._rng = random.Random()
        self._offers: list[int] = []
        self._found: int | None = None
        self._searched_at = 0.0
        self._taken: set[int] = set()
        self.vast = VastClient(
            KEY,
            base_url=url,
            pacing=Pacing.off(self.now, self.sleep),
            timeouts=PATIENT,
            now=self.now,
            sleep=self.sleep,
            wall=self.now,
            rng=self._rng,
            session_factory=_direct_session,
        )

    def now(self) -> float:
        return self.market.clock.now()

    def sleep(self, seconds: float) -> None:
        self.market.advance(seconds)
        self._lateness.let_go()

    def contracts(self, label: str | None = None) -> dict[int, Contract]:
        """What exists and is billed; with this label, where one is given."""
        return {
            number: each
            for number, each in self.world.contracts.items()
            if label is None or each.label == label
        }

    def offers(self, count: int, rng: random.Random) -> list[int]:
        """Offers of one GPU each, on different machines, that nobody has in this run."""
        if not self._offers or self.now() > self._searched_at + _DAY_S / 2:
            lasting = {"rentable": {"eq": True}, "duration": {"gt": _DAY_S}}
            rows = self.market.search({**lasting, "num_gpus": {"eq": 1}, "limit": 1000})
            self._offers = list({row["machine_id"]: row["id"] for row in rows}.values())
            self._found, self._searched_at = len(self._offers), self.now()
        left = [each for each in self._offers if each not in self._taken]
        chosen = rng.sample(left, count)
        self._taken.update(chosen)
        return chosen

    @property
    def is_worn_out(self) -> bool:
        """Whether faults have left too few offers."""
        return self._found is not None and self._found < FEWEST_OFFERS

    def begin(self, seed: str) -> None:
        """A run of its own: the client has forgotten every wait, and draws by ``seed``."""
        self._rng.seed(seed)
        self._taken.clear()
        self.patient(True)
        self.vast.transport.pacing = Pacing.off(self.now, self.sleep)

    def patient(self, yes: bool) -> None:
        self.vast.transport.timeouts = PATIENT if yes else HASTY

    def clean(self, *, lasting: bool) -> None:
        """Nothing is left but the machines; ``lasting``: nor perhaps all of those."""
        self.book.clear()
        self.sleep(100.0)
        for number in list(self.contracts()):
            self.market.destroy(self.account, number)
        if self.market.credit(self.account) < _RICH_USD / 2:
            self.market.add_credit(self.account, _RICH_USD)
        self._clear_stores()
        if lasting:
            self._offers = []

    def _clear_stores(self) -> None:
        parts, account = self.parts, self.account
        for row in parts.templates.visible_to(account):
            parts.templates.delete(account, row["id"])
        for row in parts.ssh_keys.of(account):
            parts.ssh_keys.delete(account, row["id"])
        state = parts.serverless.state()
        for row in state["groups"]:
            parts.serverless.delete_group(account, row["id"])
        for row in state["endpoints"]:
            parts.serverless.delete_endpoint(account, row["id"])


def _direct_session() -> requests.Session:
    """Without a look at the environment for proxies, which takes a quarter of a call's time."""
    session = requests.Session()
    session.trust_env = False
    return session


@contextmanager
def ground(name: str, **changes: Any) -> Iterator[Ground]:
    """A fresh market with its client, drawn by its name; ``changes`` are of its options."""
    numbers, seed = itertools.count(1), zlib.crc32(name.encode())
    usual = MarketOptions(
        hosts=60, seed=seed, clock=0.0, credit=_RICH_USD, loading_median_s=0.5, limits=False
    )
    options = replace(usual, **changes)
    built = build(
        options, SimulatedRuntime(), epoch=EPOCH, new_text=lambda: f"{next(numbers):032x}"
    )
    clock = built.parts.market.clock
    late = Lateness(clock.now, built.parts.market.advance)
    conduct = Conduct(
        book=built.book, limits=None, sleep=late.hold, wall=clock.now, seed=options.seed
    )
    app = late.around(build_app(built.parts, conduct))
    with RunningServer(app, threads=48) as server:
        host, port = server.address
        made = Ground(built, f"http://{host}:{port}", late)
        with made.vast:
            yield made
