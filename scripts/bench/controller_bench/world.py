"""A controller of many workers without HTTP: the real loop and ledger on the fake provider.

Time is made: it moves only between two ticks. What the loop hands to others is put aside and done
between two ticks, so that the time of a tick is the loop's own.
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vast_pyworker import signature
from vast_pyworker.controller.executors import Work
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.controller.loop import Loop
from vast_pyworker.controller.policy.observation import Load
from vast_pyworker.controller.secrets import Secrets
from vast_pyworker.controller.traffic.ears import Ears
from vast_pyworker.controller.traffic.fake_ears import FakeEars
from vast_pyworker.controller.traffic.hearing import Hearing
from vast_pyworker.controller.traffic.places import Place
from vast_pyworker.controller.traffic.switchboard import Switchboard
from vast_pyworker.model import Group, Instance, Launch, Limits, Wishes
from vast_pyworker.providers.fake import FakeProvider, make_offers

from . import messages

START = 1_800_000_000.0
EVERY_S = 5.0
FIRST_OFFER = 100_000
FLEET = "bench"


@dataclass
class Time:
    at: float = START

    def __call__(self) -> float:
        return self.at


class Aside:
    """An executor that keeps the work until ``do``; ``taken`` counts it."""

    def __init__(self) -> None:
        self._kept: dict[str, Work] = {}
        self.taken = 0

    def run(self, key: str, work: Work) -> bool:
        if key in self._kept:
            return False
        self._kept[key] = work
        self.taken += 1
        return True

    def busy(self, key: str) -> bool:
        return key in self._kept

    def close(self, wait_s: float) -> None:
        self._kept.clear()

    def do(self) -> float:
        """Do all that is kept; the seconds that it took."""
        before = time.perf_counter()
        kept, self._kept = self._kept, {}
        for work in kept.values():
            work()
        return time.perf_counter() - before


class TimedProvider(FakeProvider):
    """``listed_s`` is what its lists have taken since it was set to 0."""

    listed_s = 0.0

    def instances(self, label_prefix: str) -> list[Instance]:
        before = time.perf_counter()
        try:
            return super().instances(label_prefix)
        finally:
            self.listed_s += time.perf_counter() - before


class TimedEars:
    """Others' ears; ``heard_s`` is what ``hearings`` have taken since it was set to 0."""

    def __init__(self, ears: Ears) -> None:
        self._ears = ears
        self.heard_s = 0.0

    def hearings(self, mono: float) -> Mapping[int, Hearing]:
        before = time.perf_counter()
        try:
            return self._ears.hearings(mono)
        finally:
            self.heard_s += time.perf_counter() - before

    def load(self, endpoint: str, mono: float) -> Load:
        return self._ears.load(endpoint, mono)

    def publish(self, places: Mapping[int, Place]) -> None:
        self._ears.publish(places)


class World:
    """Workers that run at the provider, and the wishes that they answer to."""

    def __init__(self, workers: int, groups: int, folder: Path) -> None:
        self.time = Time()
        self.folder = folder
        self.wishes = _wishes(workers, groups)
        self.secrets = Secrets(signature.new_private_key(), b"bench")
        self.provider = TimedProvider(self.time, offers=make_offers(workers + workers // 10))
        self.intent_of: dict[int, str] = {}
        for number in range(workers):
            intent_id, group = f"{number:032x}", messages.endpoint_of(number, groups)
            label = f"{FLEET}/{group}/{intent_id}"
            instance_id = self.provider.outside.put(label, offer_id=FIRST_OFFER + number)
            self.intent_of[instance_id] = intent_id
        gc.collect()
        gc.freeze()  # the collector's pauses are to be those of the controller, not of the fake

    def fake_ears(self) -> FakeEars:
        return FakeEars(self.provider.truth, self.time, join_s=0.0, warm_s=0.0)

    def switchboard(self) -> Switchboard:
        return Switchboard(
            self.secrets.signing_key, lambda key, endpoint: True, now=self.time, mono=self.time
        )

    def ledger(self, name: str = "ledger.db") -> Ledger:
        return Ledger.open(str(self.folder / name), holder="bench", now=self.time)

    def loop(self, ledger: Ledger, ears: Ears, aside: Aside) -> Loop:
        return Loop(
            self.wishes,
            self.provider,
            ledger,
            ears,
            aside,
            env_of=lambda intent_id: {"MASTER_TOKEN": self.secrets.token_of(intent_id)},
            token_of=self.secrets.token_of,
            now=self.time,
            mono=self.time,
            probe=lambda url: True,
        )


class Words:
    """All workers' reports to a switchboard, one each for every tick."""

    def __init__(self, world: World, board: Switchboard) -> None:
        self._board = board
        self._bodies = [
            messages.report(each, world.secrets.token_of(intent_id)).split(messages.NUMBER)
            for each, intent_id in world.intent_of.items()
        ]
        self._seq = 0

    def say(self) -> None:
        self._seq += 1
        for head, tail in self._bodies:
            self._board.take_report(f"{head}{self._seq}{tail}".encode())


@dataclass(frozen=True)
class Ticked:
    """One tick, in milliseconds: wall time, the thread's CPU time, of the wall time the fake's list
    and the hearings; work put aside, and the time that doing it took afterwards."""

    wall_ms: float
    cpu_ms: float
    list_ms: float
    hear_ms: float
    aside: int
    aside_ms: float


class Ticker:
    """Ticks a loop of a world, one after the other."""

    def __init__(self, world: World, ledger: Ledger, ears: Ears) -> None:
        self._world, self._ears, self._aside = world, TimedEars(ears), Aside()
        self.loop = world.loop(ledger, self._ears, self._aside)

    def tick(self, every_s: float = EVERY_S) -> Ticked:
        world, aside = self._world, self._aside
        world.time.at += every_s
        world.provider.listed_s = self._ears.heard_s = 0.0
        taken = aside.taken
        wall, cpu = time.perf_counter(), time.thread_time()
        self.loop.tick()
        wall_s, cpu_s = time.perf_counter() - wall, time.thread_time() - cpu
        return Ticked(
            wall_ms=wall_s * 1000,
            cpu_ms=cpu_s * 1000,
            list_ms=world.provider.listed_s * 1000,
            hear_ms=self._ears.heard_s * 1000,
            aside=aside.taken - taken,
            aside_ms=aside.do() * 1000,
        )

    def stages(self) -> Counter[str]:
        return Counter(each.stage.value for each in self.loop.fleet.members)


def _wishes(workers: int, groups: int) -> Wishes:
    size = workers // groups
    names = [messages.endpoint_of(number, groups) for number in range(groups)]
    launch = Launch("bench", image="bench:1", disk_gb=20.0)
    made = {
        name: Group(name, name, launch, "", 10.0, size, size * 2, policy_options={})
        for name in names
    }
    limits = Limits(workers * 2, workers * 20.0, usd_per_day=workers * 500.0)
    return Wishes(FLEET, limits, made)
