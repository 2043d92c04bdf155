"""The process may end at any commit: no wish is lost, and the ledger never says too little.

A world with its own meter runs beside the ledger: instances run or stand still at true prices, and
the controller of these tests looks at them, orders, closes and ends as the real one does.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from ledger_support import NOON, an_intent, open_ledger

from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.controller.spending import charges_between
from vast_pyworker.model import Instance, Member, Phase, Stage

RUNS, STANDS = 0.36, 0.036


class Crash(BaseException):
    """The end of the process."""


@dataclass
class Real:
    """An instance as it is, with its true bill in dollars."""

    number: int
    runs: bool = True
    billed: float = 0.0


@dataclass
class World:
    now: float = NOON
    instances: dict[str, Real] = field(default_factory=dict)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for each in self.instances.values():
            each.billed += (RUNS if each.runs else STANDS) * seconds / 3600.0


class Crashing(RuleBasedStateMachine):
    """Every rule is one step of the controller or of the world; ``fuse`` counts commits down."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ledger-crashes-"))
        self.world = World()
        self.gone: dict[str, Real] = {}
        self.promised: set[str] = set()
        self.since: dict[str, tuple[bool, float]] = {}
        self.moved: set[str] = set()
        self.fuse: int | None = None
        self.at_point = "commit"
        self.ledger: Ledger = open_ledger(self.folder, watch=self._watch)

    @initialize()
    def begin(self) -> None:
        self.tick()

    @rule(seconds=st.floats(0.1, 200.0))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(point=st.sampled_from(["commit", "committed"]), commits=st.integers(0, 3))
    def light_a_fuse(self, point: str, commits: int) -> None:
        self.at_point, self.fuse = point, commits

    @rule()
    def kill(self) -> None:
        self._reopen()

    @rule()
    def tick(self) -> None:
        self._guarded(self._tick)

    @rule(exists=st.booleans(), known=st.booleans(), seconds=st.floats(0.0, 30.0))
    def rent(self, exists: bool, known: bool, seconds: float) -> None:
        self._guarded(lambda: self._rent(exists, known, seconds))

    @rule(data=st.data())
    def stop_or_start(self, data: st.DataObject) -> None:
        """Not twice between two looks: nobody could know of that."""
        steady = sorted(set(self.world.instances) - self.moved)
        if steady:
            chosen = data.draw(st.sampled_from(steady))
            self.moved.add(chosen)
            self.world.instances[chosen].runs = not self.world.instances[chosen].runs

    @rule(data=st.data(), seconds=st.floats(0.0, 30.0))
    def destroy(self, data: st.DataObject, seconds: float) -> None:
        if self.world.instances:
            chosen = data.draw(st.sampled_from(sorted(self.world.instances)))
            self._guarded(lambda: self._destroy(chosen, seconds))

    @invariant()
    def no_wish_is_lost(self) -> None:
        known = self.ledger.intents.open()
        assert self.promised <= set(known) | set(self.gone)
        assert set(self.world.instances) <= set(known)

    @rule()
    def the_ledger_says_no_less_than_the_bill_and_no_time_twice(self) -> None:
        """Once all time is counted, which takes one tick that is let to its end."""
        self.fuse = None
        self._tick()
        for intent_id, real in {**self.world.instances, **self.gone}.items():
            intent = self.ledger.intents.get(intent_id)
            assert intent is not None
            life_s = (intent.closed_at or self.world.now) - intent.created_at
            counted = self.ledger.spend.by_intent(intent_id)
            assert real.billed * 1e6 - 50 <= counted <= RUNS * life_s / 3600 * 1e6 + 50

    @invariant()
    def all_sums_agree(self) -> None:
        hours = self.ledger.spend.hours(NOON)
        assert all(each.micro_usd >= 0 for each in hours if each.kind != "reconciled")
        assert sum(each.micro_usd for each in hours) == self.ledger.spend.spent_micro(NOON)

    def teardown(self) -> None:
        self.ledger.abandon()
        shutil.rmtree(self.folder)

    # --- the controller ---

    def _tick(self) -> None:
        for intent_id, real in self.world.instances.items():
            if self.ledger.intents.open()[intent_id].instance_id is None:
                self.ledger.intents.change(intent_id, instance_id=real.number)
        members = [self._member(each) for each in self.ledger.intents.open()]
        since, now = self.ledger.spend.last_at(), self.world.now
        charges = [] if since is None else charges_between(members, since, now)
        self.ledger.spend.accrue(charges, now)
        self.moved.clear()
        self._close_what_is_gone()

    def _member(self, intent_id: str) -> Member:
        intent, real = self.ledger.intents.open()[intent_id], self.world.instances.get(intent_id)
        if real is None:
            return Member(intent, Stage.MISSING, self.world.now)
        runs, since = self.since.get(intent_id, (not real.runs, 0.0))
        if runs is not real.runs:
            since = self.world.now
        self.since[intent_id] = (real.runs, since)
        instance = Instance(
            real.number, intent.label, Phase.RUNNING if real.runs else Phase.STOPPED,
            usd_per_hour=RUNS, usd_per_hour_now=RUNS if real.runs else STANDS,
            usd_per_hour_stopped=STANDS,
        )  # fmt: skip
        return Member(intent, Stage.READY if real.runs else Stage.COLD, since, instance)

    def _rent(self, exists: bool, known: bool, seconds: float) -> None:
        number = len(self.world.instances) + len(self.gone) + len(self.promised)
        intent = an_intent(
            f"i{number}", created_at=self.world.now, usd_per_hour_cap=RUNS, usd_per_hour=RUNS
        )
        self.ledger.intents.write(intent)
        self.promised.add(intent.id)
        if exists:
            self.world.instances[intent.id] = Real(1000 + number)
            self.world.pass_time(seconds)
            if known:
                self.ledger.intents.change(intent.id, instance_id=1000 + number)

    def _destroy(self, intent_id: str, seconds: float) -> None:
        self.gone[intent_id] = self.world.instances.pop(intent_id)
        self.world.pass_time(seconds)
        if self.ledger.intents.open()[intent_id].instance_id is None:
            self.ledger.intents.change(intent_id, instance_id=self.gone[intent_id].number)
        self.ledger.intents.close(intent_id, self.world.now, "gone")

    def _close_what_is_gone(self) -> None:
        for intent_id in set(self.ledger.intents.open()) & set(self.gone):
            self.ledger.intents.close(intent_id, self.world.now, "gone")

    # --- its end ---

    def _watch(self, point: str) -> None:
        if self.fuse is not None and point == self.at_point:
            self.fuse -= 1
            if self.fuse < 0:
                self.fuse = None
                raise Crash

    def _guarded(self, step: object) -> None:
        assert callable(step)
        try:
            step()
        except Crash:
            self._reopen()

    def _reopen(self) -> None:
        self.fuse = None
        self.ledger.abandon()
        self.since.clear()
        self.ledger = open_ledger(self.folder, watch=self._watch)


TestCrashing = Crashing.TestCase
TestCrashing.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
