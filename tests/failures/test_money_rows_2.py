"""The ways in which a fleet loses money, M16 to M30: each happens to the fake provider, and what is
rented and billed at the end is looked at. First sentences are cells of a table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from loop_rig import LIMITS, Rig, group, rig

from vast_pyworker.controller.policy.observation import Load
from vast_pyworker.controller.traffic.fake_ears import FakeEars
from vast_pyworker.model import OnDelete, Pace, Phase, Stage
from vast_pyworker.providers.fake import FakeProvider
from vast_pyworker.providers.fake.offers import make_offers

HOUR_S = 3600.0
SERVE = set(Stage) - {Stage.DRAINING, Stage.DESTROYING}


def wish(made: Rig, **changes: Any) -> None:
    made.loop.desire(replace(made.wishes, groups={"llm": group(**changes)}))


def asked(made: Rig, call: str) -> list[int | str]:
    """What a changing call was made for, in order."""
    return [each.subject for each in made.provider.acts if each.call == call]


def offer_only(made: Rig, *priced: tuple[float, float | None]) -> list[int]:
    """A market of equal machines at these prices, for so long; the ids of the offers."""
    pattern = make_offers(1)[0]
    offers = [
        replace(pattern, id=n, machine_id=n, host_id=n, usd_per_hour=usd, available_s=left)
        for n, (usd, left) in enumerate(priced, 1)
    ]
    made.provider = FakeProvider(made.time, offers=offers)
    made.ears = FakeEars(made.provider.truth, made.time)
    made.restart()
    return [each.id for each in offers]


def machines(made: Rig) -> set[int | None]:
    return {each.machine_id for each in made.provider.truth().values()}


def test_m16_one_that_is_not_heard_is_rebooted_and_then_replaced(tmp_path: Path) -> None:
    """One that runs and does not report is suspect and probed, rebooted once, and then replaced
    on another machine, with a strike against its own."""
    with rig(tmp_path) as made:
        made.run(120)
        lost, old = next(iter(made.provider.truth().items()))
        made.ears.silent.add(lost)
        made.run(2 * HOUR_S, 20.0)
        assert asked(made, "reboot") == [lost]
        assert (made.ready(), len(made.provider.truth()), len(asked(made, "create"))) == (2, 2, 3)
        assert lost not in made.provider.truth() and old.machine_id not in machines(made)


def test_m17_no_phase_but_running_counts_as_capacity(tmp_path: Path) -> None:
    """Every phase has its rule: only one that runs and reports serves, and each of the others is
    waited for, started, rebooted or replaced."""
    for phase in set(Phase) - {Phase.RUNNING}:
        folder = tmp_path / str(phase)
        folder.mkdir()
        with rig(folder) as made:
            made.run(120)
            lost = next(iter(made.provider.truth()))
            assert made.provider.outside.befall(lost, phase)
            made.run(100 if phase is Phase.UNKNOWN else 5)  # a worker that reports proves it runs
            assert made.ready() == 1, phase
            made.run(2 * HOUR_S, 20.0)
            assert (made.ready(), len(made.provider.truth())) == (2, 2), phase
            assert len(asked(made, "create")) <= 3, phase


def test_m18_one_that_comes_up_stopped_is_not_left_to_bill_its_disk(tmp_path: Path) -> None:
    """One that is created but stands still is destroyed at once, counted until it is gone, and
    another offer is taken."""
    with rig(tmp_path) as made:
        made.provider.fail("create", "stopped", times=2)
        made.settle()
        assert (made.ready(), len(made.provider.truth()), len(asked(made, "create"))) == (2, 2, 4)
        assert set(asked(made, "destroy")).isdisjoint(made.provider.truth())
        assert made.ledger.spend.spent_micro(0.0) >= float(made.provider.billed_in_all()) - 4


def test_m19_a_start_that_waits_for_its_gpu_is_given_up(tmp_path: Path) -> None:
    """A start that hangs because its GPUs are rented to another is given up after the group's
    deadline: one elsewhere takes its place, and its disk is destroyed."""
    with rig(tmp_path) as made:
        made.run(120)
        lost = next(iter(made.provider.truth()))
        made.provider.outside.befall(lost, Phase.STOPPED)
        made.provider.outside.occupy(lost)
        made.settle()
        assert asked(made, "start") == [lost]
        there = made.provider.truth()
        assert (made.ready(), lost in there, len(asked(made, "create"))) == (2, False, 3)


def test_m20_the_fleet_is_ended_in_order_before_the_credit_is(tmp_path: Path) -> None:
    """The credit is divided by what all costs: people are told at 24 and 6 hours, nothing is rented
    below 2, and all is drained and destroyed while there is still some left."""
    with rig(tmp_path) as made:
        made.run(120)
        rate = sum(each.usd_per_hour or 0.0 for each in made.provider.truth().values())
        made.provider.outside.set_credit(10 * rate)
        said = made.run(9 * HOUR_S, 30.0)
        for hours in (24, 6):
            assert any(f"credit lasts less than {hours} h" in each for each in said), hours
        wish(made, min_instances=4)
        made.run(3 * HOUR_S, 30.0)
        assert (made.provider.truth(), len(asked(made, "create"))) == ({}, 2)
        assert (made.provider.credit() or 0.0) > 0.0
        made.provider.outside.set_credit(1000.0)
        made.settle()
        assert made.ready() == 4


def test_m21_one_is_replaced_before_its_contract_ends(tmp_path: Path) -> None:
    """Offers that end before a successor could be ready are not taken, and one whose contract comes
    to its end is replaced while it still serves."""
    with rig(tmp_path, group(min_instances=1)) as made:
        _, ending, lasting = offer_only(made, (0.1, 600.0), (0.2, 2 * HOUR_S), (5.0, None))
        made.run(120)
        assert machines(made) == {ending}
        made.provider.outside.reprice_offer(lasting, 0.3)
        for _ in range(360):
            made.tick(20.0)
            phases = {each.phase for each in made.provider.truth().values()}
            assert made.ready() >= 1 and Phase.EXPIRED not in phases
        assert machines(made) == {lasting}


def test_m22_what_a_person_deletes_or_stops_is_not_rented_again(tmp_path: Path) -> None:
    """One that a person deletes is replaced once, or, with on_external_delete = "shrink", never,
    also after a restart; one that is stopped is started and not rented anew."""
    for way, creates in ((OnDelete.REPLACE, 3), (OnDelete.SHRINK, 2)):
        folder = tmp_path / str(way.value)
        folder.mkdir()
        with rig(folder, group(on_external_delete=way)) as made:
            made.run(120)
            gone, stopped = made.provider.truth()
            made.provider.outside.vanish(gone)
            made.run(600)
            made.restart()
            made.provider.outside.befall(stopped, Phase.STOPPED)
            made.run(2 * HOUR_S, 20.0)
            assert len(asked(made, "create")) == creates, way
            assert made.ready() == len(made.provider.truth()) == creates - 1, way
            assert asked(made, "start") == [stopped], way


def test_m23_a_smaller_group_keeps_the_busy(tmp_path: Path) -> None:
    """Those proven idle go first, the dearest of them before the others, no more at once than the
    group's pace allows; a busy one stays though it is the dearest of all."""
    slow = Pace(cooldown_down_s=60.0, max_step=1)
    with rig(tmp_path, group(min_instances=4, pace=slow)) as made:
        made.run(1200)
        priced = sorted(made.provider.truth().values(), key=lambda each: each.usd_per_hour or 0.0)
        cheap, middle, dear, dearest = (each.id for each in priced)
        made.ears.busy[dearest] = 3
        wish(made, min_instances=1, pace=slow)
        for _ in range(180):
            before = len(asked(made, "destroy"))
            made.tick(10.0)
            assert len(asked(made, "destroy")) - before <= 1
        assert (asked(made, "destroy"), [*made.provider.truth()]) == (
            [dear, middle, cheap],
            [dearest],
        )


