"""An account, a key, and whom a key belongs to; and the rows by which the API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Account:
    """One user. ``credit`` is what may still be spent, in dollars; all else is what it has set."""

    id: int
    username: str
    email: str
    credit: float
    created_at: float
    settings: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Key:
    """One key. ``permissions`` None: everything; ``instance_id``: only that instance."""

    id: int
    value: str
    account_id: int
    name: str
    created_at: float
    permissions: Mapping[str, Any] | None = None
    instance_id: int | None = None
    primary: bool = False

    def allows(self, scope: str) -> bool:
        """Whether a call of ``scope`` ("" needs none) may be made with this key."""
        if self.permissions is None or not scope:
            return True
        granted = self.permissions.get("api", {})
        return isinstance(granted, Mapping) and scope in granted


@dataclass(frozen=True)
class Caller:
    """Whom a key belongs to."""

    account: Account
    key: Key


def key_row(key: Key) -> dict[str, Any]:
    """One row of ``GET /auth/apikeys/``."""
    return {
        "id": key.id,
        "name": key.name,
        "key": None,
        "permissions": key.permissions,
        "user_id": key.account_id,
        "created_at": key.created_at,
    }


def user_row(caller: Caller) -> dict[str, Any]:
    """The answer to ``GET /users/current``; the key shown is the one that asked."""
    account = caller.account
    return {
        "id": account.id,
        "key_id": caller.key.id,
        "api_key": caller.key.value,
        "username": account.username,
        "fullname": "",
        "email": account.email,
        "email_verified": True,
        "credit": account.credit,
        "balance": 0.0,
        "balance_threshold": 0.0,
        "balance_threshold_enabled": False,
        "autobill_threshold": None,
        "has_billing": True,
        "has_payout": False,
        "host_agreement_accepted": False,
        "billaddress_name": None,
        "billaddress_country": None,
        "paypal_email": None,
        "ssh_key": "",
        "sid": f"local-{account.id}",
        "user": "market",
        "created_at": account.created_at,
        **account.settings,
    }
