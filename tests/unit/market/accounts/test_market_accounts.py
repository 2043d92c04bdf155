"""Accounts and keys: whose key it is, what it may do, what survives a restart."""

from __future__ import annotations

import itertools
import json

import pytest

from vast_pyworker.market.accounts.accounts import Accounts
from vast_pyworker.market.accounts.identities import Account, user_row
from vast_pyworker.market.refusal import MarketRefusal


@pytest.fixture
def accounts() -> Accounts:
    numbers = itertools.count(1)
    return Accounts(lambda: f"key{next(numbers)}")


@pytest.fixture
def account(accounts: Accounts) -> Account:
    return accounts.open("local", credit=10.0, now=5.0, key="market")


def test_a_key_leads_to_its_account(accounts: Accounts, account: Account) -> None:
    caller = accounts.caller("market")
    assert caller is not None and caller.account is account
    assert accounts.caller("other") is None
    assert accounts.primary_key(account) == "market"


def test_the_key_of_an_instance_is_made_once_and_dies_with_it(
    accounts: Accounts, account: Account
) -> None:
    key = accounts.instance_key(account.id, 7, 1.0)
    assert accounts.instance_key(account.id, 7, 2.0) == key
    caller = accounts.caller(key)
    assert caller is not None and caller.key.instance_id == 7
    accounts.forget_instance(7)
    accounts.forget_instance(7)
    assert accounts.caller(key) is None


def test_instance_keys_are_not_listed_nor_deleted_by_number(
    accounts: Accounts, account: Account
) -> None:
    value = accounts.instance_key(account.id, 7, 1.0)
    caller = accounts.caller(value)
    assert caller is not None
    assert [row["name"] for row in accounts.keys_of(account)] == ["primary"]
    with pytest.raises(MarketRefusal, match="not found"):
        accounts.delete_key(account, caller.key.id)


def test_no_key_is_ever_shown_again(accounts: Accounts, account: Account) -> None:
    accounts.add_key(account, "ci", None, 1.0)
    assert {row["key"] for row in accounts.keys_of(account)} == {None}


def test_a_sub_key_may_do_what_its_permissions_name(accounts: Accounts, account: Account) -> None:
    key = accounts.add_key(account, "ci", {"api": {"instance_read": {}}}, 1.0)
    assert key.allows("instance_read") and key.allows("")
    assert not key.allows("instance_write")
    odd = accounts.add_key(account, "odd", {"api": "all"}, 1.0)
    assert not odd.allows("misc")


def test_the_primary_key_is_reset_and_never_deleted(accounts: Accounts, account: Account) -> None:
    caller = accounts.caller("market")
    assert caller is not None
    with pytest.raises(MarketRefusal, match="primary"):
        accounts.delete_key(account, caller.key.id)
    new = accounts.reset_primary_key(account, 2.0)
    assert accounts.caller("market") is None and accounts.caller(new) is not None


def test_secrets_are_hidden_and_limited(accounts: Accounts, account: Account) -> None:
    for number in range(16):
        accounts.set_secret(account, f"K{number}", "v", new=True)
    with pytest.raises(MarketRefusal, match="limit of 16"):
        accounts.set_secret(account, "K16", "v", new=True)
    accounts.set_secret(account, "K0", "w", new=True)
    assert set(accounts.secrets_of(account).values()) == {"********"}
    with pytest.raises(MarketRefusal, match="not found"):
        accounts.set_secret(account, "absent", "v", new=False)
    accounts.delete_secret(account, "K0")
    with pytest.raises(MarketRefusal, match="not found"):
        accounts.delete_secret(account, "K0")


def test_one_unknown_setting_refuses_them_all(accounts: Accounts, account: Account) -> None:
    with pytest.raises(MarketRefusal, match="credit: Extra inputs are not permitted"):
        accounts.set(account, {"phone_number": "1", "credit": 1e9})
    assert account.settings == {} and account.credit == 10.0


def test_the_user_row_shows_the_key_that_asked(accounts: Accounts, account: Account) -> None:
    sub = accounts.add_key(account, "ci", None, 1.0)
    caller = accounts.caller(sub.value)
    assert caller is not None
    row = user_row(caller)
    assert (row["api_key"], row["credit"], row["id"]) == (sub.value, 10.0, account.id)


def test_everything_survives_as_json(accounts: Accounts, account: Account) -> None:
    accounts.add_key(account, "ci", {"api": {"misc": {}}}, 1.0)
    held = accounts.instance_key(account.id, 7, 1.0)
    accounts.set_secret(account, "A", "b", new=True)
    state = json.loads(json.dumps(accounts.state()))
    again = Accounts(lambda: "new")
    again.restore(state)
    assert again.state() == accounts.state()
    assert again.instance_key(account.id, 7, 9.0) == held
    assert again.caller("market") is not None