def test_m24_what_is_not_ours_is_never_touched(tmp_path: Path) -> None:
    """Only what carries the fleet's own label is seen at all; all else in the account is never
    stopped, destroyed, rebooted or counted."""
    labels = ("", "a person's", "fleet", "fleet2/llm/0123456789abcdef", "other/llm/x")
    with rig(tmp_path, limits=replace(LIMITS, instances=2)) as made:
        foreign = {made.provider.outside.put(each) for each in labels}
        made.provider.outside.befall(min(foreign), Phase.EXITED)
        made.run(300)
        assert made.ready() == 2
        made.restart()
        wish(made, min_instances=0)
        made.settle()
        assert set(made.provider.truth()) == foreign
        assert foreign.isdisjoint(each.subject for each in made.provider.acts)


def test_m25_an_unknown_load_is_not_an_idle_one(tmp_path: Path) -> None:
    """A load that is not known never makes a group smaller, for however long; one that is known to
    be zero does, after its window."""
    with rig(tmp_path, group(min_instances=0, policy="target")) as made:
        made.ears.loads["llm"] = Load(150.0, 150.0, in_flight=5.0, queued=0.0)
        made.settle()
        assert made.ready() == 3
        for unknown in (Load(), Load(in_flight=0.0), Load(arrivals_60s=0.0, queued=0.0)):
            made.ears.loads["llm"] = unknown
            made.run(2 * HOUR_S, 20.0)
            assert (made.ready(), asked(made, "destroy")) == (3, []), unknown
        made.ears.loads["llm"] = Load(0.0, 0.0, in_flight=0.0, queued=0.0)
        made.run(2 * HOUR_S, 20.0)
        assert made.provider.truth() == {}


