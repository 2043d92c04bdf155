"""``FakeController``: the real controller on a real socket, over a fake provider and fake workers.

For tests of what speaks with a controller, and to look at its page. Its clock stands still and
moves with ``tick``; loop, ledger, keys, calls and page are the real ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vast_pyworker.engine.running import RunningServer
from vast_pyworker.model import Group, Launch, Limits, Wishes
from vast_pyworker.providers.fake import FakeProvider

from .access import ADMIN_NAME, Right
from .composing import Surroundings, compose
from .executors import Inline
from .ledger.ledger import Ledger
from .listening import certificates
from .secrets import Secrets, open_secrets
from .traffic.fake_ears import FakeEars

START = 1_800_000_000.0
LIMITS = Limits(instances=20, usd_per_hour=20.0, usd_per_day=200.0, usd_per_month=2000.0)


def fake_group(name: str = "llm", **changes: Any) -> Group:
    """Two instances, each at most $1.5 an hour."""
    plain = Group(
        name=name,
        endpoint=name,
        launch=Launch("llamacpp", image="llama:1", disk_gb=20.0),
        query="",
        max_usd_per_hour=1.5,
        min_instances=2,
        max_instances=6,
    )
    return replace(plain, **changes)


def fake_wishes(*groups: Group, limits: Limits = LIMITS) -> Wishes:
    return Wishes("fleet", limits, {each.name: each for each in groups or (fake_group(),)})


@dataclass
class Time:
    """A clock that stands still; ``at`` is Unix seconds."""

    at: float = START

    def __call__(self) -> float:
        return self.at


class FakeController:
    """A context. ``keys`` has the text of a key for each right; ``url`` is where it listens.

    ``wishes`` stands for groups.toml and may be replaced; an error put there is raised by its
    reading. ``secrets`` None: those of the folder, made where there are none.
    """

    def __init__(
        self,
        folder: Path,
        wishes: Wishes | None = None,
        *,
        provider: Callable[[Time], FakeProvider] = FakeProvider,
        secrets: Secrets | None = None,
        open_magister: bool = False,
    ) -> None:
        self.folder = folder
        self._secrets = secrets
        self.wishes: Wishes | Exception = wishes or fake_wishes()
        self.time = Time()
        self.provider = provider(self.time)
        self.ears = FakeEars(self.provider.truth, self.time)
        self._open_magister = open_magister
        self.keys: dict[Right, str] = {}

    def __enter__(self) -> FakeController:
        self.secrets = self._secrets or open_secrets(self.folder)
        self.ledger = Ledger.open(str(self.folder / "ledger.db"), holder="test", now=self.time)
        around = Surroundings(
            address="http://127.0.0.1:1",
            every_s=1.0,
            now=self.time,
            mono=self.time,
            certificates=lambda: certificates(None),
            open_magister=self._open_magister,
        )
        self.executor = Inline()
        self.built = compose(
            self._read, self.provider, self.ledger, self.secrets, self.executor, around,
            ears=self.ears,
        )  # fmt: skip
        self.parts = self.built.parts
        for right in (Right.READ, Right.OPERATE, Right.ADMIN):
            name = ADMIN_NAME if right is Right.ADMIN else f"{right} key"
            self.keys[right], _ = self.ledger.keys.create(name, right, at=self.time())
        self._server = RunningServer(self.built.app)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.address[1]}"
        return self

    def __exit__(self, *exc: object) -> None:
        self.parts.events.close()
        self._server.stop()
        self.ledger.close()

    def tick(self, seconds: float = 1.0, times: int = 1) -> None:
        """Let time pass and the controller look, ``times`` over."""
        for _ in range(times):
            self.time.at += seconds
            self.built.tick()

    def _read(self) -> Wishes:
        if isinstance(self.wishes, Exception):
            raise self.wishes
        return self.wishes
