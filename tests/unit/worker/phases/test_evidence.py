"""What must be seen of a model before it counts as loaded."""

from __future__ import annotations

from vast_pyworker.worker.fakes import OK, REFUSED, TIMED_OUT, UNWELL
from vast_pyworker.worker.phases.evidence import Evidence


def evidence(*required):
    return Evidence(frozenset(required))


def test_nothing_required_is_complete():
    assert evidence().complete


def test_both_are_needed_where_both_are_required():
    both = evidence("log", "probe")
    assert str(both) == "the loaded line in its log and its health check"
    assert not both.wants_probe
    both.see_log()
    assert both.wants_probe
    both.see_probe(REFUSED)
    assert not both.complete
    assert str(both) == "its health check (nobody listens on its port)"
    both.see_probe(OK)
    assert both.complete


def test_a_probe_holds_until_the_next():
    probe = evidence("probe")
    probe.see_probe(OK)
    probe.see_probe(UNWELL)
    assert not probe.complete
    assert probe.missing == {"probe"}


def test_any_answer_shows_that_the_port_is_open_and_a_silence_shows_nothing():
    port = evidence("port")
    port.see_probe(UNWELL)
    assert port.complete
    port.see_probe(TIMED_OUT)
    assert port.complete
    port.see_probe(REFUSED)
    assert not port.complete


def test_another_life_has_shown_nothing():
    log = evidence("log")
    log.see_log()
    log.clear()
    assert not log.complete


def test_a_log_watch_outside_makes_us_wait_for_it():
    nothing = evidence()
    nothing.require_log()
    assert not nothing.complete
    nothing.see_log()
    assert nothing.complete