def test_m26_a_slip_of_the_pen_ends_at_the_limits(tmp_path: Path) -> None:
    """Whatever a group wants, no more is rented than the limits allow in instances and in dollars
    an hour, a day and a month, and the sentence names the limit."""
    ceilings = (
        ("instances", replace(LIMITS, instances=4)),
        ("usd_per_hour", replace(LIMITS, usd_per_hour=4.0)),
        ("usd_per_day", replace(LIMITS, usd_per_day=50.0)),
        ("usd_per_month", replace(LIMITS, usd_per_month=1000.0)),
    )
    for name, limits in ceilings:
        folder = tmp_path / name
        folder.mkdir()
        with rig(folder, limits=limits) as made:
            wish(made, min_instances=500, max_instances=500)
            said = made.run(HOUR_S, 20.0)
            rate = sum(each.usd_per_hour or 0.0 for each in made.provider.truth().values())
            assert 1 <= len(made.provider.truth()) <= limits.instances, name
            assert rate <= limits.usd_per_hour, name
            assert 16 * rate <= (limits.usd_per_day or 0.0), name  # hours left at the start
            assert any(f"limits.{name}" in each for each in said), name


def test_m27_too_many_requests_are_no_failure_of_the_fleet(tmp_path: Path) -> None:
    """A rate limit changes nothing that is there, and one on creates is met less and less often, up
    to once in five minutes, until it is lifted."""
    with rig(tmp_path) as made:
        made.provider.fail("create", "rate_limited", times=None)
        made.run(HOUR_S)
        assert len(asked(made, "create")) <= 17
        made.provider.heal()
        made.settle()
        before = made.provider.mutations
        made.provider.fail("*", "rate_limited", times=None)
        made.run(HOUR_S, 20.0)
        made.provider.heal()
        made.settle()
        assert (made.provider.mutations, made.ready(), len(made.provider.truth())) == (before, 2, 2)


def test_m28_a_successor_is_ready_before_the_old_one_goes(tmp_path: Path) -> None:
    """One that is too old goes when its successor is ready; where none can be rented it stays."""
    with rig(tmp_path, group(max_lifetime_s=2 * HOUR_S)) as made:
        made.run(300)
        first = set(made.provider.truth())
        made.provider.fail("offers", "empty", times=None)
        made.run(3 * HOUR_S, 20.0)
        assert set(made.provider.truth()) == first
        made.provider.heal()
        for _ in range(180):
            made.tick(20.0)
            staying = [each for each in made.loop.fleet.members if each.stage in SERVE]
            assert made.ready() >= 2 and len(staying) <= 3 and len(made.provider.truth()) <= 4
        assert first.isdisjoint(made.provider.truth()) and len(made.provider.truth()) == 2


def test_m29_a_start_that_is_killed_half_way_is_finished(tmp_path: Path) -> None:
    """Each rent is written down before it is made, so that a controller killed in the midst of them
    adopts what there is and rents only what is missing."""
    with rig(tmp_path, group(min_instances=4)) as made:

        def kill(moment: str, call: str) -> None:
            if (moment, call, made.provider.calls["create"]) == ("after", "create", 2):
                raise SystemExit

        made.provider.watch = kill
        with pytest.raises(SystemExit):
            made.tick()
        made.provider.watch = None
        assert len(made.ledger.intents.open()) == len(made.provider.truth()) == 2
        made.restart()
        made.settle()
        assert len(asked(made, "create")) == len(set(asked(made, "create"))) == 4
        assert (made.ready(), len(made.provider.truth())) == (4, 4)


def test_m30_a_machine_that_has_the_image_is_taken_again(tmp_path: Path) -> None:
    """A machine on which the group ran within a week is taken again, though another is up to a
    tenth cheaper: its image is probably still there."""
    for usd, again in ((0.215, True), (0.26, False)):
        folder = tmp_path / str(usd)
        folder.mkdir()
        with rig(folder, group(min_instances=1)) as made:
            warm, other = offer_only(made, (0.2, None), (0.21, None))
            made.run(120)
            assert machines(made) == {warm}
            wish(made, min_instances=0)
            made.settle()
            assert made.provider.truth() == {}
            made.provider.outside.reprice_offer(warm, usd)
            wish(made, min_instances=1)
            made.settle()
            assert machines(made) == {warm if again else other}
