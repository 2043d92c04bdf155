"""What was done and said: once, in order, and not again and again."""

from __future__ import annotations

from pathlib import Path

from ledger_support import NOON, an_intent, open_ledger

from vast_pyworker.controller.ledger import journal
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.model import Desired


def test_an_action_says_who_why_before_after_and_what_came_of_it(ledger: Ledger) -> None:
    ledger.intents.write(an_intent(instance_id=7))
    row = ledger.journal.begin(
        "stop", group="chat", intent_id="a1", who="ops", reason="less load", at=NOON
    )
    ledger.intents.change("a1", desired=Desired.STOP, set_by="ops")
    assert [each.id for each in ledger.journal.unfinished()] == [row]
    ledger.journal.end(row, "accepted", NOON + 1)
    (deed,) = ledger.journal.actions("chat")
    assert (deed.kind, deed.who, deed.reason) == ("stop", "ops", "less load")
    assert (deed.began_at, deed.outcome, deed.ended_at) == (NOON, "accepted", NOON + 1)
    assert deed.before is not None and deed.before["desired"] == "run"
    assert deed.after is not None and deed.after["desired"] == "stop"
    assert deed.opening == ledger.opening
    assert ledger.journal.unfinished() == []


def test_an_action_of_no_intent_is_kept_too(ledger: Ledger) -> None:
    row = ledger.journal.begin(
        "pause", group=None, intent_id=None, who="ops", reason="holiday", at=NOON
    )
    ledger.journal.end(row, "paused", NOON)
    assert [each.kind for each in ledger.journal.actions()] == ["pause"]
    assert ledger.journal.actions(intent_id="a1") == []


def test_actions_in_the_middle_of_which_the_process_ended_are_known(tmp_path: Path) -> None:
    first = open_ledger(tmp_path)
    first.intents.write(an_intent())
    first.journal.begin("rent", group="chat", intent_id="a1", who="c", reason="", at=NOON)
    first.abandon()
    second = open_ledger(tmp_path)
    (deed,) = second.journal.unfinished()
    assert (deed.intent_id, deed.opening, second.opening) == ("a1", 1, 2)
    second.journal.end(deed.id, "found by its label", NOON + 9)
    assert second.journal.unfinished() == []
    second.close()


def test_a_decision_that_says_the_same_is_not_written_but_its_inputs_are_the_latest(
    ledger: Ledger,
) -> None:
    assert ledger.journal.say(NOON, "chat", "Hold 2.", {"load": 1})
    before = ledger.commits
    assert not ledger.journal.say(NOON + 10, "chat", "Hold 2.", {"load": 2})
    assert ledger.commits == before
    last = ledger.journal.last("chat")
    assert last is not None and (last.sentence, last.inputs) == ("Hold 2.", {"load": 2})
    assert ledger.journal.say(NOON + 20, "chat", "Rent 1.", {"load": 3})
    assert ledger.journal.say(NOON + 30, "chat", "Hold 2.", {"load": 2})
    assert ledger.journal.say(NOON + 30, "other", "Hold 2.", {"load": 2})


def test_the_last_decision_is_known_to_the_next_controller(tmp_path: Path) -> None:
    first = open_ledger(tmp_path)
    first.journal.say(NOON, "chat", "Hold 2.", {"load": 1})
    first.abandon()
    second = open_ledger(tmp_path)
    assert not second.journal.say(NOON + 60, "chat", "Hold 2.", {"load": 2})
    assert second.journal.say(NOON + 60, "chat", "Hold 3.", {"load": 2})
    second.close()


def test_remarks_that_stand_beside_each_other_at_every_tick_are_written_once(
    ledger: Ledger,
) -> None:
    for tick in range(50):
        at = NOON + 10 * tick
        for sentence in ("No offers.", "Instance 7 is still there."):
            assert ledger.journal.say(at, "chat", sentence) is (tick == 0)
        ledger.journal.say(at, "chat", "Hold 2.", {})
    assert len(ledger.journal.events()) == 3
    assert ledger.journal.say(NOON + 5000, "chat", "No offers.")


def test_a_clock_that_goes_back_does_not_make_a_remark_new(ledger: Ledger) -> None:
    assert ledger.journal.say(NOON, None, "The provider could not be read.")
    assert not ledger.journal.say(NOON - 4000, None, "The provider could not be read.")


def test_events_follow_each_other_and_decisions_come_newest_first(ledger: Ledger) -> None:
    for number in range(6):
        ledger.journal.say(NOON + number, "even" if number % 2 == 0 else None, f"{number}", {})
    events = ledger.journal.events(after_id=2, limit=3)
    assert [each.sentence for each in events] == ["2", "3", "4"]
    assert [each.sentence for each in ledger.journal.decisions("even", limit=2)] == ["4", "2"]
    assert [each.sentence for each in ledger.journal.decisions(limit=2)] == ["5", "4"]
    assert ledger.journal.newest_id() == events[-1].id + 1


def test_old_sentences_go(ledger: Ledger) -> None:
    with ledger._database.write() as transaction:
        transaction.insert(
            journal.schema.events, {"id": journal.EVENTS_KEPT * 2, "at": NOON, "sentence": "far on"}
        )
    ledger.journal.say(NOON, "chat", "new", {})
    assert [each.sentence for each in ledger.journal.events()] == ["far on", "new"]
    ledger.journal._said = journal.PRUNED_EVERY
    with ledger._database.write() as transaction:
        transaction.insert(journal.schema.events, {"id": 1, "at": NOON, "sentence": "old"})
    ledger.journal.say(NOON, "chat", "newer", {})
    assert [each.sentence for each in ledger.journal.events()] == ["far on", "new", "newer"]
