"""A member's stage for every phase of the provider, every wish and every word of a worker."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

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
            for word in (
                None,
                WORD,
                structs.replace(WORD, silent_s=1e6),
                structs.replace(WORD, ready=False),
            ):
                assert isinstance(stage(phase, desired=desired, word=word)[0], Stage)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (None, (Stage.JOINING, None)),
        (WORD, (Stage.READY, None)),
        (structs.replace(WORD, ready=False), (Stage.WARMING, None)),
        (structs.replace(WORD, error="CUDA is out of memory"), (Stage.SUSPECT, Trouble.ERROR)),
        (structs.replace(WORD, silent_s=LEASE_S + 1), (Stage.SUSPECT, Trouble.SILENT)),
        (structs.replace(WORD, silent_s=LEASE_S), (Stage.READY, None)),
    ],
)
def test_one_that_runs_by_what_its_worker_says(
    word: Hearing | None, expected: tuple[Stage, Trouble | None]
) -> None:
    assert stage(Phase.RUNNING, word=word) == expected


def test_the_word_of_an_earlier_run_is_no_silence() -> None:
    old = structs.replace(WORD, silent_s=5000.0)
    assert stage(Phase.RUNNING, word=old, track=Track(Stage.STARTING, NOW - 10))[0] is Stage.JOINING


def test_a_worker_that_reports_outlives_a_provider_that_does_not_know() -> None:
    assert stage(Phase.UNKNOWN)[0] is Stage.READY
    assert stage(Phase.UNKNOWN, word=None) == (Stage.SUSPECT, Trouble.UNKNOWN)
    assert stage(Phase.UNKNOWN, word=structs.replace(WORD, silent_s=999.0))[0] is Stage.SUSPECT


def test_one_told_to_start_a_moment_ago_is_starting_whatever_the_list_says() -> None:
    told = Track(Stage.COLD, NOW - 100, told_at=NOW - 5)
    assert stage(Phase.STOPPED, track=told)[0] is Stage.STARTING
    long_ago = structs.replace(told, told_at=NOW - 500)
    assert stage(Phase.STOPPED, track=long_ago) == (Stage.SUSPECT, Trouble.STOPPED)


def test_a_victim_with_requests_drains_until_its_time_is_over() -> None:
    busy = structs.replace(WORD, in_flight=3)
    times = {"desired_at": NOW - 20, "drain_until": NOW + 100}
    for desired, after in ((Desired.STOP, Stage.STOPPING), (Desired.DESTROY, Stage.DESTROYING)):
        assert stage(Phase.RUNNING, desired=desired, word=busy, **times)[0] is Stage.DRAINING
        late = {**times, "drain_until": NOW}
        assert stage(Phase.RUNNING, desired=desired, word=busy, **late)[0] is after


VICTIM = replace(INTENT, desired_at=NOW - 20, drain_until=NOW + 100)
OFF = Track(Stage.DRAINING, NOW - 10)  # off the routes for ten seconds


def is_drained(word: Hearing | None = WORD, track: Track | None = OFF, **changes: object) -> bool:
    said = None if word is None else structs.replace(word, **changes)
    return drained(VICTIM, said, track, NOW, lease_s=LEASE_S)


def test_an_idle_victim_is_drained_by_a_word_from_after_it_left_the_routes() -> None:
    assert is_drained()
    assert is_drained(silent_s=7.0) and not is_drained(silent_s=7.1)
    assert not is_drained(None)
    assert not is_drained(in_flight=None) and not is_drained(in_flight=1)


def test_the_tick_that_finds_a_victim_only_takes_it_off_the_routes() -> None:
    """What was decided before is no time off the routes: clients are sent to it until they are
    told otherwise."""
    assert not is_drained(track=None)
    assert not is_drained(track=Track(Stage.READY, NOW - 500))
    assert not is_drained(track=Track(Stage.DRAINING, NOW - 2.9), silent_s=0.0, granted_s=900.0)


def test_an_older_word_is_enough_where_nobody_was_sent_to_it_before() -> None:
    """A grant is used within seconds, so the word after them tells of it."""
    off = Track(Stage.DRAINING, NOW - 3)
    assert is_drained(track=off, silent_s=9.0, granted_s=12.0)
    assert not is_drained(track=off, silent_s=9.0, granted_s=11.9)
    assert not is_drained(track=off, silent_s=9.0, granted_s=12.0, in_flight=1)  # or a session
    assert not is_drained(track=off, silent_s=LEASE_S + 1, granted_s=900.0)
    assert not is_drained(track=off, silent_s=9.0)  # sent to by a controller before this one
    assert is_drained(track=structs.replace(off, whole=True), silent_s=9.0)


def test_a_victim_that_never_spoke_needs_no_drain_where_all_its_life_is_known() -> None:
    assert is_drained(None, track=Track(Stage.JOINING, NOW - 1, whole=True))
    assert not is_drained(None, track=Track(Stage.JOINING, NOW - 1))
    ordered = at_stage(None, Stage.ORDERED, NOW - 500, missed=1)
    assert at_stage(ordered, Stage.JOINING, NOW, missed=0).whole
    assert not at_stage(None, Stage.JOINING, NOW, missed=0).whole


def test_one_that_was_told_to_go_is_not_drained_again() -> None:
    assert is_drained(track=Track(Stage.DESTROYING, NOW - 1), silent_s=30.0)


def test_a_victim_that_speaks_is_drained_also_where_the_provider_has_lost_it() -> None:
    times = {"desired": Desired.DESTROY, "desired_at": NOW - 20, "drain_until": NOW + 100}
    busy = structs.replace(WORD, in_flight=3)
    for phase in (Phase.UNKNOWN, Phase.OFFLINE):
        assert stage(phase, word=busy, **times)[0] is Stage.DRAINING
        silent = structs.replace(busy, silent_s=LEASE_S + 1)
        assert stage(phase, word=silent, **times)[0] is Stage.DESTROYING
    assert stage(Phase.EXITED, word=busy, **times)[0] is Stage.DESTROYING


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


def test_recovery_forgets_probes_and_a_reboot_is_remembered_for_an_hour() -> None:
    ill = Track(Stage.SUSPECT, NOW - 10, reboots=1, told_at=NOW - 3599, probe_ok=False)
    well = at_stage(ill, Stage.READY, NOW, missed=0)
    assert (well.reboots, well.probe_ok) == (1, None)
    assert at_stage(well, Stage.SUSPECT, NOW + 1, missed=0).reboots == 0
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
