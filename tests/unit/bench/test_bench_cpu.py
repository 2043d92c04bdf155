from __future__ import annotations

import os
import time

import psutil
import pytest
from relay_bench import cpu
from relay_bench.errors import CandidateFailed

ROLLUP = """55d0c0000000-7ffc00000000 ---p 00000000 00:00 0    [rollup]
Rss:               23456 kB
Pss:               12345 kB
Pss_Anon:           9999 kB
"""


def test_load_and_candidate_get_a_cpu_each() -> None:
    assert cpu.choose_pins({3, 1, 2}) == cpu.Pins(frozenset({1}), frozenset({2}))


def test_one_cpu_is_for_all() -> None:
    assert cpu.choose_pins({0}) == cpu.Pins(None, None)


def test_pinning_is_undone() -> None:
    before = os.sched_getaffinity(0)
    with cpu.on_cpus(frozenset({min(before)})):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before


def test_clock_of_a_process_is_its_user_and_system_time() -> None:
    work_until = time.process_time() + 0.05
    while time.process_time() < work_until:
        pass
    assert cpu.process_cpu_s(os.getpid()) == pytest.approx(time.process_time(), abs=0.05)


def test_clock_of_a_process_that_is_gone_is_an_error() -> None:
    with pytest.raises(OSError, match="Invalid"):
        cpu.process_cpu_s(2**22 + 1)


def test_tree_of_a_process_that_is_gone_is_empty() -> None:
    assert cpu.tree(2**22 + 1) == []


def test_spent_counts_new_processes_from_zero() -> None:
    assert cpu.spent({1: 10.0}, {1: 10.5, 2: 0.25}) == pytest.approx(0.75)


def test_spent_is_unknown_where_a_process_ended() -> None:
    with pytest.raises(CandidateFailed, match="1 of its processes ended"):
        cpu.spent({1: 10.0, 2: 1.0}, {1: 10.5})


def test_figures_of_memory_are_read_by_name() -> None:
    assert cpu.rollup_kib(ROLLUP) == {"Rss": 23456, "Pss": 12345, "Pss_Anon": 9999}


def test_text_without_figures_is_an_error() -> None:
    with pytest.raises(ValueError, match="no figures"):
        cpu.rollup_kib("[rollup]\n")


def test_own_memory_is_all_that_is_resident_but_what_is_shared_counts_once() -> None:
    resident_mb = psutil.Process().memory_info().rss / 1e6
    assert 0.5 * resident_mb < cpu.tree_memory_mb(os.getpid()) < 1.5 * resident_mb
