"""Calls about the account itself: the user, API keys, environment variables, spending."""

from __future__ import annotations

from typing import Any

from vast_pyworker.market.accounts.identities import user_row
from vast_pyworker.market.calls import shapes
from vast_pyworker.market.calls.asking import Asked, number_of
from vast_pyworker.market.refusal import MarketRefusal, invalid

from .door import Route
from .parts import Parts

READ, WRITE = "user_read", "user_write"


def routes(parts: Parts) -> list[Route]:
    calls = AccountCalls(parts)
    keys, secrets = "/auth/apikeys/", "/secrets/"
    return [
        Route("GET", "/users/current", "user", calls.user, READ),
        Route("PUT", "/users/", "other", calls.change_user, WRITE, "user_update"),
        Route("GET", "/users/spend-rate/", "spend_rate", calls.spend_rate, READ),
        Route("GET", keys, "apikeys", calls.keys, READ),
        Route("POST", keys, "apikeys", calls.create_key, WRITE, "apikey_create"),
        Route("GET", f"{keys}<ident>/", "apikeys", calls.key, READ),
        Route("DELETE", f"{keys}<ident>/", "apikeys", calls.delete_key, WRITE, "apikey_delete"),
        Route("PUT", "/commands/reset_apikey/", "apikeys", calls.reset_key, WRITE, "apikey_create"),
        Route("GET", secrets, "other", calls.secrets, READ, "secrets"),
        Route("POST", secrets, "other", calls.add_secret, WRITE, "secret_write"),
        Route("PUT", secrets, "other", calls.change_secret, WRITE, "secret_write"),
        Route("DELETE", secrets, "other", calls.delete_secret, WRITE, "secret_write"),
        Route("GET", "/audit_logs/", "other", calls.audit_logs, READ, "audit_logs"),
        Route("GET", "/subaccounts", "other", calls.subaccounts, READ),
    ]


class AccountCalls:
    """The views."""

    def __init__(self, parts: Parts) -> None:
        self._accounts = parts.accounts
        self._market = parts.market
        self._now = parts.now

    def user(self, asked: Asked) -> dict[str, Any]:
        """Takes no query arguments at all: 422 for any."""
        extra = sorted(set(asked.query) - {"api_key"})
        if extra:
            raise shapes.extra_inputs(extra)
        account = asked.account
        assert asked.caller is not None
        return {**user_row(asked.caller), "credit": self._market.credit(account.id)}

    def change_user(self, asked: Asked) -> dict[str, Any]:
        self._accounts.set(asked.account, asked.body)
        return {"success": True, "msg": "User updated successfully"}

    def spend_rate(self, asked: Asked) -> dict[str, Any]:
        return self._market.spend_rate(asked.account_id)

    def keys(self, asked: Asked) -> dict[str, Any]:
        return {"apikeys": self._accounts.keys_of(asked.account)}

    def key(self, asked: Asked, ident: str) -> dict[str, Any]:
        return self._accounts.key_of(asked.account, _key_id(ident))

    def create_key(self, asked: Asked) -> dict[str, Any]:
        name, permissions = asked.body.get("name"), asked.body.get("permissions")
        if not isinstance(name, str) or not name:
            raise invalid("'name' is required.")
        if permissions is not None and not isinstance(permissions, dict):
            raise invalid("permissions must be an object.")
        _check_grants(asked, permissions)
        key = self._accounts.add_key(asked.account, name, permissions, self._now())
        return {"success": True, "id": key.id, "key": key.value, "permissions": key.permissions}

    def delete_key(self, asked: Asked, ident: str) -> Any:
        self._accounts.delete_key(asked.account, _key_id(ident))
        return "Successfully Deleted API Key"

    def reset_key(self, asked: Asked) -> dict[str, Any]:
        key = self._accounts.reset_primary_key(asked.account, self._now())
        return {"success": True, "new_api_key": key}

    def secrets(self, asked: Asked) -> dict[str, Any]:
        return {"success": True, "secrets": self._accounts.secrets_of(asked.account)}

    def add_secret(self, asked: Asked) -> dict[str, Any]:
        name, value = _pair(asked.body)
        self._accounts.set_secret(asked.account, name, value, new=True)
        return {"success": True, "msg": "Environment variables processed successfully"}

    def change_secret(self, asked: Asked) -> dict[str, Any]:
        name, value = _pair(asked.body)
        self._accounts.set_secret(asked.account, name, value, new=False)
        return {"success": True, "msg": "Environment variable updated successfully"}

    def delete_secret(self, asked: Asked) -> dict[str, Any]:
        name = asked.body.get("key")
        if not isinstance(name, str) or not name:
            raise invalid("'key' required.")
        self._accounts.delete_secret(asked.account, name)
        return {"success": True, "msg": "Environment variable deleted successfully"}

    def audit_logs(self, asked: Asked) -> list[Any]:
        return []

    def subaccounts(self, asked: Asked) -> dict[str, Any]:
        return {"users": []}


def _key_id(ident: str) -> int:
    return number_of(ident, invalid("API Key ID not provided."))


def _check_grants(asked: Asked, permissions: Any) -> None:
    """A restricted key makes no key that may do more than itself."""
    assert asked.caller is not None
    own = asked.caller.key.permissions
    if own is None:
        return
    wanted = (permissions or {}).get("api")
    granted = own.get("api", {})
    if not isinstance(wanted, dict) or set(wanted) - set(granted):
        text = "You are not authorized to create a key with the specified permissions."
        raise MarketRefusal(401, "not_authorized", text)


def _pair(body: dict[str, Any]) -> tuple[str, str]:
    name, value = body.get("key"), body.get("value")
    if not isinstance(name, str) or not name or not isinstance(value, str):
        text = "Both 'key' and 'value' are required."
        raise invalid(text)
    return name, value
