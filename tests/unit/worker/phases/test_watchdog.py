"""A hung engine is noticed, a busy one never, and counters are read right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vast_pyworker.worker.modelserver.counters import read_counters
from vast_pyworker.worker.phases.watchdog import Watchdog

VLLM = """\
# HELP vllm:generation_tokens_total Number of generation tokens processed.
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="a b} c"} 1234.0
vllm:generation_tokens_total{engine="1",model_name="a b} c"} 766.0 1730000000000
vllm:generation_tokens_total_created{engine="0"} 1.7e+09
vllm:num_requests_running{engine="0"} 3
vllm:kv_cache_usage_perc NaN
llamacpp:requests_deferred 2
broken{
"""


def test_nothing_moves_while_requests_run_is_a_hang():
    watchdog = Watchdog(120.0)
    assert watchdog.check(0.0, 3, {"answers": 5}) == ""
    assert watchdog.check(119.0, 3, {"answers": 5}) == ""
    assert (
        watchdog.check(121.0, 3, {"answers": 5}) == "no progress for 120 s with 3 requests running"
    )


def test_one_request_is_called_one():
    watchdog = Watchdog(1.0)
    watchdog.check(0.0, 1, {})
    assert watchdog.check(2.0, 1, {}).endswith("with 1 request running")


def test_any_mark_that_moves_is_enough():
    watchdog = Watchdog(60.0)
    for second in range(0, 600, 10):
        assert watchdog.check(second, 8, {"answers": 0, "tokens": second}) == ""


def test_a_long_rest_does_not_count_against_the_first_request_after_it():
    watchdog = Watchdog(60.0)
    watchdog.check(0.0, 0, {"answers": 5})
    watchdog.check(10_000.0, 0, {"answers": 5})
    assert watchdog.check(10_001.0, 1, {"answers": 5}) == ""
    assert watchdog.check(10_050.0, 1, {"answers": 5}) == ""
    assert watchdog.check(10_062.0, 1, {"answers": 5})


def test_an_unknown_counter_is_neither_a_move_nor_a_standstill():
    watchdog = Watchdog(60.0)
    watchdog.check(0.0, 1, {"tokens": 7})
    watchdog.check(30.0, 1, {})
    assert watchdog.check(50.0, 1, {"tokens": 7}) == ""
    assert watchdog.check(61.0, 1, {"tokens": 7})


def test_a_timeout_of_0_suspects_nothing():
    watchdog = Watchdog(0.0)
    watchdog.check(0.0, 1, {})
    assert watchdog.check(1e9, 1, {}) == ""


def test_another_process_begins_without_a_past():
    watchdog = Watchdog(60.0)
    watchdog.check(0.0, 1, {"tokens": 7})
    watchdog.forget()
    assert watchdog.check(100.0, 1, {"tokens": 7}) == ""
    assert watchdog.still_for_s(130.0) == 30.0


STEPS = st.lists(
    st.tuples(st.floats(0.1, 50.0), st.integers(0, 3), st.booleans()), min_size=1, max_size=40
)


@given(STEPS)
def test_a_hang_is_called_exactly_when_nothing_moved_for_that_long(steps):
    watchdog = Watchdog(60.0)
    watchdog.check(0.0, 0, {"tokens": 0})
    now, tokens, since = 0.0, 0, None
    for seconds, running, moves in steps:
        now, tokens = now + seconds, tokens + moves
        still = bool(running) and not moves and since is not None
        expected = still and now - since >= 60.0
        if not still:
            since = now if running else None
        assert bool(watchdog.check(now, running, {"tokens": tokens})) == expected


def test_counters_are_summed_over_their_labels():
    names = {
        "vllm:generation_tokens_total",
        "vllm:num_requests_running",
        "llamacpp:requests_deferred",
    }
    assert read_counters(VLLM, names) == {
        "vllm:generation_tokens_total": 2000.0,
        "vllm:num_requests_running": 3.0,
        "llamacpp:requests_deferred": 2.0,
    }


@pytest.mark.parametrize("name", ["vllm:kv_cache_usage_perc", "no_such_metric", "broken", "vllm:"])
def test_what_is_not_there_or_no_number_is_absent(name):
    assert read_counters(VLLM, {name}) == {}


def test_nothing_asked_is_nothing_read():
    assert read_counters(VLLM, ()) == {}
