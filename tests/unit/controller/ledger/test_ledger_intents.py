"""Wishes: in memory and on the disk alike, whoever writes them and whenever it ends."""

from __future__ import annotations

import threading
from dataclasses import fields, replace
from pathlib import Path

import pytest
from ledger_support import NOON, an_intent, open_ledger

from vast_pyworker.controller.ledger import schema
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.model import Desired, Intent


def test_what_is_written_is_there_after_the_process_has_ended(tmp_path: Path) -> None:
    intent = an_intent(
        instance_id=7, machine_id=8, host_id=9, held=True, drain_until=NOON + 5, confirmed=True
    )
    first = open_ledger(tmp_path)
    first.intents.write(intent)
    first.abandon()
    second = open_ledger(tmp_path)
    assert second.intents.open() == {"a1": intent}
    second.close()


def test_the_table_has_a_column_for_every_field() -> None:
    columns = {each.name for each in schema.intents.c}
    assert columns == {each.name for each in fields(Intent)} | {"closed_why"}


def test_a_change_leaves_the_other_fields(ledger: Ledger) -> None:
    ledger.intents.write(an_intent(machine_id=8))
    changed = ledger.intents.change("a1", instance_id=7, desired=Desired.STOP)
    assert changed == an_intent(machine_id=8, instance_id=7, desired=Desired.STOP)
    assert ledger.intents.open()["a1"] == changed


def test_a_mapping_that_was_given_out_does_not_change(ledger: Ledger) -> None:
    ledger.intents.write(an_intent())
    before = ledger.intents.open()
    ledger.intents.write(an_intent("b2"))
    assert list(before) == ["a1"]
    with pytest.raises(TypeError):
        before["c3"] = an_intent("c3")  # type: ignore[index]


def test_the_same_again_writes_nothing(ledger: Ledger) -> None:
    ledger.intents.write(an_intent())
    before = ledger.commits
    ledger.intents.write(an_intent())
    ledger.intents.change("a1", reason="two are wanted")
    ledger.intents.write_all([an_intent()])
    assert ledger.commits == before


def test_many_are_one_transaction(ledger: Ledger) -> None:
    before = ledger.commits
    ledger.intents.write_all(an_intent(f"i{number}") for number in range(500))
    ledger.intents.change_all({f"i{number}": {"held": True} for number in range(500)})
    assert ledger.commits == before + 2
    assert all(each.held for each in ledger.intents.open().values())


def test_a_closed_one_is_found_by_its_id_and_no_longer_open(ledger: Ledger) -> None:
    ledger.intents.write(an_intent(instance_id=7))
    ledger.intents.close("a1", NOON + 60, "gone")
    ledger.intents.close("a1", NOON + 90, "again")
    assert dict(ledger.intents.open()) == {}
    assert ledger.intents.get("a1") == an_intent(instance_id=7, closed_at=NOON + 60)
    assert ledger.intents.why_closed("a1") == "gone"
    assert [each.id for each in ledger.intents.closed()] == ["a1"]


def test_a_change_of_a_closed_one_does_not_open_it(ledger: Ledger) -> None:
    ledger.intents.write(an_intent())
    ledger.intents.close("a1", NOON + 60, "gone")
    assert ledger.intents.change("a1", instance_id=7).closed_at == NOON + 60
    assert dict(ledger.intents.open()) == {}
    assert ledger.intents.why_closed("a1") == "gone"


def test_a_closed_one_can_be_written_open_again(ledger: Ledger, tmp_path: Path) -> None:
    ledger.intents.write(an_intent())
    ledger.intents.close("a1", NOON + 60, "gone")
    back = an_intent(instance_id=7, desired=Desired.DESTROY)
    ledger.intents.write(back)
    assert ledger.intents.open() == {"a1": back}
    assert ledger.intents.why_closed("a1") is None


def test_one_that_never_was_is_none_and_cannot_be_changed(ledger: Ledger) -> None:
    assert ledger.intents.get("zz") is None
    with pytest.raises(KeyError, match="There is no intent zz"):
        ledger.intents.change("zz", held=True)
    with pytest.raises(KeyError, match="There is no intent zz"):
        ledger.intents.close("zz", NOON, "gone")


def test_threads_that_write_at_once_lose_nothing(ledger: Ledger, tmp_path: Path) -> None:
    faults: list[BaseException] = []
    ledger.intents.write(an_intent("shared"))

    def work(name: str) -> None:
        try:
            for number in range(20):
                intent_id = f"{name}{number}"
                ledger.intents.write(an_intent(intent_id))
                row = ledger.journal.begin(
                    "rent", group="chat", intent_id=intent_id, who=name, reason="", at=NOON
                )
                ledger.intents.change(intent_id, instance_id=number)
                ledger.intents.change("shared", reason=f"{name}{number}")
                ledger.journal.end(row, "rented", NOON)
                ledger.journal.say(NOON, name, f"sentence {number}", {})
                if number % 2:
                    ledger.intents.close(intent_id, NOON + 1, "gone")
        except BaseException as exc:
            faults.append(exc)

    def read() -> None:
        try:
            for _ in range(100):
                sum(each.usd_per_hour_cap for each in ledger.intents.open().values())
                ledger.journal.decisions(limit=5)
                ledger.spend.spent_micro(NOON)
        except BaseException as exc:
            faults.append(exc)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    threads += [threading.Thread(target=read) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert faults == []
    assert len(ledger.intents.open()) == 4 * 10 + 1
    assert ledger.journal.unfinished() == []
    assert len(ledger.journal.events(limit=1000)) == 80
    known = dict(ledger.intents.open())
    ledger.intents.load()
    assert known == dict(ledger.intents.open())


def test_values_survive_as_they_are(ledger: Ledger) -> None:
    odd = an_intent(
        reason="a 'quoted' \"reason\" with ü and \n lines", instance_id=2**53, usd_per_hour=1 / 3
    )
    ledger.intents.write(odd)
    ledger.intents.load()
    assert ledger.intents.open()["a1"] == odd
    assert replace(odd, held=True) != odd
