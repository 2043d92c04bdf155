"""What every measure is given and gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """``seconds`` of each load, ``fleets`` the numbers of workers, all in ``groups``; ``ticks`` of
    each steady state, ``restarts`` of each kind."""

    name: str = "full"
    seconds: int = 6
    paced_loads: int = 5
    fleets: tuple[int, ...] = (1_000, 10_000)
    groups: int = 50
    ticks: int = 100
    restarts: int = 5


QUICK = Profile("quick", seconds=2, paced_loads=3, ticks=30, restarts=3)


@dataclass(frozen=True)
class Target:
    """What was to be reached, what was, and whether that is enough."""

    what: str
    measured: str
    met: bool


@dataclass(frozen=True)
class Table:
    """Rows of one measure, and the targets that they are held against."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    targets: tuple[Target, ...] = ()


Say = Callable[[str], None]
