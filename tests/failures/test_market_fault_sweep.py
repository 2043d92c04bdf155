"""Every fault at every call, many seeds: the client ends in the truth, and nothing is forgotten.

What a seed draws: when the fault strikes and how often, its parameters, what there was before. The
market's own state is the oracle. The calls that rent, list and end have 50 seeds by default, the
others fewer; ``SWEEP_SEEDS=50`` in the environment runs so many everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import sweep_changing
import sweep_keeping
import sweep_reading
import sweep_renting
from sweep_case import Case
from sweep_faults import KINDS, LASTING
from sweep_ground import Ground, ground
from sweep_scene import Scene, played
from sweep_storm import STORM

SEEDS, FEWER, STORMS = 50, 10, 300
MONEY = sweep_renting.SINGLE
SCENES = (
    *MONEY,
    *sweep_renting.COMPOUND,
    *sweep_changing.SCENES,
    *sweep_reading.SCENES,
    *sweep_keeping.SCENES,
)


class Grounds:
    """One ground for the runs of a kind of fault, and another when it is worn out."""

    def __init__(self) -> None:
        self._held = ExitStack()
        self._kind = ""
        self._ground: Ground | None = None

    def of(self, kind: str) -> Ground:
        if self._ground is None or kind != self._kind or self._ground.is_worn_out:
            self._held.close()
            self._ground = self._held.enter_context(ground(kind))
            self._kind = kind
        return self._ground

    def close(self) -> None:
        self._held.close()


@pytest.fixture(scope="module")
def grounds() -> Iterator[Grounds]:
    made = Grounds()
    yield made
    made.close()


def seeds(usual: int) -> range:
    asked = os.environ.get("SWEEP_SEEDS")
    return range(max(int(asked), usual) if asked else usual)


@pytest.mark.parametrize(
    ("kind", "scene"),
    [
        pytest.param(kind, scene, id=f"{kind}-{scene.name}")
        for kind in KINDS
        for scene in SCENES
        if scene.can_be_struck(kind)
    ],
)
def test_the_client_ends_in_the_truth(grounds: Grounds, kind: str, scene: Scene) -> None:
    struck = 0
    for seed in seeds(SEEDS if scene in MONEY else FEWER):
        case = Case(grounds.of(kind), kind, scene.name, seed)
        struck += played(scene, case, lasting=kind in LASTING)
    assert struck, f"{kind} never came"


def test_nothing_is_forgotten_where_everything_goes_wrong(grounds: Grounds) -> None:
    struck = 0
    for seed in seeds(STORMS):
        case = Case(grounds.of("storm"), "storm", STORM.name, seed)
        struck += played(STORM, case, lasting=True)
    assert struck > STORMS
