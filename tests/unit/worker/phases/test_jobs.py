"""Work beside the loop: one at a time of each name, ended exactly once, whatever it raises."""

from __future__ import annotations

import threading

import pytest

from vast_pyworker.worker.fakes import InlineJobs
from vast_pyworker.worker.phases.jobs import ThreadJobs, within

SAFETY_S = 20.0


@pytest.fixture
def ended():
    return threading.Event()


@pytest.fixture
def jobs(ended):
    started = ThreadJobs(ended.set)
    yield started
    started.join(SAFETY_S)


def test_a_job_hands_back_what_it_returned(jobs, ended):
    assert jobs.start("sum", lambda: 1 + 1, tag=7)
    assert ended.wait(SAFETY_S)
    (done,) = jobs.finished()
    assert (done.name, done.tag, done.result, done.error) == ("sum", 7, 2, None)
    assert jobs.finished() == []


def test_a_job_hands_back_what_it_raised(jobs, ended):
    jobs.start("fail", lambda: {}["missing"])
    assert ended.wait(SAFETY_S)
    (done,) = jobs.finished()
    assert isinstance(done.error, KeyError)


def test_a_second_job_of_the_same_name_is_refused_until_the_first_is_taken(jobs, ended):
    release = threading.Event()
    assert jobs.start("probe", lambda: release.wait(SAFETY_S))
    assert not jobs.start("probe", lambda: None)
    assert jobs.start("other", lambda: None)
    release.set()
    jobs.join(SAFETY_S)
    assert {done.name for done in jobs.finished()} == {"probe", "other"}
    assert jobs.start("probe", lambda: None)


@pytest.mark.parametrize("held", [False, True])
def test_the_stand_in_keeps_the_same_contract(held):
    jobs = InlineJobs(held=held)
    assert jobs.start("a", lambda: 1)
    assert not jobs.start("a", lambda: 2)
    jobs.release()
    (done,) = jobs.finished()
    assert done.result == 1
    assert jobs.start("a", lambda: 2)


def test_work_that_takes_too_long_is_left_alone():
    release = threading.Event()
    assert within(0.01, "slow", lambda: release.wait(SAFETY_S)) is None
    release.set()
    quick = within(SAFETY_S, "quick", lambda: 5)
    assert quick is not None
    assert quick.result == 5
