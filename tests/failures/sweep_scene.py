"""What a run of the sweep does, and which kinds of faults can strike it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sweep_case import Case
from sweep_faults import OF_LISTS

from vast_pyworker.market.faults.kinds import WORLD_KINDS


@dataclass(frozen=True)
class Scene:
    """``play`` asserts all that must hold. ``world``: its calls come to the market's gate, where
    the world's faults are drawn; ``lists``: they read a list, which can be short or stale."""

    name: str
    play: Callable[[Case], None]
    world: bool = False
    lists: bool = False

    def can_be_struck(self, kind: str) -> bool:
        if kind in WORLD_KINDS:
            return self.world
        return self.lists or kind not in OF_LISTS


def played(scene: Scene, case: Case, *, lasting: bool) -> int:
    """How many faults came. Leaves the ground clean, also where the run failed."""
    try:
        scene.play(case)
        case.check_money()
        case.ground.sleep(100.0)  # what was late lands now, and is known too
        case.check_money()
        return case.struck
    except AssertionError as error:
        raise AssertionError(f"run {case} with {case.trouble}: {error}") from error
    finally:
        case.ground.clean(lasting=lasting)
