"""Somebody sets the clock on the wall by an hour while the controller runs, either way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import time
from pathlib import Path

import pytest
from loop_rig import Rig, group, rig

from vast_pyworker.controller.executors import Inline
from vast_pyworker.controller.loop import Loop
from vast_pyworker.model import Deadlines, Group, Pace, Stage, Window

HOUR = 3600.0
STEPS = (-HOUR, HOUR)
EVERY_DAY = frozenset(range(7))


@dataclass
class Wall:
    """A clock that may be set; the rig's own is the world's, and never jumps."""

    rig: Rig
    offset: float = 0.0

    def __call__(self) -> float:
        return self.rig.time.at + self.offset


@contextmanager
def walled(folder: Path, *groups: Group) -> Iterator[tuple[Rig, Wall]]:
    """Settled, and with no bill to read: what is counted is the controller's own."""
    with rig(folder, *groups) as made:
        wall = Wall(made)
        made.provider.fail("charges", "unreachable", times=None)
        made.loop = Loop(
            made.wishes, made.provider, made.ledger, made.ears, Inline(),
            env_of=lambda intent_id: {}, token_of=lambda intent_id: intent_id,
            now=wall, mono=made.time, probe=lambda url: True,
        )  # fmt: skip
        made.settle()
        yield made, wall


@pytest.mark.parametrize("step", STEPS)
def test_nothing_is_late_silent_or_gone_by_it(tmp_path: Path, step: float) -> None:
    with walled(tmp_path, group(max_lifetime_s=4 * HOUR)) as (made, wall):
        before = made.provider.mutations
        wall.offset += step
        made.tick()
        said = [each.sentence for each in made.ledger.journal.events(limit=1000)]
        assert f"The clock was set by {step:+.0f} s; no age changes by that." in said
        made.run(600.0)
        assert (made.provider.mutations, made.stages()) == (before, [Stage.READY] * 2)


@pytest.mark.parametrize("step", STEPS)
def test_no_hour_is_paid_for_twice_nor_left_out(tmp_path: Path, step: float) -> None:
    with walled(tmp_path) as (made, wall):
        sums = [made.ledger.spend.spent_micro(0.0)]
        for number in range(60):
            if number == 20:
                wall.offset += step
            made.tick(30.0)
            sums.append(made.ledger.spend.spent_micro(0.0))
        assert sums == sorted(sums)  # nothing is taken back
        billed = float(made.provider.billed_in_all())
        assert billed <= sums[-1] + 4 and sums[-1] <= billed * 1.02


@pytest.mark.parametrize("step", STEPS)
def test_one_that_loads_has_as_long_as_before(tmp_path: Path, step: float) -> None:
    with walled(tmp_path, group(deadlines=Deadlines(ready_s=900.0))) as (made, wall):
        made.ears.warm_s = 850.0
        made.provider.outside.vanish(min(made.provider.truth()))
        made.run(120.0)
        assert made.stages() == [Stage.READY, Stage.WARMING]
        wall.offset += step
        made.run(600.0)
        assert Stage.WARMING in made.stages()
        made.run(300.0)
        assert made.ready() == 2


@pytest.mark.parametrize("step", STEPS)
def test_a_victim_has_the_rest_of_its_time(tmp_path: Path, step: float) -> None:
    patient = group(deadlines=Deadlines(drain_s=300.0))
    with walled(tmp_path, patient) as (made, wall):
        made.ears.busy = dict.fromkeys(made.provider.truth(), 1)
        made.loop.desire(replace(made.wishes, groups={"llm": replace(patient, min_instances=0)}))
        made.run(100.0)
        wall.offset += step
        made.run(190.0)
        assert len(made.provider.truth()) == 2
        made.run(60.0)
        assert not made.provider.truth()


def test_the_hours_of_a_window_are_those_of_the_clock_on_the_wall(tmp_path: Path) -> None:
    """It is past eight in the morning, UTC."""
    nine = Window(EVERY_DAY, time(9), time(10), "UTC", min_instances=3)
    quick = group(windows=(nine,), pace=Pace(cooldown_down_s=30.0))
    with walled(tmp_path, quick) as (made, wall):
        assert made.ready() == 2
        wall.offset += HOUR
        made.run(120.0)
        assert made.ready() == 3
        wall.offset -= HOUR
        made.run(300.0)
        assert (made.ready(), len(made.provider.truth())) == (2, 2)
