"""SSH keys of accounts: which are taken, whose they are, and that they are kept."""

from __future__ import annotations

import json

import pytest

from vast_pyworker.market.accounts.ssh_keys import SshKeys, checked
from vast_pyworker.market.refusal import MarketRefusal

ANN, BOB = 1, 2
KEY = "ssh-ed25519 AAAAC3Nza test@host"


def test_a_key_is_kept_without_the_line_end_of_its_file() -> None:
    keys = SshKeys()
    row = keys.add(ANN, KEY + "\n", 3.0)
    assert row == {
        "id": 1, "user_id": ANN, "key": KEY, "created_at": 3.0, "deleted_at": None,
    }  # fmt: skip
    assert keys.of(ANN) == [row] and keys.of(BOB) == []


@pytest.mark.parametrize(
    "key",
    [None, 7, "", " \n", "AAAA", "ssh-ed25519", f"{KEY}\n{KEY}", "ssh-rsa AAAA " + "x" * 20_000],
)
def test_what_is_no_public_key_is_refused(key: object) -> None:
    with pytest.raises(MarketRefusal) as caught:
        checked(key)
    assert caught.value.status == 400


def test_a_key_stands_once_in_an_account() -> None:
    keys = SshKeys()
    row = keys.add(ANN, KEY, 1.0)
    with pytest.raises(MarketRefusal, match="already exists on this account"):
        keys.add(ANN, KEY, 2.0)
    keys.add(BOB, KEY, 2.0)
    other = keys.add(ANN, "ssh-rsa BBBB", 2.0)
    with pytest.raises(MarketRefusal, match="already exists on this account"):
        keys.change(ANN, other["id"], KEY)
    assert keys.change(ANN, row["id"], KEY) == row


def test_anothers_key_is_neither_changed_nor_deleted() -> None:
    keys = SshKeys()
    row = keys.add(ANN, KEY, 1.0)
    with pytest.raises(MarketRefusal, match="does not exist on this account"):
        keys.delete(BOB, row["id"])
    with pytest.raises(MarketRefusal, match="does not exist on this account"):
        keys.change(BOB, row["id"], "ssh-rsa CCCC")
    keys.delete(ANN, row["id"])
    assert keys.of(ANN) == []


def test_keys_survive_as_json() -> None:
    keys = SshKeys()
    keys.add(ANN, KEY, 1.0)
    again = SshKeys()
    again.restore(json.loads(json.dumps(keys.state())))
    assert again.of(ANN) == keys.of(ANN)
    assert again.add(ANN, "ssh-rsa BBBB", 2.0)["id"] == 2
