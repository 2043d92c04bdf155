"""Whatever goes wrong, and wherever it is killed: afterwards everything is as it is wanted.

``pytest tests/failures/test_convergence.py --seeds 20000`` tries more histories;
``pytest tests/failures/test_convergence.py --seed 17 -s`` says one of them step by step.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import pytest
from chaos import Chaos
from seeded import give_seeds, live_all

from vast_pyworker.controller.budget import window_ends
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.model import Desired, Stage

UPSET_TICKS = 24
QUIET_TICKS = 160
MEMORY = Path("/dev/shm")
LATE_MICRO_USD = 20_000
BLOCK = 50  # histories in one test
CLOSED_LOOKED_AT = 20


class Labelled(Protocol):
    @property
    def label(self) -> str | None: ...


def live(seed: int, tell: Callable[[str], None] = lambda said: None) -> None:
    """One whole history; AssertionError where something does not hold."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        chaos = Chaos(seed, Path(folder), tell)
        try:
            _go_through(chaos)
            _settle(chaos)
            _check_end(chaos)
        finally:
            chaos.ledger.abandon()


def _go_through(chaos: Chaos) -> None:
    for number in range(UPSET_TICKS):
        chaos.tell(f"{number} at {chaos.clock.at:.0f} ({chaos.clock.offset:+.0f})")
        chaos.upset()
        _tick(chaos, chaos.rng.choice((2.0, 5.0, 5.0, 10.0, 20.0, 40.0)))


def _settle(chaos: Chaos) -> None:
    chaos.heal()
    for number in range(QUIET_TICKS):
        chaos.tell(f"quiet {number} at {chaos.clock.at:.0f}")
        acts = chaos.provider.mutations
        _tick(chaos, 30.0 if number < 100 else 90.0)
        if acts == chaos.provider.mutations and _is_settled(chaos):
            return
    if not chaos.tight:
        raise AssertionError(f"not settled: {_shown(chaos)}")


def _tick(chaos: Chaos, seconds: float) -> None:
    """A tick, and what holds at every one of them."""
    acts, lists = len(chaos.provider.acts), chaos.provider.calls["instances"]
    held = set(chaos.held)
    whole = chaos.tick(seconds)
    new = chaos.provider.acts[acts:]
    assert not [each for each in new if each.subject in held], "one that is held was touched"
    if whole and chaos.loop.fleet.blind:
        assert chaos.provider.calls["instances"] > lists
        assert not new, "something was changed though the provider could not be read"
    there = chaos.provider.truth()
    chaos.seen.update(there)
    assert not given_up(chaos.ledger, there.values()), "it was given up, and is there and billed"
    _check_limits(chaos)


def given_up(ledger: Ledger, there: Iterable[Labelled]) -> set[str | None]:
    """The labels of what is there though its intent was closed: believed gone, or never made."""
    opened = {each.label for each in ledger.intents.open().values()}
    closed = {each.label for each in ledger.intents.closed(CLOSED_LOOKED_AT)}
    return {each.label for each in there} & (closed - opened)


def _check_limits(chaos: Chaos) -> None:
    """What there is, and what it may still cost today: all that runs was reserved when rented, in
    the day in which that was. A clock that was set back has made the day longer; prices of a tight
    history never change."""
    limits, there = chaos.wishes.limits, chaos.provider.truth().values()
    assert len(there) <= limits.instances, "more instances than limits.instances"
    assert limits.usd_per_day is not None
    spent = float(chaos.provider.billed_in_all()) / 1e6
    assert spent <= limits.usd_per_day, "more was spent than in a day allowed"
    if not chaos.tight:
        return
    rate = sum(each.usd_per_hour or 0.0 for each in there)
    assert rate <= limits.usd_per_hour + 1e-6, "more than limits.usd_per_hour"
    ends = window_ends(chaos.clock.wall())
    chaos.days.add(ends[0])
    if len(chaos.days) > 1:
        return
    for ends_at, most in zip(ends, (limits.usd_per_day, limits.usd_per_month), strict=True):
        assert most is not None
        left_s = max(ends_at - chaos.clock.wall() - chaos.set_back_s, 0.0)
        assert spent + rate * left_s / 3600 <= most + 1e-6, "a day or month was not reserved"


