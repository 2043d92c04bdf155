"""Calls about SSH keys: the account's, and those attached to one instance."""

from __future__ import annotations

from typing import Any

from vast_pyworker.market.calls.asking import Asked, number_of
from vast_pyworker.market.refusal import invalid

from .door import Route
from .instances import READ, instance_id
from .parts import Parts


def routes(parts: Parts) -> list[Route]:
    calls = SshKeyCalls(parts)
    account, one, of = "/ssh/", "/ssh/<ident>/", "/instances/<ident>/ssh/"
    read, write, instances = "user_read", "user_write", "instance_write"
    return [
        Route("GET", account, "account_ssh", calls.listed, read),
        Route("POST", account, "account_ssh", calls.add, write, "account_ssh_add"),
        Route("PUT", one, "account_ssh", calls.change, write, "account_ssh_change"),
        Route("DELETE", one, "account_ssh", calls.delete, write, "account_ssh_delete"),
        Route("GET", of, "ssh_list", calls.attached, READ),
        Route("POST", of, "ssh_attach", calls.attach, instances),
        Route("DELETE", f"{of}<key>/", "ssh_detach", calls.detach, instances),
    ]


def _key_id(ident: str) -> int:
    return number_of(ident, invalid("No ssh key provided"))


class SshKeyCalls:
    """The views."""

    def __init__(self, parts: Parts) -> None:
        self._keys = parts.ssh_keys
        self._market = parts.market
        self._now = parts.now

    def listed(self, asked: Asked) -> list[dict[str, Any]]:
        return self._keys.of(asked.account_id)

    def add(self, asked: Asked) -> dict[str, Any]:
        row = self._keys.add(asked.account_id, asked.body.get("ssh_key"), self._now())
        return {"success": True, "key": row}

    def change(self, asked: Asked, ident: str) -> dict[str, Any]:
        row = self._keys.change(asked.account_id, _key_id(ident), asked.body.get("ssh_key"))
        return {"success": True, "key": row}

    def delete(self, asked: Asked, ident: str) -> dict[str, Any]:
        self._keys.delete(asked.account_id, _key_id(ident))
        return {"success": True}

    def attached(self, asked: Asked, ident: str) -> dict[str, Any]:
        return self._market.ssh_list(asked.account_id, instance_id(ident))

    def attach(self, asked: Asked, ident: str) -> dict[str, Any]:
        key = asked.body.get("ssh_key")
        return self._market.ssh_attach(asked.account_id, instance_id(ident), key)

    def detach(self, asked: Asked, ident: str, key: str) -> dict[str, Any]:
        return self._market.ssh_detach(asked.account_id, instance_id(ident), _key_id(key))
