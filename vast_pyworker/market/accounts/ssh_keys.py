"""SSH public keys of the accounts: ``/ssh/``. Keys of instances are the instances' own matter."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any

from vast_pyworker.market.refusal import MarketRefusal, invalid

# One line: type, base64, comment. Shorter ones than any real key pass, since clients' examples do.
_PUBLIC = re.compile(r"(ssh-|ecdsa-|sk-)[A-Za-z0-9@.-]+ [A-Za-z0-9+/=]+( [^\r\n]*)?")
_LONGEST = 16_384
_DUPLICATE = "The SSH key already exists on this account"


def checked(key: object) -> str:
    """The public key without blanks around it; MarketRefusal(400) where it is none."""
    if not isinstance(key, str) or not key.strip():
        raise MarketRefusal(400, "no_ssh_key", "No ssh key provided")
    text = key.strip()
    if len(text) > _LONGEST or not _PUBLIC.fullmatch(text):
        raise invalid("Invalid ssh key: send one public key.")
    return text


class SshKeys:
    """Rows ``{id, user_id, key, created_at, deleted_at}``; safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[int, dict[str, Any]] = {}
        self._next_id = 1

    def of(self, account_id: int) -> list[dict[str, Any]]:
        with self._lock:
            return [dict(row) for row in self._rows.values() if row["user_id"] == account_id]

    def add(self, account_id: int, key: object, now: float) -> dict[str, Any]:
        text = checked(key)
        with self._lock:
            self._check_new(account_id, text)
            row = {
                "id": self._next_id,
                "user_id": account_id,
                "key": text,
                "created_at": now,
                "deleted_at": None,
            }
            self._rows[self._next_id] = row
            self._next_id += 1
            return dict(row)

    def change(self, account_id: int, key_id: int, key: object) -> dict[str, Any]:
        text = checked(key)
        with self._lock:
            row = self._find(account_id, key_id)
            if row["key"] != text:
                self._check_new(account_id, text)
                row["key"] = text
            return dict(row)

    def delete(self, account_id: int, key_id: int) -> None:
        with self._lock:
            del self._rows[self._find(account_id, key_id)["id"]]

    def state(self) -> dict[str, Any]:
        """Everything here as JSON values, for ``restore``."""
        with self._lock:
            rows = [dict(row) for row in self._rows.values()]
            return {"rows": rows, "next_id": self._next_id}

    def restore(self, state: Mapping[str, Any]) -> None:
        with self._lock:
            self._rows = {row["id"]: dict(row) for row in state["rows"]}
            self._next_id = state["next_id"]

    def _check_new(self, account_id: int, text: str) -> None:
        for row in self._rows.values():
            if row["user_id"] == account_id and row["key"] == text:
                raise MarketRefusal(400, "duplicate", _DUPLICATE)

    def _find(self, account_id: int, key_id: int) -> dict[str, Any]:
        row = self._rows.get(key_id)
        if row is None or row["user_id"] != account_id:
            text = "The SSH key does not exist on this account"
            raise MarketRefusal(404, "not_found", text)
        return row
