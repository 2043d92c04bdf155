"""Keys: shown once, kept as hashes, good for what they were made for; and small notes."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledger_support import NOON, open_ledger

from vast_pyworker.controller.ledger.keys import Right
from vast_pyworker.controller.ledger.ledger import Ledger


@pytest.mark.parametrize(
    ("right", "may"),
    [
        (Right.READ, {Right.READ}),
        (Right.OPERATE, {Right.READ, Right.OPERATE, Right.ROUTE}),
        (Right.ADMIN, {Right.READ, Right.OPERATE, Right.ADMIN, Right.ROUTE}),
    ],
)
def test_an_account_key_has_its_right_and_those_below(
    ledger: Ledger, right: Right, may: set[Right]
) -> None:
    text, _ = ledger.keys.create("ops", right, at=NOON)
    key = ledger.keys.check(text)
    assert key is not None
    assert {each for each in Right if key.may(each, "chat")} == may


def test_an_endpoint_key_routes_to_its_endpoint_and_nothing_else(ledger: Ledger) -> None:
    text, _ = ledger.keys.create("site", Right.ROUTE, endpoint="chat", at=NOON)
    key = ledger.keys.check(text)
    assert key is not None and key.may(Right.ROUTE, "chat")
    assert not key.may(Right.ROUTE, "other") and not key.may(Right.ROUTE)
    assert not any(key.may(each, "chat") for each in Right if each is not Right.ROUTE)


@pytest.mark.parametrize("wrong", ["", "short", "ü" * 40, "\ud800", "0" * 64])
def test_what_is_no_key_is_nobody(ledger: Ledger, wrong: str) -> None:
    ledger.keys.create("ops", Right.ADMIN, at=NOON)
    assert ledger.keys.check(wrong) is None


def test_a_revoked_key_is_nobody_at_once_and_after_a_restart(tmp_path: Path) -> None:
    first = open_ledger(tmp_path)
    text, key = first.keys.create("ops", Right.ADMIN, at=NOON)
    kept, _ = first.keys.create("site", Right.ROUTE, endpoint="chat", at=NOON + 1)
    assert first.keys.revoke(key.id, NOON + 2)
    assert not first.keys.revoke(key.id, NOON + 3)
    assert not first.keys.revoke("nobody", NOON + 3)
    assert first.keys.check(text) is None
    assert [each.name for each in first.keys.list()] == ["site"]
    first.abandon()
    second = open_ledger(tmp_path)
    assert second.keys.check(text) is None
    found = second.keys.check(kept)
    assert found is not None and found.endpoint == "chat"
    assert second.keys.list("chat") == (found,) and second.keys.list("other") == ()
    second.close()


def test_a_key_is_nowhere_in_the_file(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    text, _ = ledger.keys.create("ops", Right.ADMIN, at=NOON)
    ledger.close()
    assert text.encode() not in (tmp_path / "ledger.db").read_bytes()


def test_a_key_made_elsewhere_is_taken_as_it_is(ledger: Ledger) -> None:
    chosen = "an-operators-own-random-key-0123456789"
    ledger.keys.create("first", Right.READ, at=NOON, text=chosen)
    _, key = ledger.keys.create("second", Right.ADMIN, at=NOON, text=chosen)
    ledger.keys.revoke(key.id, NOON)
    ledger.keys.create("third", Right.ADMIN, at=NOON, text=chosen)
    found = ledger.keys.check(chosen)
    assert found is not None and (found.name, found.right) == ("third", Right.ADMIN)
    assert len(ledger.keys.list()) == 1


@pytest.mark.parametrize(
    ("right", "endpoint", "text"),
    [(Right.ROUTE, None, None), (Right.ADMIN, "chat", None), (Right.READ, None, "tooshort")],
)
def test_a_key_that_fits_nothing_is_refused(
    ledger: Ledger, right: Right, endpoint: str | None, text: str | None
) -> None:
    with pytest.raises(ValueError, match="key"):
        ledger.keys.create("x", right, endpoint=endpoint, at=NOON, text=text)


def test_notes_survive_and_the_same_again_writes_nothing(tmp_path: Path) -> None:
    first = open_ledger(tmp_path)
    first.notes.put("paused/chat", {"why": "holiday", "since": NOON})
    before = first.commits
    first.notes.put("paused/chat", {"since": NOON, "why": "holiday"})
    first.notes.drop("nothing")
    assert first.commits == before
    first.abandon()
    second = open_ledger(tmp_path)
    assert second.notes.get("paused/chat") == {"why": "holiday", "since": NOON}
    assert second.notes.names("paused/") == ["paused/chat"]
    second.notes.drop("paused/chat")
    assert second.notes.get("paused/chat") is None and second.notes.get("x", 5) == 5
    second.close()
