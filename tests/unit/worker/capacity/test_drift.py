from __future__ import annotations

from vast_pyworker.worker.capacity.drift import Drift


def noted(drift: Drift, work: float, minutes: int, *, saturated: bool) -> Drift:
    for _ in range(minutes):
        drift.note(work, 60.0, saturated=saturated)
    return drift


def test_production_as_measured_is_no_contradiction() -> None:
    drift = noted(Drift(100.0), 6000.0, 10, saturated=True)
    assert drift.contradiction() is None


def test_more_than_can_be_is_a_contradiction_in_words() -> None:
    found = noted(Drift(100.0), 9000.0, 5, saturated=False).contradiction()
    assert found is not None
    assert found.served_perf == 150.0
    assert str(found) == "production serves 150 units a second, the benchmark said 100"


def test_much_less_is_one_only_while_requests_wait() -> None:
    assert noted(Drift(100.0), 600.0, 10, saturated=False).contradiction() is None
    assert noted(Drift(100.0), 600.0, 10, saturated=True).contradiction() is not None


def test_one_idle_minute_excuses_little_work() -> None:
    drift = noted(Drift(100.0), 600.0, 4, saturated=True)
    drift.note(600.0, 60.0, saturated=False)
    assert drift.contradiction() is None
    noted(drift, 600.0, 4, saturated=True)
    assert drift.contradiction() is None
    noted(drift, 600.0, 1, saturated=True)
    assert drift.contradiction() is not None


def test_nothing_is_said_before_there_is_evidence() -> None:
    assert Drift(100.0).contradiction() is None
    assert noted(Drift(100.0), 90_000.0, 4, saturated=True).contradiction() is None


def test_what_is_long_past_does_not_count() -> None:
    drift = noted(Drift(100.0), 90_000.0, 5, saturated=True)
    assert drift.contradiction() is not None
    noted(drift, 6000.0, 5, saturated=True)
    assert drift.contradiction() is None
