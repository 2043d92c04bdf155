from __future__ import annotations

import pytest

from vast_pyworker.market.world.clock import Clock


class Ticks:
    def __init__(self) -> None:
        self.at = 50.0

    def __call__(self) -> float:
        return self.at


def test_runs_at_its_factor_from_its_epoch() -> None:
    ticks = Ticks()
    clock = Clock(60, epoch=1000.0, monotonic=ticks)
    assert clock.now() == 1000.0
    ticks.at += 2
    assert clock.now() == 1120.0


def test_factor_zero_moves_only_by_hand() -> None:
    ticks = Ticks()
    clock = Clock(0, epoch=1000.0, monotonic=ticks)
    ticks.at += 500
    assert clock.now() == 1000.0
    assert clock.advance(30) == 1030.0
    assert clock.now() == 1030.0


def test_advance_adds_to_what_has_run() -> None:
    ticks = Ticks()
    clock = Clock(1, epoch=0.0, monotonic=ticks)
    ticks.at += 5
    assert clock.advance(10) == 15.0


@pytest.mark.parametrize("step", [-1, float("nan"), float("inf")])
def test_never_goes_back_or_nowhere(step: float) -> None:
    clock = Clock(1, epoch=0.0, monotonic=Ticks())
    with pytest.raises(ValueError, match="advance"):
        clock.advance(step)
    assert clock.now() == 0.0


@pytest.mark.parametrize("factor", [-0.1, float("nan"), float("inf")])
def test_refuses_a_senseless_factor(factor: float) -> None:
    with pytest.raises(ValueError, match="factor"):
        Clock(factor, epoch=0.0)
