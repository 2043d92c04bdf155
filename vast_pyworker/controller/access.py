"""Who may: which key is whose, and what it covers.

Account keys read, operate or administer, each with the rights below it; endpoint keys route and do
nothing else; the token of an instance speaks for that instance alone. Every comparison takes the
same time whatever is sent. What it does not: find a key in a request (``api.asking``).
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vast_pyworker.controller.ledger.keys import Key, Keys, Right
from vast_pyworker.errors import SettingError
from vast_pyworker.model import Intent

__all__ = ["Access", "Caller", "Right", "ensure_admin_key"]

ADMIN_NAME = "admin"


@dataclass(frozen=True)
class Caller:
    """Who asks. ``who`` is how the journal names it; ``intent_id`` is set for an instance."""

    who: str
    key: Key | None = None
    intent_id: str | None = None

    def may(self, right: Right) -> bool:
        """Whether an account key covers it; nobody else reads or operates."""
        return self.key is not None and self.key.may(right)


class Access:
    """Used from any thread. ``token_of`` gives the token of an intent's instance."""

    def __init__(self, keys: Keys, token_of: Callable[[str], str]) -> None:
        self.keys = keys
        self._token_of = token_of

    def account(self, text: str) -> Caller | None:
        """The holder of an account key; None for one that is none, or routes only."""
        key = self.keys.check(text)
        if key is None or key.right is Right.ROUTE:
            return None
        return Caller(f"{key.name} ({key.id})", key)

    def client(self, text: str) -> Caller | None:
        """The holder of an endpoint's key; None for any other."""
        key = self.keys.check(text)
        if key is None or key.right is not Right.ROUTE:
            return None
        return Caller(f"{key.name} ({key.id})", key)

    def by_id(self, key_id: str, who: str) -> Caller | None:
        """The holder of a valid key, by what names it; for those who showed it before."""
        found = next((each for each in self.keys.list() if each.id == key_id), None)
        return None if found is None or found.right is Right.ROUTE else Caller(who, found)

    def instance(self, text: str, intent: Intent | None) -> Caller | None:
        """The instance of ``intent`` itself, by its token."""
        expected = self._token_of(intent.id if intent else "")
        same = hmac.compare_digest(text.encode(), expected.encode())
        if intent is None or not same:
            return None
        return Caller(f"instance {intent.instance_id or intent.id}", intent_id=intent.id)

    def may_route(self, text: str, endpoint: str) -> bool:
        """Whether a client with this key may be given workers of the endpoint."""
        key = self.keys.check(text)
        return key is not None and key.may(Right.ROUTE, endpoint)


def ensure_admin_key(keys: Keys, path: Path, now: float) -> bool:
    """Have a key that administers, in a file of mode 0600; whether the file is new.

    A file that is there is taken for the key, also by a ledger that does not know it. Without one
    a new key is made only where no key administers: the holder of another has the say.
    """
    known = any(each.right is Right.ADMIN for each in keys.list())
    text = _key_in(path)
    if text is not None:
        if not known:
            _create(keys, text, path, now)
        return False
    if known:
        return False
    text, _ = keys.create(ADMIN_NAME, Right.ADMIN, at=now)
    _write(path, text)
    return True


def _create(keys: Keys, text: str, path: Path, now: float) -> None:
    try:
        keys.create(ADMIN_NAME, Right.ADMIN, at=now, text=text)
    except ValueError as exc:
        raise SettingError(f"{path} holds no key: {exc} Remove the file for a new one.") from None


def _key_in(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingError(f"The admin key cannot be read from {path} ({exc}).") from exc


def _write(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{text}\n")
    except OSError as exc:
        raise SettingError(f"The admin key cannot be written to {path} ({exc.strerror}).") from exc
