"""A member's stage for every phase of the provider, every wish and every word of a worker."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vast_pyworker.controller.observing.members import Evidence, merge
from vast_pyworker.controller.observing.stages import drained, find_stage
from vast_pyworker.controller.observing.tracks import Track, at_stage
from vast_pyworker.controller.traffic.hearing import Hearing
from vast_pyworker.model import Desired, Instance, Intent, Phase, Report, Stage, Trouble

NOW = 10_000.0
LEASE_S = 90.0
INTENT = Intent(
    id="i1",
    group="llm",
    label="fleet/llm/i1",
    created_at=NOW - 1000,
    desired=Desired.RUN,
    desired_at=NOW - 1000,
    reason="wanted",
    set_by="controller",
    usd_per_hour_cap=0.5,
    instance_id=7,
    confirmed=True,
)
WORD = Hearing(Report(7, "1.1.0"), NOW - 1, 1.0, ready=True, perf=50.0, load=0.0, in_flight=0)


def instance(phase: Phase) -> Instance:
    return Instance(7, INTENT.label, phase)


def stage(
    phase: Phase | None,
    *,
    desired: Desired = Desired.RUN,
    word: Hearing | None = WORD,
    track: Track | None = None,
    **changes: object,
) -> tuple[Stage, Trouble | None]:
    intent = replace(INTENT, desired=desired, **changes)  # type: ignore[arg-type]
    there = None if phase is None else instance(phase)
    found = find_stage(intent, there, word, track, NOW, lease_s=LEASE_S)
    return found.stage, found.trouble


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        (Phase.CREATING, (Stage.LOADING, None)),
        (Phase.LOADING, (Stage.LOADING, None)),
        (Phase.REBOOTING, (Stage.LOADING, None)),
        (Phase.SCHEDULING, (Stage.STARTING, None)),
        (Phase.RUNNING, (Stage.READY, None)),
        (Phase.STOPPED, (Stage.SUSPECT, Trouble.STOPPED)),
        (Phase.OUTBID, (Stage.SUSPECT, Trouble.OUTBID)),
        (Phase.EXITED, (Stage.SUSPECT, Trouble.EXITED)),
        (Phase.FAILED, (Stage.SUSPECT, Trouble.FAILED)),
        (Phase.EXPIRED, (Stage.SUSPECT, Trouble.EXPIRED)),
        (Phase.OFFLINE, (Stage.SUSPECT, Trouble.OFFLINE)),
        (Phase.UNKNOWN, (Stage.READY, None)),
    ],
)
def test_one_wanted_running_by_what_the_provider_says(
    phase: Phase, expected: tuple[Stage, Trouble | None]
) -> None:
    assert stage(phase) == expected


def test_every_phase_of_a_provider_has_a_stage() -> None:
    for phase in Phase:
        for desired in Desired:
            for word in (None, WORD, replace(WORD, silent_s=1e6), replace(WORD, ready=False)):
                assert isinstance(stage(phase, desired=desired, word=word)[0], Stage)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (None, (Stage.JOINING, None)),
        (WORD, (Stage.READY, None)),
        (replace(WORD, ready=False), (Stage.WARMING, None)),
        (replace(WORD, error="CUDA is out of memory"), (Stage.SUSPECT, Trouble.ERROR)),
        (replace(WORD, silent_s=LEASE_S + 1), (Stage.SUSPECT, Trouble.SILENT)),
        (replace(WORD, silent_s=LEASE_S), (Stage.READY, None)),
    ],
)
def test_one_that_runs_by_what_its_worker_says(
    word: Hearing | None, expected: tuple[Stage, Trouble | None]
) -> None:
    assert stage(Phase.RUNNING, word=word) == expected


def test_the_word_of_an_earlier_run_is_no_silence() -> None:
    old = replace(WORD, silent_s=5000.0)
    assert stage(Phase.RUNNING, word=old, track=Track(Stage.STARTING, NOW - 10))[0] is Stage.JOINING


def test_a_worker_that_reports_outlives_a_provider_that_does_not_know() -> None:
    assert stage(Phase.UNKNOWN)[0] is Stage.READY
    assert stage(Phase.UNKNOWN, word=None) == (Stage.SUSPECT, Trouble.UNKNOWN)
    assert stage(Phase.UNKNOWN, word=replace(WORD, silent_s=999.0))[0] is Stage.SUSPECT


def test_one_told_to_start_a_moment_ago_is_starting_whatever_the_list_says() -> None:
    told = Track(Stage.COLD, NOW - 100, told_at=NOW - 5)
    assert stage(Phase.STOPPED, track=told)[0] is Stage.STARTING
    long_ago = replace(told, told_at=NOW - 500)
    assert stage(Phase.STOPPED, track=long_ago) == (Stage.SUSPECT, Trouble.STOPPED)


def test_a_victim_with_requests_drains_until_its_time_is_over() -> None:
    busy = replace(WORD, in_flight=3)
    times = {"desired_at": NOW - 20, "drain_until": NOW + 100}
    for desired, after in ((Desired.STOP, Stage.STOPPING), (Desired.DESTROY, Stage.DESTROYING)):
        assert stage(Phase.RUNNING, desired=desired, word=busy, **times)[0] is Stage.DRAINING
        late = {**times, "drain_until": NOW}
        assert stage(Phase.RUNNING, desired=desired, word=busy, **late)[0] is after


def test_an_idle_victim_is_drained_only_by_a_word_from_after_the_decision() -> None:
    victim = replace(INTENT, desired_at=NOW - 20, drain_until=NOW + 100)
    assert drained(victim, WORD, NOW)
    assert not drained(victim, replace(WORD, silent_s=19.0), NOW)
    assert not drained(victim, None, NOW)
    assert not drained(victim, replace(WORD, in_flight=None), NOW)


def test_a_stopped_one_that_is_wanted_stopped_is_cold() -> None:
    assert stage(Phase.STOPPED, desired=Desired.STOP)[0] is Stage.COLD
    assert stage(Phase.RUNNING, desired=Desired.STOP, drain_until=0.0)[0] is Stage.STOPPING


def test_one_that_is_not_listed_is_new_or_missing_or_on_its_way_out() -> None:
    assert stage(None, instance_id=None)[0] is Stage.ORDERED
    assert stage(None, confirmed=False, created_at=NOW - 10)[0] is Stage.ORDERED
    assert stage(None, confirmed=False, created_at=NOW - 1000)[0] is Stage.MISSING
    assert stage(None)[0] is Stage.MISSING
    assert stage(None, desired=Desired.DESTROY)[0] is Stage.DESTROYING


def test_an_age_is_never_negative_when_the_clock_goes_back() -> None:
    track = at_stage(Track(Stage.READY, NOW), Stage.READY, NOW - 500, missed=0)
    assert track.since == NOW - 500


def test_recovery_forgets_reboots_and_probes() -> None:
    ill = Track(Stage.SUSPECT, NOW - 10, reboots=1, probe_ok=False)
    well = at_stage(ill, Stage.READY, NOW, missed=0)
    assert (well.reboots, well.probe_ok) == (0, None)
    assert at_stage(ill, Stage.JOINING, NOW, missed=0).reboots == 1


def test_a_merge_counts_the_lists_an_instance_is_missing_from() -> None:
    evidence = Evidence({}, {}, {}, {})
    for count in (1, 2, 3):
        members, tracks = merge([INTENT], evidence, NOW)
        assert (members[0].stage, tracks["i1"].missed) == (Stage.MISSING, count)
        evidence = replace(evidence, tracks=tracks)
    listed = replace(evidence, instances={7: instance(Phase.RUNNING)}, heard={7: WORD})
    members, tracks = merge([INTENT], listed, NOW)
    assert (members[0].stage, tracks["i1"].missed) == (Stage.READY, 0)
    assert (members[0].perf, members[0].in_flight) == (50.0, 0)
