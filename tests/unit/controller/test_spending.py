"""What members cost between two looks: as billed where that is known, the dearest where not."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vast_pyworker.controller.spending import charges_between, payable
from vast_pyworker.model import Desired, Instance, Intent, Member, Phase, Stage

NOON = 1_760_011_200.0  # 12:00:00 UTC
TICK = NOON + 10.0

INTENT = Intent(
    id="a1", group="chat", label="fleet/chat/a1", created_at=NOON - 7200, desired=Desired.RUN,
    desired_at=NOON - 7200, reason="", set_by="controller", usd_per_hour_cap=0.72,
    instance_id=7, usd_per_hour=0.36,
)  # fmt: skip
RUNNING = Instance(
    id=7, label="fleet/chat/a1", phase=Phase.RUNNING, usd_per_hour=0.36, usd_per_hour_now=0.36,
    usd_per_hour_stopped=0.036,
)  # fmt: skip


def member(stage: Stage = Stage.READY, **fields: Any) -> Member:
    known: dict[str, Any] = {"intent": INTENT, "since": NOON - 3600, "instance": RUNNING}
    return Member(stage=stage, **{**known, **fields})


def an_instance(phase: Phase, **fields: Any) -> Instance:
    return replace(RUNNING, phase=phase, **fields)


def cost(each: Member, since: float = NOON, until: float = TICK) -> dict[str, int]:
    """Millionths of a dollar by kind; 0.36 $/h is 1000 in ten seconds."""
    found: dict[str, int] = {}
    for charge in charges_between([each], since, until):
        assert (charge.instance_id, charge.intent_id) == (each.intent.instance_id, each.intent.id)
        assert charge.group == "chat" and charge.micro_usd > 0
        found[charge.kind] = found.get(charge.kind, 0) + charge.micro_usd
    return found


def test_what_runs_costs_its_price_the_disk_apart() -> None:
    assert cost(member()) == {"gpu": 900, "disk": 100}


def test_a_disk_whose_price_is_not_known_is_in_the_price_of_the_gpu() -> None:
    each = an_instance(Phase.RUNNING, usd_per_hour_stopped=None)
    assert cost(member(instance=each)) == {"gpu": 1000}


@pytest.mark.parametrize(
    ("stage", "phase", "now", "total"),
    [
        (Stage.COLD, Phase.STOPPED, 0.036, 100),
        (Stage.COLD, Phase.STOPPED, None, 100),
        (Stage.SUSPECT, Phase.OUTBID, None, 100),
        (Stage.STARTING, Phase.SCHEDULING, None, 100),
        (Stage.SUSPECT, Phase.EXPIRED, None, 100),
        (Stage.LOADING, Phase.LOADING, 0.036, 100),
        (Stage.LOADING, Phase.LOADING, None, 1000),
        (Stage.LOADING, Phase.CREATING, None, 1000),
        (Stage.STARTING, Phase.REBOOTING, None, 1000),
        (Stage.SUSPECT, Phase.EXITED, None, 1000),
        (Stage.SUSPECT, Phase.FAILED, None, 1000),
        (Stage.SUSPECT, Phase.OFFLINE, None, 1000),
        (Stage.SUSPECT, Phase.OFFLINE, 0.036, 100),
        (Stage.READY, Phase.UNKNOWN, 0.036, 1000),
        (Stage.DESTROYING, Phase.RUNNING, 0.36, 1000),
        (Stage.DESTROYING, Phase.STOPPED, 0.036, 100),
        (Stage.READY, Phase.RUNNING, 0.54, 1500),
    ],
)
def test_other_states_cost_what_the_provider_says_or_the_dearest(
    stage: Stage, phase: Phase, now: float | None, total: int
) -> None:
    found = cost(member(stage, instance=an_instance(phase, usd_per_hour_now=now)))
    assert sum(found.values()) == total


def test_what_is_not_listed_costs_its_running_price_until_it_is_proven_gone() -> None:
    for stage in (Stage.MISSING, Stage.DESTROYING, Stage.ORDERED):
        assert cost(member(stage, instance=None)) == {"gpu": 1000}


def test_what_was_ordered_may_exist_and_costs_its_cap_from_when_it_was_written() -> None:
    order = replace(INTENT, instance_id=None, usd_per_hour=None, created_at=NOON + 4)
    assert cost(member(Stage.ORDERED, intent=order, instance=None)) == {"gpu": 1200}
    priced = replace(order, usd_per_hour=0.36)
    assert cost(member(Stage.ORDERED, intent=priced, instance=None)) == {"gpu": 1200}


def test_prices_that_nobody_knows_are_the_cap() -> None:
    bare = Instance(id=7, label="", phase=Phase.RUNNING)
    unpriced = replace(INTENT, usd_per_hour=None)
    assert cost(member(intent=unpriced, instance=bare)) == {"gpu": 2000}


def test_the_time_before_a_stage_began_costs_the_dearest() -> None:
    stopped = an_instance(Phase.STOPPED, usd_per_hour_now=0.036)
    assert sum(cost(member(Stage.COLD, instance=stopped, since=TICK)).values()) == 1000
    halfway = cost(member(Stage.COLD, instance=stopped, since=NOON + 5))
    assert sum(halfway.values()) == pytest.approx(550, abs=2)


def test_after_a_crash_the_time_until_the_first_look_costs_the_dearest() -> None:
    stopped = an_instance(Phase.STOPPED, usd_per_hour_now=0.036)
    found = charges_between([member(Stage.COLD, instance=stopped, since=TICK)], NOON - 3600, TICK)
    assert sum(each.micro_usd for each in found) == 361_000
    assert {each.hour for each in found} == {int(NOON) - 3600, int(NOON)}


@pytest.mark.parametrize("until", [NOON, NOON - 1, NOON - 86400])
def test_a_clock_that_went_back_costs_nothing(until: float) -> None:
    assert charges_between([member()], NOON, until) == []


def test_what_was_written_after_the_look_costs_nothing_yet() -> None:
    late = replace(INTENT, created_at=TICK + 5)
    assert charges_between([member(intent=late)], NOON, TICK) == []


def test_members_of_an_earlier_look_are_brought_to_what_is_open() -> None:
    stays, gone = member(), member(intent=replace(INTENT, id="b2", instance_id=8))
    new = replace(INTENT, id="c3", instance_id=None, created_at=NOON)
    found = payable([stays, gone], {"a1": INTENT, "c3": new}, TICK)
    assert found == [stays, Member(new, Stage.ORDERED, TICK)]


some_rates = st.none() | st.floats(0, 20)
instances = st.builds(
    Instance,
    id=st.just(7),
    label=st.just(""),
    phase=st.sampled_from(Phase),
    usd_per_hour=some_rates,
    usd_per_hour_now=some_rates,
    usd_per_hour_stopped=some_rates,
)
members = st.builds(
    Member,
    intent=st.builds(
        replace,
        st.just(INTENT),
        usd_per_hour=some_rates,
        created_at=st.floats(NOON - 50, NOON + 50),
    ),
    stage=st.sampled_from(Stage),
    since=st.floats(NOON - 100, NOON + 7000),
    instance=st.none() | instances,
)


@given(members, st.lists(st.floats(NOON, NOON + 8000), min_size=2, max_size=12))
def test_many_looks_at_one_that_stays_as_it_is_add_up_to_one(
    each: Member, looks: list[float]
) -> None:
    looks.sort()
    once = charges_between([each], looks[0], looks[-1])
    often = [charge for a, b in pairwise(looks) for charge in charges_between([each], a, b)]
    assert all(charge.micro_usd > 0 for charge in often)
    assert sum(charge.micro_usd for charge in often) == sum(charge.micro_usd for charge in once)
