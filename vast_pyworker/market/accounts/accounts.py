"""Who may call: accounts, their keys, and the keys that instances hold.

A key is the account's own (may do everything), a sub-key (only what its permissions name), or the
key of one instance (only that instance). Nothing here charges: whoever bills moves ``credit``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from vast_pyworker.market.refusal import MarketRefusal, invalid

from .identities import Account, Caller, Key, key_row

FIRST_ACCOUNT_ID = 100001
_FIRST_KEY_ID = 1
_REDACTED = "********"
SECRETS_MOST = 16
_SETTABLE = frozenset(
    (
        "autobill_threshold",
        "balance_threshold",
        "balance_threshold_enabled",
        "billaddress_addr1",
        "billaddress_addr2",
        "billaddress_city",
        "billaddress_country",
        "billaddress_name",
        "billaddress_taxinfo",
        "billaddress_zip",
        "phone_number",
        "ssh_key",
    )
)


class Accounts:
    """All accounts and keys; safe from several threads. ``new_key`` makes the text of a key."""

    def __init__(self, new_key: Callable[[], str]) -> None:
        self._new_key = new_key
        self._lock = threading.RLock()
        self._accounts: dict[int, Account] = {}
        self._keys: dict[str, Key] = {}
        self._instance_keys: dict[int, str] = {}
        self._next_key_id = _FIRST_KEY_ID

    def __iter__(self) -> Iterator[Account]:
        with self._lock:
            return iter(tuple(self._accounts.values()))

    def open(self, username: str, *, credit: float, now: float, key: str | None = None) -> Account:
        """A new account with its primary key, which is ``key`` where given."""
        with self._lock:
            ident = FIRST_ACCOUNT_ID + len(self._accounts)
            account = Account(ident, username, f"{username}@localhost", credit, now)
            self._accounts[ident] = account
            self._add(account, "primary", now, value=key, primary=True)
            return account

    def account(self, account_id: int) -> Account:
        return self._accounts[account_id]

    def caller(self, key: str) -> Caller | None:
        """Whose key this is; None where it is nobody's, or no longer."""
        with self._lock:
            found = self._keys.get(key)
            return None if found is None else Caller(self._accounts[found.account_id], found)

    def primary_key(self, account: Account) -> str:
        with self._lock:
            return next(k.value for k in self._of(account) if k.primary)

    def reset_primary_key(self, account: Account, now: float) -> str:
        """A new primary key; the old one is worth nothing from here on."""
        with self._lock:
            del self._keys[self.primary_key(account)]
            return self._add(account, "primary", now, primary=True).value

    def instance_key(self, account_id: int, instance_id: int, now: float) -> str:
        """The key which that instance's container holds; made at the first call."""
        with self._lock:
            value = self._instance_keys.get(instance_id)
            if value is None:
                account = self._accounts[account_id]
                name = f"instance {instance_id}"
                value = self._add(account, name, now, instance_id=instance_id).value
                self._instance_keys[instance_id] = value
            return value

    def forget_instance(self, instance_id: int) -> None:
        """The instance is gone: its key is worth nothing any more."""
        with self._lock:
            value = self._instance_keys.pop(instance_id, None)
            if value is not None:
                del self._keys[value]

    def add_key(
        self, account: Account, name: str, permissions: Mapping[str, Any] | None, now: float
    ) -> Key:
        """A sub-key; its text is shown this once."""
        with self._lock:
            return self._add(account, name, now, permissions=permissions)

    def keys_of(self, account: Account) -> list[dict[str, Any]]:
        """The rows of ``GET /auth/apikeys/``; the keys themselves are never shown."""
        with self._lock:
            return [key_row(key) for key in self._of(account) if key.instance_id is None]

    def key_of(self, account: Account, key_id: int) -> dict[str, Any]:
        with self._lock:
            return key_row(self._find(account, key_id))

    def delete_key(self, account: Account, key_id: int) -> None:
        with self._lock:
            key = self._find(account, key_id)
            if key.primary:
                raise invalid("You cannot delete your primary key.")
            del self._keys[key.value]

    def set(self, account: Account, values: Mapping[str, Any]) -> None:
        """Change settings of the account; an unknown one refuses all of them."""
        unknown = sorted(set(values) - _SETTABLE)
        if unknown:
            names = ", ".join(unknown)
            raise invalid(f"{names}: Extra inputs are not permitted")
        with self._lock:
            account.settings.update(values)

    def secrets_of(self, account: Account) -> dict[str, str]:
        with self._lock:
            return dict.fromkeys(account.secrets, _REDACTED)

    def set_secret(self, account: Account, name: str, value: str, *, new: bool) -> None:
        """``new``: also where there is none yet; else only an existing one."""
        with self._lock:
            if name not in account.secrets:
                _check_room(account, new)
            account.secrets[name] = value

    def delete_secret(self, account: Account, name: str) -> None:
        with self._lock:
            if account.secrets.pop(name, None) is None:
                raise invalid("Environment variable not found")

    def state(self) -> dict[str, Any]:
        """Everything here as JSON values, for ``restore``."""
        with self._lock:
            return {
                "accounts": [asdict(account) for account in self._accounts.values()],
                "keys": [asdict(key) for key in self._keys.values()],
                "next_key_id": self._next_key_id,
            }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Become what ``state`` was called on; whatever was here is gone."""
        with self._lock:
            self._accounts = {row["id"]: Account(**row) for row in state["accounts"]}
            self._keys = {row["value"]: Key(**row) for row in state["keys"]}
            self._next_key_id = state["next_key_id"]
            self._instance_keys = {
                key.instance_id: key.value
                for key in self._keys.values()
                if key.instance_id is not None
            }

    def _of(self, account: Account) -> list[Key]:
        return [key for key in self._keys.values() if key.account_id == account.id]

    def _find(self, account: Account, key_id: int) -> Key:
        for key in self._of(account):
            if key.id == key_id and key.instance_id is None:
                return key
        raise MarketRefusal(404, "not_found", "API Key not found.")

    def _add(
        self,
        account: Account,
        name: str,
        now: float,
        *,
        value: str | None = None,
        permissions: Mapping[str, Any] | None = None,
        instance_id: int | None = None,
        primary: bool = False,
    ) -> Key:
        text = value or self._new_key()
        key = Key(self._next_key_id, text, account.id, name, now, permissions, instance_id, primary)
        self._next_key_id += 1
        self._keys[text] = key
        return key


def _check_room(account: Account, new: bool) -> None:
    if not new:
        raise invalid("Environment variable not found")
    if len(account.secrets) >= SECRETS_MOST:
        text = f"User has reached the limit of {SECRETS_MOST} environment variables."
        raise invalid(text)
