"""The thread that ticks: it goes on after a bad tick, and ends when told."""

from __future__ import annotations

import logging
import threading

import pytest

from vast_pyworker.market.world.ticking import Ticking

WAIT_S = 10.0


def test_it_ticks_often_and_saves_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    ticks: list[int] = []
    saved = threading.Event()

    def tick() -> None:
        ticks.append(1)
        if len(ticks) == 1:
            raise RuntimeError("the first tick fails")

    ticking = Ticking(tick, saved.set, tick_s=0.001, save_s=0.005)
    with caplog.at_level(logging.ERROR):
        ticking.start()
        assert saved.wait(WAIT_S)
        ticking.stop()
    assert len(ticks) >= 5
    assert "The market's tick failed." in caplog.text
    after = len(ticks)
    assert threading.Event().wait(0.02) is False and len(ticks) == after


def test_a_state_that_cannot_be_saved_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    tried = threading.Event()

    def save() -> None:
        tried.set()
        raise OSError("no space left")

    ticking = Ticking(lambda: None, save, tick_s=0.001, save_s=0.001)
    ticking.start()
    assert tried.wait(WAIT_S)
    ticking.stop()
    assert "could not be saved" in caplog.text
