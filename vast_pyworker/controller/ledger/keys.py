"""Keys of people, scripts and clients: who may what. A key itself is shown once and never kept.

Account keys read, operate or administer, each with the rights below it; endpoint keys are given
workers of one endpoint and nothing else. Keys are long and random, so their SHA-256 is enough.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from hashlib import sha256

from sqlalchemy import select, update

from . import schema
from .database import Database

KEY_BYTES = 32
SHORTEST_KEY = 24
_TABLE = schema.keys


class Right(str, Enum):
    """What a key is for. Each but ``ROUTE`` has those before it."""

    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"
    ROUTE = "route"

    def __str__(self) -> str:
        return self.value


_RANKS = {Right.READ: 1, Right.OPERATE: 2, Right.ADMIN: 3}


@dataclass(frozen=True)
class Key:
    """What is known of a key; ``endpoint`` is set for those that route, and for no other."""

    id: str
    name: str
    right: Right
    endpoint: str | None
    created_at: float
    revoked_at: float | None = None

    def may(self, right: Right, endpoint: str | None = None) -> bool:
        """Whether it covers ``right``. To route is of its own: for the key's endpoint, or for any
        endpoint where an account key operates."""
        if right is Right.ROUTE:
            if self.right is Right.ROUTE:
                return endpoint is not None and endpoint == self.endpoint
            return _RANKS[self.right] >= _RANKS[Right.OPERATE]
        return self.right is not Right.ROUTE and _RANKS[self.right] >= _RANKS[right]


class Keys:
    """Used from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys: Mapping[str, tuple[str, Key]] = {}
        self._put = database.replacing(_TABLE)

    def load(self) -> None:
        """Read all, those revoked as well."""
        rows = self._database.read(select(_TABLE).order_by(_TABLE.c.created_at))
        self._keys = {
            row.id: (
                row.hash,
                Key(row.id, row.name, Right(row.right), row.endpoint, row.created_at,
                    row.revoked_at),
            )
            for row in rows
        }  # fmt: skip

    def create(
        self,
        name: str,
        right: Right,
        *,
        at: float,
        endpoint: str | None = None,
        text: str | None = None,
    ) -> tuple[str, Key]:
        """A new key, to be shown once, and what is kept of it.

        ``text`` is for one that was made elsewhere; the same text is the same key, with its latest
        name and right, and is valid again. ``ValueError`` says what does not fit.
        """
        _check(right, endpoint, text)
        text = secrets.token_hex(KEY_BYTES) if text is None else text
        digest = _digest(text)
        key = Key(_id_of(digest), name, right, endpoint, at)
        row = {
            "id": key.id, "hash": digest, "name": name, "right": str(right), "endpoint": endpoint,
            "created_at": at, "revoked_at": None,
        }  # fmt: skip
        with self._database.write() as transaction:
            transaction.execute(self._put, [row])
            transaction.after(lambda: self._remember(digest, key))
        return text, key

    def check(self, text: str) -> Key | None:
        """The key that this is; None for one that never was, or was revoked."""
        digest = _digest(text)
        kept, key = self._keys.get(_id_of(digest), ("", None))
        same = hmac.compare_digest(kept, digest)
        return key if same and key is not None and key.revoked_at is None else None

    def revoke(self, key_id: str, at: float) -> bool:
        """Make it worthless at once. False: there is no such key, or it is so already."""
        with self._database.lock:
            digest, key = self._keys.get(key_id, ("", None))
            if key is None or key.revoked_at is not None:
                return False
            revoked = replace(key, revoked_at=at)
            with self._database.write() as transaction:
                transaction.execute(
                    update(_TABLE).where(_TABLE.c.id == key_id).values(revoked_at=at)
                )
                transaction.after(lambda: self._remember(digest, revoked))
        return True

    def list(self, endpoint: str | None = None) -> tuple[Key, ...]:
        """All that are valid, or those of one endpoint, the oldest first."""
        valid = (key for _, key in self._keys.values() if key.revoked_at is None)
        return tuple(each for each in valid if endpoint is None or each.endpoint == endpoint)

    def _remember(self, digest: str, key: Key) -> None:
        self._keys = {**self._keys, key.id: (digest, key)}


def _check(right: Right, endpoint: str | None, text: str | None) -> None:
    if (right is Right.ROUTE) is not (endpoint is not None):
        raise ValueError("A key with the right to route names its endpoint, and no other key does.")
    if text is not None and len(text) < SHORTEST_KEY:
        raise ValueError(f"A key has at least {SHORTEST_KEY} characters, chosen at random.")


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _id_of(digest: str) -> str:
    """Enough to name a key by, of which nothing leads back to it."""
    return digest[:12]
