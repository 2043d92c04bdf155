"""``FakeEars``: workers that report as told, for trying the loop without any HTTP.

Every instance that runs has a worker: it reports after ``join_s``, and is ready ``warm_s`` later.
``hush``, ``fail`` and ``hold`` make one silent, ill or busy. Times are those of the clock given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vast_pyworker.controller.policy.observation import Load
from vast_pyworker.model import Instance, Phase, Report

from .hearing import Hearing
from .places import Place


@dataclass
class _Life:
    ran_from: float
    last_word: float | None = None


class FakeEars:
    """``there`` gives what really is, by id; ``now`` is one clock for both kinds of time."""

    def __init__(
        self,
        there: Callable[[], Mapping[int, Instance]],
        now: Callable[[], float],
        *,
        join_s: float = 5.0,
        warm_s: float = 20.0,
        perf: float = 100.0,
    ) -> None:
        self._there = there
        self._now = now
        self._lives: dict[int, _Life] = {}
        self.join_s = join_s
        self.warm_s = warm_s
        self.perf = perf
        self.silent: set[int] = set()
        self.errors: dict[int, str] = {}
        self.busy: dict[int, int] = {}
        self.loads: dict[str, Load] = {}
        self.places: Mapping[int, Place] = {}

    def hearings(self, mono: float) -> Mapping[int, Hearing]:
        there = self._there()
        now = self._now()
        for known in [each for each in self._lives if each not in there]:
            del self._lives[known]
        found = {}
        for instance in there.values():
            hearing = self._hear(instance, now)
            if hearing is not None:
                found[instance.id] = hearing
        return found

    def load(self, endpoint: str, mono: float) -> Load:
        return self.loads.get(endpoint, Load())

    def publish(self, places: Mapping[int, Place]) -> None:
        self.places = places

    def _hear(self, instance: Instance, now: float) -> Hearing | None:
        life = self._lives.get(instance.id)
        if instance.phase is not Phase.RUNNING:
            if life is not None:
                life.ran_from = now
            return None if life is None else self._word(instance, life, now)
        if life is None:
            life = self._lives[instance.id] = _Life(now)
        if instance.id not in self.silent and now - life.ran_from >= self.join_s:
            life.last_word = now
        return self._word(instance, life, now)

    def _word(self, instance: Instance, life: _Life, now: float) -> Hearing | None:
        if life.last_word is None:
            return None
        ready = life.last_word - life.ran_from >= self.join_s + self.warm_s
        held = self.busy.get(instance.id, 0)
        return Hearing(
            report=Report(instance.id, "1.1.0", url=f"http://127.0.0.1:{instance.id % 60000}"),
            received_at=life.last_word,
            silent_s=max(now - life.last_word, 0.0),
            ready=ready,
            error=self.errors.get(instance.id, ""),
            perf=self.perf if ready else None,
            load=float(held),
            in_flight=held,
        )
