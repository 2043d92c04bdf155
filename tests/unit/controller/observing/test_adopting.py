"""What the ledger is told of instances that are found by their label."""

from __future__ import annotations

from dataclasses import replace

from vast_pyworker.controller.labels import Label, new_intent_id, prefix_of, read_label
from vast_pyworker.controller.observing.adopting import Adoption, adopt
from vast_pyworker.model import Desired, Instance, Intent, Phase

NOW = 10_000.0
INTENT = Intent(
    id="i1",
    group="llm",
    label="fleet/llm/i1",
    created_at=NOW - 5,
    desired=Desired.RUN,
    desired_at=NOW - 5,
    reason="wanted",
    set_by="controller",
    usd_per_hour_cap=0.5,
)
LISTED = Instance(7, "fleet/llm/i1", Phase.RUNNING, usd_per_hour=0.4, machine_id=3, host_id=2)


def found(
    instances: list[Instance], opened: list[Intent], closed: list[Intent] | None = None
) -> list[Adoption]:
    past = {each.id: each for each in closed or []}
    there = {each.id: each for each in opened}
    return list(adopt(instances, there, past.get, lambda group: 0.9, NOW))


def test_an_intent_without_an_instance_gets_the_one_with_its_label() -> None:
    (one,) = found([LISTED], [INTENT])
    assert one.sentence == ""
    assert (one.intent.instance_id, one.intent.confirmed) == (7, True)
    assert (one.intent.usd_per_hour, one.intent.machine_id, one.intent.host_id) == (0.4, 3, 2)


def test_what_is_noted_already_changes_nothing() -> None:
    (one,) = found([LISTED], [INTENT])
    assert found([LISTED], [one.intent]) == []


def test_a_changed_price_is_noted() -> None:
    (one,) = found([LISTED], [INTENT])
    (again,) = found([replace(LISTED, usd_per_hour=0.7)], [one.intent])
    assert again.intent.usd_per_hour == 0.7


def test_only_what_the_list_tells_of_an_intent_that_is_known_is_changed() -> None:
    (one,) = found([LISTED], [INTENT])
    assert one.changes == {
        "instance_id": 7, "confirmed": True, "machine_id": 3, "host_id": 2, "usd_per_hour": 0.4,
    }  # fmt: skip
    (again,) = found([replace(LISTED, usd_per_hour=0.3)], [one.intent])
    assert again.changes == {"usd_per_hour": 0.3}
    assert again.is_cheaper(one.intent) and not one.is_cheaper(again.intent)
    (new,) = found([LISTED], [])
    assert new.changes is None and not new.is_cheaper(None)


def test_a_second_instance_of_one_intent_is_to_be_destroyed_and_the_first_stays() -> None:
    twin = replace(LISTED, id=9)
    first, second = found([twin, LISTED], [INTENT])
    assert (first.intent.id, first.intent.instance_id) == ("i1", 7)
    assert (second.intent.instance_id, second.intent.desired) == (9, Desired.DESTROY)
    assert "second one for intent i1" in second.sentence
    assert found([twin, LISTED], [first.intent, second.intent]) == []


def test_an_instance_of_a_closed_intent_is_to_be_destroyed() -> None:
    closed = replace(INTENT, closed_at=NOW - 1, instance_id=None)
    (one,) = found([LISTED], [], [closed])
    assert (one.intent.id, one.intent.desired, one.intent.closed_at) == (
        "i1",
        Desired.DESTROY,
        None,
    )


def test_without_a_ledger_the_fleet_is_adopted_from_its_labels() -> None:
    stopped = Instance(8, "fleet/llm/i2", Phase.STOPPED, created_at=NOW - 900)
    one, two = found([LISTED, stopped], [])
    assert (one.intent.id, one.intent.desired, one.intent.usd_per_hour_cap) == (
        "i1",
        Desired.RUN,
        0.9,
    )
    assert (two.intent.desired, two.intent.created_at) == (Desired.STOP, NOW - 900)


def test_labels_of_others_are_left_alone() -> None:
    strangers = ["", "llm", "fleet/llm", "fleet//x", "a/b/c/d"]
    assert found([replace(LISTED, label=label) for label in strangers], []) == []


def test_a_label_reads_as_it_was_written() -> None:
    label = Label("fleet", "llm", new_intent_id())
    assert read_label(str(label)) == label
    assert str(label).startswith(prefix_of("fleet"))
