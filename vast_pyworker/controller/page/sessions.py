"""Who is signed in to the page: random tokens in memory, gone with the process.

A session is as good as the key it was opened with: it ends when that key is revoked.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from vast_pyworker.controller.access import Access, Caller

COOKIE = "controller_session"
LASTS_S = 12 * 3600.0
MOST = 1000


@dataclass
class Session:
    """``csrf`` is what a form of this session carries; ``flash`` a sentence to show once."""

    key_id: str
    who: str
    csrf: str
    ends: float
    flash: str = field(default="")


class Sessions:
    """Used from any thread. Only the hash of a token is kept."""

    def __init__(self, access: Access, mono: Callable[[], float]) -> None:
        self._access = access
        self._mono = mono
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def open(self, key: str) -> str | None:
        """A token for the holder of an account key; None where the key is none."""
        caller = self._access.account(key)
        if caller is None or caller.key is None:
            return None
        token = secrets.token_urlsafe(32)
        ends = self._mono() + LASTS_S
        session = Session(caller.key.id, caller.who, secrets.token_urlsafe(32), ends)
        with self._lock:
            if len(self._sessions) >= MOST:
                del self._sessions[next(iter(self._sessions))]
            self._sessions[_digest(token)] = session
        return token

    def find(self, token: str) -> tuple[Session, Caller] | None:
        """The session of a token and who it stands for, as long as the key is good."""
        with self._lock:
            session = self._sessions.get(_digest(token)) if token else None
        if session is None or self._mono() >= session.ends:
            return None
        caller = self._access.by_id(session.key_id, session.who)
        return None if caller is None else (session, caller)

    def close(self, token: str) -> None:
        with self._lock:
            self._sessions.pop(_digest(token), None)


def _digest(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
