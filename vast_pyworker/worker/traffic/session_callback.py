"""Tells the model server that a session was closed: one POST, best effort, off the caller's thread.

What is here: the callback of ``Sessions``. What is not: when sessions close (``sessions``).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from vast_pyworker.errors import ReportError
from vast_pyworker.worker.reports.transport import Post

from .sessions import Session

log = logging.getLogger(__name__)


def callback_body(session: Session) -> dict[str, Any]:
    """The client's ``on_close_payload`` with the session's id beside it."""
    payload = session.on_close_payload
    if payload is None:
        body = {}
    else:
        body = dict(payload) if isinstance(payload, dict) else {"payload": payload}
    return {"session_id": session.session_id, **body}


def call_model(model_server: str, post: Post) -> Callable[[Session], None]:
    """An ``on_close`` that POSTs to the session's route on ``model_server``, in a thread."""

    def on_close(session: Session) -> None:
        if session.on_close_route is not None:
            url = model_server.rstrip("/") + session.on_close_route
            thread = threading.Thread(
                target=_call, args=(url, session, post), name="session-close", daemon=True
            )
            thread.start()

    return on_close


def _call(url: str, session: Session, post: Post) -> None:
    try:
        post(url, callback_body(session))
    except ReportError as exc:
        log.warning("Session %s closed, but %s", session.session_id[:4], exc)
