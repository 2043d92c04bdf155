"""A controller without HTTP: the real loop and ledger, the fake provider, workers that report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vast_pyworker.controller.executors import Inline
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.controller.loop import Loop
from vast_pyworker.controller.traffic.fake_ears import FakeEars
from vast_pyworker.model import Group, Launch, Limits, Stage, Wishes
from vast_pyworker.providers.fake import FakeProvider

START = 1_800_000_000.0
LIMITS = Limits(instances=20, usd_per_hour=20.0, usd_per_day=200.0, usd_per_month=2000.0)


def group(name: str = "llm", **changes: Any) -> Group:
    """Two instances, each at most $1.5 an hour."""
    plain = Group(
        name=name,
        endpoint=name,
        launch=Launch("llamacpp", image="llama:1", disk_gb=20.0),
        query="",
        max_usd_per_hour=1.5,
        min_instances=2,
        max_instances=6,
        policy_options={},
    )
    return replace(plain, **changes)


def wishes(*groups: Group, limits: Limits = LIMITS) -> Wishes:
    return Wishes("fleet", limits, {each.name: each for each in groups or (group(),)})


@dataclass
class Time:
    at: float = START

    def __call__(self) -> float:
        return self.at


@dataclass
class Rig:
    """Everything of one controller; ``restart`` is a kill and a new start on the same ledger."""

    folder: Path
    wishes: Wishes
    time: Time = field(default_factory=Time)
    probe: Callable[[str], bool] = lambda url: True
    watch: Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        self.provider = FakeProvider(self.time)
        self.ears = FakeEars(self.provider.truth, self.time)
        self.open()

    def open(self) -> None:
        self.ledger = Ledger.open(
            str(self.folder / "ledger.db"), holder="test", now=self.time, watch=self.watch
        )
        self.loop = Loop(
            self.wishes,
            self.provider,
            self.ledger,
            self.ears,
            Inline(),
            env_of=lambda intent_id: {"MASTER_TOKEN": f"token of {intent_id}"},
            token_of=lambda intent_id: f"token of {intent_id}",
            now=self.time,
            mono=self.time,
            probe=self.probe,
        )

    def restart(self) -> None:
        """The process is killed, and started again."""
        self.ledger.abandon()
        self.open()

    def tick(self, seconds: float = 5.0) -> list[str]:
        self.time.at += seconds
        return self.loop.tick()

    def run(self, seconds: float, every_s: float = 5.0) -> list[str]:
        said = []
        for _ in range(int(seconds // every_s)):
            said += self.tick(every_s)
        return said

    def stages(self) -> list[Stage]:
        return sorted(each.stage for each in self.loop.fleet.members)

    def ready(self) -> int:
        return self.stages().count(Stage.READY)

    def settle(self) -> None:
        """Long enough for everything that was begun to be done."""
        self.run(1200.0, 20.0)


@contextmanager
def rig(folder: Path, *groups: Group, limits: Limits = LIMITS) -> Iterator[Rig]:
    made = Rig(folder, wishes(*groups, limits=limits))
    try:
        yield made
    finally:
        made.ledger.close()