def _is_settled(chaos: Chaos) -> bool:
    members = chaos.loop.fleet.members
    for group in chaos.groups:
        own = [each for each in members if each.intent.group == group.name]
        if sum(each.stage is Stage.READY for each in own) != group.min_instances:
            return False
        cold = sum(each.stage is Stage.COLD for each in own)
        if cold != group.cold_instances or len(own) != group.min_instances + cold:
            return False
    return True


def _check_end(chaos: Chaos) -> None:
    _check_pairs(chaos)
    _check_stillness(chaos)
    _check_money(chaos)


def _check_pairs(chaos: Chaos) -> None:
    """Exactly one instance for each open intent, and none without."""
    there = {each.label: each.id for each in chaos.provider.truth().values()}
    assert len(there) == len(chaos.provider.truth())
    opened = chaos.ledger.intents.open().values()
    assert there == {each.label: each.instance_id for each in opened if each.instance_id}
    if not chaos.tight:
        assert len(opened) == sum(g.min_instances + g.cold_instances for g in chaos.groups)
        assert all(each.desired is not Desired.DESTROY for each in opened)


def _check_stillness(chaos: Chaos) -> None:
    """A second tick with nothing changed changes nothing."""
    assert chaos.tick(0.0)
    before = (chaos.provider.mutations, chaos.ledger.commits)
    assert chaos.tick(0.0)
    assert (chaos.provider.mutations, chaos.ledger.commits) == before, "a still tick did something"


def _check_money(chaos: Chaos) -> None:
    """For each instance at least what was billed; of those gone no millionth more, once the
    bill was read. A lower bill of one that is still there is not believed: it may be late."""
    assert not _short(chaos), f"less is counted than billed: {_short(chaos)}"
    chaos.provider.heal()
    assert chaos.tick(301.0)
    counted, there = chaos.ledger.spend.by_instance(), chaos.provider.truth()
    left = {each: counted.get(each, 0) - float(chaos.provider.billed(each)) for each in chaos.seen}
    assert all(micro > -1 for micro in left.values()), f"less than was billed is counted: {left}"
    gone = {each: micro for each, micro in left.items() if each not in there}
    assert all(micro < 1 for micro in gone.values()), f"more than was billed is left: {gone}"


def _short(chaos: Chaos) -> dict[int, tuple[int, float]]:
    """Counted and billed micro-dollars of instances of which too little is counted.

    A sum begins anew where the clock is set, and is rounded there; a list that is late hides a
    dearer price for as long.
    """
    counted = chaos.ledger.spend.by_instance()
    billed = {each: chaos.provider.billed(each) for each in chaos.seen}
    allowed = LATE_MICRO_USD if chaos.late else 2 * chaos.times_set
    return {
        each: (counted.get(each, 0), float(micro))
        for each, micro in billed.items()
        if counted.get(each, 0) + allowed < micro
    }


def _shown(chaos: Chaos) -> str:
    return "; ".join(
        f"{each.intent.group} {each.intent.instance_id} {each.stage} ({each.evidence})"
        for each in chaos.loop.fleet.members
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    give_seeds(metafunc, BLOCK)


def test_after_any_history_all_is_as_it_is_wanted(
    seeds: list[int], request: pytest.FixtureRequest
) -> None:
    live_all(live, seeds, request)


def test_the_same_seed_is_the_same_history() -> None:
    first, second = [], []  # type: list[str], list[str]
    for said in (first, second):
        live(3, said.append)
    # Ids of intents are drawn anew each time; sentences of the same history have none of them.
    assert first == second and len(list(itertools.islice(first, 50))) == 50
