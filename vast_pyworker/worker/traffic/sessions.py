"""Sessions: a client's hold on this worker across requests, counted until it is closed.

A session is opened with a grant that its caller has had checked, lives for ``lifetime`` seconds and
as many again for each request within it, and is closed by its owner, by expiry or when the worker
ends. Its owner is whoever can repeat the grant it was opened with.

What is here: the table and its rules. What is not: checking grants (``auth``), HTTP, and what
happens on close (an injected callable; ``session_callback`` has the one that calls the model).
"""

from __future__ import annotations

import math
import secrets
import string
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vast_pyworker.errors import Full, Gone, Invalid, Refused, Unauthorized
from vast_pyworker.model import Outcome
from vast_pyworker.worker.reports.accounting import Accounting, Ticket

DEFAULT_LIFETIME_S = 60.0
DEFAULT_WORK = 100.0  # what the protocol takes a request for that names no cost
ID_LENGTH = 13
RETRY_AFTER_S = 5.0
_ALPHABET = string.ascii_letters + string.digits
_PATH_CHARACTERS = frozenset(string.ascii_letters + string.digits + "/-._~%!$&'()*+,;=:@?[]")


@dataclass
class Session:
    """One open session. Times are Unix seconds; ``auth`` is the grant, {} where there was none."""

    session_id: str
    auth: Mapping[str, Any]
    lifetime_s: float
    expires_at: float
    created_at: float
    on_close_route: str | None
    on_close_payload: Any
    ticket: Ticket

    def document(self) -> dict[str, Any]:
        """What ``/session/get`` answers."""
        return {
            "session_id": self.session_id,
            "auth_data": dict(self.auth),
            "lifetime": self.lifetime_s,
            "expiration": self.expires_at,
            "created_at": self.created_at,
            "on_close_route": self.on_close_route,
            "on_close_payload": self.on_close_payload,
        }


class Sessions:
    """The open sessions of one worker; every method may be called from any thread.

    ``on_close`` is called with each closed Session, on the thread that closed it and outside the
    lock; it must not block. ``max_sessions`` 0 means no limit.
    """

    def __init__(
        self,
        accounting: Accounting,
        *,
        max_sessions: int = 10,
        on_close: Callable[[Session], None] = lambda session: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._accounting = accounting
        self._max_sessions = max_sessions
        self._on_close = on_close
        self._now = now
        self._open: dict[str, Session] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, session_id: object) -> bool:
        return session_id in self._open

    def create(self, auth: Mapping[str, Any], payload: Mapping[str, Any]) -> dict[str, Any]:
        """Open a session for a caller whose grant was checked; the body of the 201 answer.

        Raises Invalid for a lifetime that is no positive number or an ``on_close_route`` that is
        no path on the model server, Full when the table is.
        """
        lifetime_s = _lifetime(payload.get("lifetime"))
        route = _route(payload.get("on_close_route"))
        ticket = self._accounting.begin_session(
            _cost(auth.get("cost")),
            request_idx=_index(auth.get("request_idx")),
            reqnum=auth.get("reqnum"),
        )
        now = self._now()
        session = Session(
            session_id="".join(secrets.choice(_ALPHABET) for _ in range(ID_LENGTH)),
            auth=dict(auth),
            lifetime_s=lifetime_s,
            expires_at=now + lifetime_s,
            created_at=now,
            on_close_route=route,
            on_close_payload=payload.get("on_close_payload") if route else None,
            ticket=ticket,
        )
        with self._lock:
            has_room = not self._max_sessions or len(self._open) < self._max_sessions
            if has_room:
                self._open[session.session_id] = session
        if not has_room:
            ticket.end(Outcome.REJECTED)
            raise _table_full(self._max_sessions)
        return {"session_id": session.session_id, "expiration": session.expires_at}

    def touch(self, session_id: str) -> Session:
        """A request within the session: its life is prolonged; Gone (410) if it is not open."""
        with self._lock:
            session = self._open.get(session_id)
            if session is None or session.expires_at <= self._now():
                raise Gone("invalid session")
            session.expires_at += session.lifetime_s
            return session

    def get(self, session_id: object, session_auth: object) -> dict[str, Any]:
        """The session as a document, to its owner."""
        return self._owned(session_id, session_auth, "session does not exist").document()

    def health(self, session_id: object, session_auth: object) -> dict[str, Any]:
        """Whether the session is open: ``{"ok": bool}``."""
        session = self._open.get(_id(session_id))
        if session is not None:
            _check_owner(session, session_auth)
        return {"ok": session is not None}

    def end(self, session_id: object, session_auth: object) -> dict[str, Any]:
        """Close the session, for its owner."""
        missing = f"session with id {_id(session_id)} not found"
        session = self._owned(session_id, session_auth, missing)
        if not self._close(session):
            raise Gone("session already closed")
        return {"ended": True, "removed_session": session.session_id}

    def tick(self, now: float | None = None) -> str:
        """Close what has expired; one sentence, empty when nothing had."""
        at = self._now() if now is None else now
        with self._lock:
            expired = [session for session in self._open.values() if session.expires_at <= at]
        closed = sum(self._close(session) for session in expired)
        return f"Closed {closed} expired sessions." if closed else ""

    def close_all(self) -> int:
        """Close every session, as the worker ends; how many there were."""
        with self._lock:
            remaining = list(self._open.values())
        return sum(self._close(session) for session in remaining)

    def _owned(self, session_id: object, session_auth: object, missing: str) -> Session:
        session = self._open.get(_id(session_id))
        if session is None:
            raise Refused(missing)
        _check_owner(session, session_auth)
        return session

    def _close(self, session: Session) -> bool:
        with self._lock:
            was_open = self._open.pop(session.session_id, None) is not None
        if was_open:
            session.ticket.end(Outcome.FINISHED)
            self._on_close(session)
        return was_open


def _check_owner(session: Session, session_auth: object) -> None:
    if (session_auth or {}) != session.auth:
        raise Unauthorized("session_auth is not valid")


def _id(session_id: object) -> str:
    if not isinstance(session_id, str) or not session_id:
        raise Invalid("missing session_id")
    return session_id


def _table_full(limit: int) -> Full:
    return Full(
        f"All {limit} sessions of this worker are open; try another worker.",
        retry_after_s=RETRY_AFTER_S,
    )


def _lifetime(value: object) -> float:
    if value is None:
        return DEFAULT_LIFETIME_S
    seconds = _number(value)
    if seconds is None or seconds <= 0:
        raise _invalid("lifetime", "must be a positive number of seconds")
    return seconds


def _route(value: object) -> str | None:
    """A path on the model server; anywhere else would be a request forged in our name."""
    if value is None:
        return None
    is_path = isinstance(value, str) and value.startswith("/") and not value.startswith("//")
    if not is_path or not set(str(value)) <= _PATH_CHARACTERS:
        raise _invalid("on_close_route", "must be a path on the model server, such as /close")
    return str(value)


def _cost(value: object) -> float:
    """The work a session holds: what the grant says it costs."""
    cost = _number(value)
    return DEFAULT_WORK if cost is None or cost < 0 else cost


def _index(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _number(value: object) -> float | None:
    """The finite number that a JSON number or a numeric text is, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _invalid(field: str, problem: str) -> Invalid:
    return Invalid(f"{field} {problem}.", body={"payload": {field: problem}})
