"""The state machine: what follows what, who is told, and what holds whatever is said."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vast_pyworker.model import State
from vast_pyworker.worker.fakes import Clock
from vast_pyworker.worker.phases.announcing import Transition
from vast_pyworker.worker.phases.readiness import Readiness

SAFETY_S = 20.0


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def readiness(clock):
    return Readiness(clock, monotonic=clock)


@pytest.fixture
def told(readiness):
    """What listeners hear, in order."""
    heard: list[Transition] = []
    readiness.subscribe(heard.append)
    return heard


def states(told):
    return [str(transition.state) for transition in told]


def test_the_usual_way_up(readiness, told, clock):
    readiness.starting()
    readiness.downloading({"done_bytes": 1})
    readiness.loading()
    readiness.benchmarking()
    clock.forward(30)
    readiness.loaded(192.5)
    assert states(told) == ["downloading", "loading", "benchmarking", "ready"]
    assert readiness.accepting
    assert readiness.max_perf == 192.5
    assert readiness.load_time_s == 30
    assert readiness.progress is None


def test_nothing_is_accepted_before_the_model_has_loaded(readiness):
    for step in (readiness.starting, readiness.loading, readiness.benchmarking):
        step()
        assert not readiness.accepting
        assert readiness.retry_after_s > 0


def test_without_a_model_to_watch_it_is_ready_at_once(readiness):
    readiness.assume_ready()
    assert readiness.state is State.READY
    assert readiness.accepting
    assert readiness.load_time_s > 0


def test_saturation_flips_ready_and_busy_and_nothing_else(readiness):
    readiness.loaded(1.0)
    readiness.set_saturated(True)
    assert (readiness.state, readiness.accepting, readiness.error_msg) == (State.BUSY, True, "")
    readiness.set_saturated(False)
    assert (readiness.state, readiness.accepting) == (State.READY, True)


def test_saturation_while_loading_is_remembered(readiness):
    readiness.set_saturated(True)
    assert readiness.state is State.STARTING
    readiness.loaded(1.0)
    assert readiness.state is State.BUSY


def test_degraded_accepts_nothing_and_recovers(readiness):
    readiness.loaded(5.0)
    readiness.degraded("3 health checks in a row failed")
    assert not readiness.accepting
    assert readiness.error_msg == "3 health checks in a row failed"
    readiness.recovered()
    assert readiness.accepting
    assert readiness.error_msg == ""
    assert readiness.max_perf == 5.0


def test_an_error_clears_on_recovery(readiness):
    readiness.loaded(5.0)
    readiness.error("RuntimeError: Engine")
    assert readiness.error_msg == "RuntimeError: Engine"
    readiness.recovered()
    assert (readiness.state, readiness.error_msg) == (State.READY, "")


def test_an_error_before_the_model_had_loaded_recovers_to_loading(readiness):
    readiness.error("the model has not loaded within 1800 s")
    readiness.recovered()
    assert readiness.state is State.LOADING
    assert not readiness.accepting


def test_evidence_after_an_error_makes_it_ready(readiness):
    readiness.error("the model has not loaded within 1800 s")
    readiness.loaded(3.0)
    assert (readiness.state, readiness.error_msg) == (State.READY, "")


def test_download_progress_does_not_clear_an_error(readiness):
    readiness.error("the model has not loaded within 1800 s")
    readiness.downloading({"done_bytes": 5})
    assert readiness.state is State.ERROR
    assert readiness.progress == {"done_bytes": 5}


def test_a_download_of_a_model_that_serves_is_no_news(readiness):
    readiness.loaded(1.0)
    readiness.downloading({"done_bytes": 5})
    assert readiness.state is State.READY
    assert readiness.progress is None


def test_a_second_loaded_changes_nothing(readiness, told, clock):
    readiness.loaded(7.0)
    clock.forward(100)
    readiness.loaded(7.0)
    assert states(told) == ["ready"]
    assert readiness.document()["count"] == 1


def test_a_new_capacity_is_news_without_a_new_state(readiness, told):
    readiness.loaded(7.0)
    readiness.loaded(9.0)
    assert [(t.previous, t.state) for t in told[1:]] == [(State.READY, State.READY)]
    assert readiness.max_perf == 9.0


def test_the_load_time_stays_that_of_the_first_load(readiness, clock):
    clock.forward(12)
    readiness.loaded(1.0)
    readiness.loading("the model server has been started")
    clock.forward(500)
    readiness.loaded(1.0)
    assert readiness.load_time_s == 12


def test_a_reported_load_time_goes_before_our_own(readiness, clock):
    clock.forward(12)
    readiness.loaded(1.0, load_time_s=3.5)
    assert readiness.load_time_s == 3.5


def test_a_model_that_loads_again_has_no_capacity_meanwhile(readiness):
    readiness.loaded(50.0)
    readiness.loading("its process has ended")
    assert readiness.max_perf == 0.0
    assert not readiness.accepting


@pytest.mark.parametrize("nothing", [0.0, -1.0, float("nan"), float("inf")])
def test_no_capacity_is_an_error_where_one_is_required(clock, nothing):
    readiness = Readiness(clock, monotonic=clock, benchmark_required=True)
    readiness.loaded(nothing)
    assert readiness.state is State.ERROR
    assert "capacity" in readiness.error_msg
    assert readiness.load_time_s == 0.0


def test_no_capacity_does_not_retire_a_model_that_serves(clock):
    readiness = Readiness(clock, monotonic=clock, benchmark_required=True)
    readiness.loaded(8.0)
    readiness.loaded(0.0)
    assert (readiness.state, readiness.max_perf) == (State.READY, 8.0)


def test_draining_is_final_until_stopped(readiness, told):
    readiness.loaded(1.0)
    readiness.draining()
    for late in (
        lambda: readiness.loaded(2.0),
        readiness.recovered,
        readiness.loading,
        readiness.assume_ready,
        lambda: readiness.error("x"),
        lambda: readiness.degraded("x"),
    ):
        late()
        assert readiness.state is State.DRAINING
        assert not readiness.accepting
    readiness.stopped()
    assert states(told) == ["ready", "draining", "stopped"]


def test_another_error_is_news_and_the_same_is_not(readiness, told):
    readiness.error("out of memory")
    readiness.error("out of memory")
    readiness.error("the port is taken")
    assert [t.reason for t in told] == ["out of memory", "the port is taken"]
    assert readiness.document()["count"] == 1


def test_another_reason_for_the_same_state_is_shown_but_is_no_transition(readiness, told):
    readiness.loading("waiting for its port")
    readiness.loading("waiting for its health check")
    assert states(told) == ["loading"]
    assert readiness.reason == "waiting for its health check"


def test_a_download_says_how_long_to_wait(readiness):
    readiness.downloading({"seconds_left": 42.0})
    assert readiness.retry_after_s == 42.0
    readiness.downloading({"seconds_left": 9000.0})
    assert readiness.retry_after_s == 60.0
    readiness.downloading({"seconds_left": None})
    assert readiness.retry_after_s == 15.0


def test_the_document_is_complete(readiness, clock):
    clock.forward(5)
    readiness.loaded(4.0)
    document = readiness.document()
    assert document["state"] == "ready"
    assert document["since"] == clock.now
    assert document["counts"] == {"starting": 1, "ready": 1}
    assert [entry["state"] for entry in document["history"]] == ["starting", "ready"]
    assert document["max_perf"] == 4.0
    assert document["accepting"] is True


def test_the_history_is_bounded(clock):
    readiness = Readiness(clock, monotonic=clock, history=4)
    for number in range(10):
        readiness.error(f"error {number}")
    assert [entry["reason"] for entry in readiness.document()["history"]] == [
        f"error {number}" for number in (6, 7, 8, 9)
    ]


def test_a_listener_may_ask_and_change_the_state(readiness):
    heard = []

    def listener(transition):
        heard.append((transition.state, readiness.document()["state"]))
        if transition.state is State.ERROR:
            readiness.recovered()

    readiness.subscribe(listener)
    readiness.error("x")
    assert [state for state, _ in heard] == [State.ERROR, State.LOADING]


def test_a_listener_that_fails_does_not_silence_the_others(readiness, told, caplog):
    def broken(transition):
        raise RuntimeError("no")

    readiness.subscribe(broken)
    readiness.subscribe(told.append)
    readiness.loaded(1.0)
    assert len(told) == 2
    assert "A listener failed" in caplog.text


def test_listeners_hear_all_transitions_in_the_order_in_which_they_happened(readiness):
    heard: list[Transition] = []
    readiness.subscribe(heard.append)
    threads = [
        threading.Thread(target=lambda: [readiness.error(f"{n}") for n in range(200)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SAFETY_S)
    assert [t.reason for t in heard][-1] == readiness.reason
    assert len(heard) > 200
    history = readiness.document()["history"]
    assert [t.reason for t in heard][-len(history) :] == [entry["reason"] for entry in history]


STEPS = st.sampled_from(
    [
        lambda r: r.starting(),
        lambda r: r.loading(),
        lambda r: r.loading("shard 2 of 4"),
        lambda r: r.downloading({"done_bytes": 1.0, "seconds_left": 3.0}),
        lambda r: r.benchmarking(),
        lambda r: r.loaded(0.0),
        lambda r: r.loaded(10.0),
        lambda r: r.loaded(float("nan")),
        lambda r: r.assume_ready(),
        lambda r: r.degraded("slow"),
        lambda r: r.recovered(),
        lambda r: r.error("broken"),
        lambda r: r.error("broken again"),
        lambda r: r.set_saturated(True),
        lambda r: r.set_saturated(False),
        lambda r: r.draining(),
        lambda r: r.stopped(),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.booleans(), st.lists(STEPS, max_size=30))
def test_whatever_is_said_in_whatever_order_the_rules_hold(required, steps):
    clock = Clock()
    readiness = Readiness(clock, monotonic=clock, benchmark_required=required)
    told: list[Transition] = []
    readiness.subscribe(told.append)
    load_time_s = 0.0
    for step in steps:
        before = readiness.state
        clock.forward(1)
        step(readiness)
        now = readiness.state
        assert readiness.accepting == (now in (State.READY, State.BUSY))
        assert (readiness.error_msg != "") == (now in (State.DEGRADED, State.ERROR))
        assert now is State.STOPPED or before is not State.STOPPED
        assert now in (State.DRAINING, State.STOPPED) or before is not State.DRAINING
        assert not (required and readiness.accepting and readiness.max_perf <= 0)
        assert readiness.load_time_s == load_time_s or load_time_s == 0.0
        assert readiness.since <= clock.now
        assert readiness.retry_after_s >= 1.0
        load_time_s = readiness.load_time_s
    if told:
        assert told[-1].state is readiness.state
        chain = [told[0].previous, *(t.state for t in told)]
        assert [t.previous for t in told] == chain[:-1]
