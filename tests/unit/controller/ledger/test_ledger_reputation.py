"""Strikes fade, machine and host apart; failures of a launch are counted by host."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledger_support import NOON, open_ledger

from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.controller.ledger.reputation import HALF_LIFE_S


def strike(ledger: Ledger, machine_id: int | None, host_id: int | None, at: float) -> None:
    ledger.reputation.strike(
        machine_id=machine_id, host_id=host_id, weight=1.0, at=at, why="never came up"
    )


def test_a_strike_counts_half_after_a_half_life(ledger: Ledger) -> None:
    strike(ledger, 8, 9, NOON)
    scores = ledger.reputation.scores(NOON + HALF_LIFE_S)
    assert scores.machine(8) == pytest.approx(0.5)
    assert scores.host(9) == pytest.approx(0.5)
    assert scores.machine(80) == 0.0 and scores.host(90) == 0.0


def test_a_host_gathers_the_strikes_of_its_machines(ledger: Ledger) -> None:
    for machine_id in (1, 2, 3):
        strike(ledger, machine_id, 9, NOON)
    strike(ledger, None, 9, NOON)
    scores = ledger.reputation.scores(NOON)
    assert scores.host(9) == 4.0 and scores.machine(1) == 1.0


def test_scores_that_were_given_out_do_not_change(ledger: Ledger) -> None:
    before = ledger.reputation.scores(NOON)
    strike(ledger, 8, 9, NOON)
    assert before.machine(8) == 0.0


def test_a_clock_that_goes_back_makes_nothing_worse(ledger: Ledger) -> None:
    strike(ledger, 8, None, NOON)
    assert ledger.reputation.scores(NOON - HALF_LIFE_S).machine(8) == 1.0
    strike(ledger, 8, None, NOON - HALF_LIFE_S)
    assert ledger.reputation.scores(NOON).machine(8) == 2.0


def test_all_of_it_is_known_to_the_next_controller(tmp_path: Path) -> None:
    first = open_ledger(tmp_path)
    strike(first, 8, 9, NOON - HALF_LIFE_S)
    strike(first, 8, 9, NOON)
    first.reputation.note_failure("chat", 9, NOON)
    first.abandon()
    second = open_ledger(tmp_path)
    assert second.reputation.scores(NOON).machine(8) == pytest.approx(1.5)
    assert second.reputation.failed_hosts("chat", NOON - 60) == {9}
    second.close()


def test_failures_count_by_host_since_a_time_until_forgiven(ledger: Ledger) -> None:
    reputation = ledger.reputation
    reputation.note_failure("chat", 1, NOON)
    reputation.note_failure("chat", 2, NOON + 50)
    reputation.note_failure("chat", 2, NOON + 60)
    reputation.note_failure("chat", None, NOON + 60)
    reputation.note_failure("other", 3, NOON + 60)
    assert reputation.failed_hosts("chat", NOON) == {1, 2}
    assert reputation.failed_hosts("chat", NOON + 55) == {2}
    reputation.forgive_launch("chat")
    assert reputation.failed_hosts("chat", NOON) == frozenset()
    assert reputation.failed_hosts("other", NOON) == {3}
