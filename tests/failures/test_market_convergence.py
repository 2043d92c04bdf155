"""The same at the market: its own faults by HTTP, the real client, kills at every call and commit.

``pytest tests/failures/test_market_convergence.py --seeds 1000`` tries more histories, a twentieth
of ``--seeds``; ``--seed 17 -s`` says one of them step by step.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from chaos import AMPLE, DEADLINES
from loop_rig import group, wishes
from market_rig import Killed, MarketRig
from seeded import give_seeds, live_all
from sweep_ground import ground
from test_convergence import given_up

from vast_pyworker.model import Desired, Pace

UPSET_TICKS = 20
QUIET_TICKS = 160
BLOCK = 10
SHARE = 20  # one history here costs as much as so many there
ACTS = ("create", "start", "stop", "reboot", "destroy")
READS = ("list", "show", "search", "charges")
FAULTS = (
    *((kind, READS, {}) for kind in ("error_before", "truncated", "not_json", "too_many")),
    *((kind, ACTS, {}) for kind in ("error_before", "error_after", "reset_before", "reset_after")),
    *((kind, ACTS, {}) for kind in ("refused_200", "truncated", "not_json", "too_many")),
    ("empty_list", ("list", "search"), {}),
    ("missing_page", ("list",), {}),
    ("stale_list", ("list",), {"age_s": 20.0}),
    ("duplicate", ("list",), {}),
    ("null_fields", ("list", "show", "search"), {}),
    ("latency", ("list", "create", "destroy"), {"seconds": 3.0}),
    ("offer_gone", ("create",), {}),
    ("create_stopped", ("create",), {}),
    ("stuck_loading", ("create",), {}),
    ("oci_failure", ("create",), {}),
    ("price_change", ("create",), {"factor": 1.3}),
    ("exited", ("create",), {}),
)
BLOWS = (
    ("exited", {}),
    ("offline", {"unknown_s": 20.0, "back_s": 60.0}),
    ("expired", {}),
    ("price_change", {"factor": 1.2}),
    ("price_change", {"factor": 9.0}),
)


class History:
    """One controller at a market of its own, through what its seed draws."""

    def __init__(self, seed: int, rig: MarketRig, tell: Callable[[str], None]) -> None:
        self.rng = random.Random(f"market/{seed}")
        self.rig = rig
        self.tell = tell
        self.fuse: int | None = None
        self.wanted = (0, 0)
        rig.watch = lambda moment, call: self._point()
        rig.committed = self._point
        rig.restart()
        self.wish()

    def wish(self) -> None:
        hot, cold = self.wanted = self.rng.randrange(4), self.rng.choice((0, 0, 1))
        self.rig.wish(
            min_instances=hot,
            cold_instances=cold,
            deadlines=DEADLINES,
            pace=Pace(cooldown_down_s=60.0),
        )
        self.tell(f"wanted: {self.wanted}")

    def upset(self) -> None:
        rng, rig = self.rng, self.rig
        if rng.random() < 0.5:
            kind, calls, params = rng.choice(FAULTS)
            times = rng.choice((1, 1, 2, 4))
            rig.suffer(kind, rng.choice(calls), times=times, **params)
            self.tell(f"{kind}, {times} times")
        if rng.random() < 0.25 and rig.there:
            kind, params = rng.choice(BLOWS)
            number = rng.choice(sorted(rig.there))
            rig.ground.market.strike(kind, number, account=rig.ground.account, params=params)
            self.tell(f"{number}: {kind}")
        if rng.random() < 0.1 and rig.there:
            rig.ears.silent.add(rng.choice(sorted(rig.there)))
        if rng.random() < 0.1:
            self.wish()
        if rng.random() < 0.25:
            self.fuse = rng.choice((0, 1, 2, 3, 5, 8, 12, 20))

    def heal(self) -> None:
        self.tell("all is well")
        self.fuse = None
        self.rig.heal()
        self.rig.ears.silent.clear()

    def tick(self, seconds: float) -> bool:
        """Whether the tick came to its end. What was done while nothing could be read is wrong."""
        rig, acts = self.rig, len(self.rig.acts)
        try:
            for sentence in rig.tick(seconds):
                self.tell(f"    {sentence}")
        except Killed:
            self.fuse = None
            self.tell("killed")
            rig.restart()
            return False
        assert not rig.loop.fleet.blind or len(rig.acts) == acts, "it acted without a list"
        assert len(rig.there) <= rig.wishes.limits.instances
        assert not given_up(rig.ledger, rig.there.values()), "it was given up, and is there"
        return True

    def is_settled(self) -> bool:
        stages = [str(each.stage) for each in self.rig.loop.fleet.members]
        return sorted(stages) == ["cold"] * self.wanted[1] + ["ready"] * self.wanted[0]

    def _point(self) -> None:
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                raise Killed


def live(seed: int, tell: Callable[[str], None] = lambda said: None) -> None:
    """One whole history; AssertionError where something does not hold."""
    with tempfile.TemporaryDirectory() as folder, ground(f"history {seed}") as made:
        rig = MarketRig(Path(folder), replace(wishes(group()), limits=AMPLE), made)
        try:
            history = History(seed, rig, tell)
            for number in range(UPSET_TICKS):
                tell(f"{number} at {rig.time():.0f}")
                history.upset()
                history.tick(history.rng.choice((2.0, 5.0, 10.0, 20.0, 40.0)))
            history.heal()
            _settle(history)
            _check_end(history)
        finally:
            rig.ledger.abandon()


def _settle(history: History) -> None:
    for number in range(QUIET_TICKS):
        acts = len(history.rig.acts)
        history.tick(30.0 if number < 100 else 90.0)
        if acts == len(history.rig.acts) and history.is_settled():
            return
    raise AssertionError(f"not settled: {history.rig.stages()}, wanted {history.wanted}")


def _check_end(history: History) -> None:
    rig = history.rig
    there = {each.label: each.id for each in rig.there.values()}
    opened = rig.ledger.intents.open().values()
    assert len(there) == len(rig.there), "two instances of one intent"
    assert there == {each.label: each.instance_id for each in opened}
    assert all(each.desired is not Desired.DESTROY for each in opened)
    acts = len(rig.acts)
    history.tick(0.0)
    assert len(rig.acts) == acts, "a still tick did something"
    rig.check_counted()
    counted, billed = rig.ledger.spend.by_instance(), rig.billed()
    assert billed.keys() <= counted.keys() | {None}, "what was billed is in nobody's account"
    gone = {
        each: counted[each] / 1e6 - usd for each, usd in billed.items() if each not in rig.there
    }
    assert all(-2e-6 <= usd <= 2e-6 for usd in gone.values()), f"not what was billed: {gone}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    give_seeds(metafunc, BLOCK, SHARE)


def test_after_any_history_at_the_market_all_is_as_it_is_wanted(
    seeds: list[int], request: pytest.FixtureRequest
) -> None:
    live_all(live, seeds, request)
