"""Refusals as HTTP answers: status, JSON body, ``Retry-After``; on the loop and in Flask."""

from __future__ import annotations

import json
import math

from vast_pyworker.errors import NotReady, Refused
from vast_pyworker.worker.phases.readiness import Readiness

Headers = tuple[tuple[str, str], ...]


def answer_of(refused: Refused) -> tuple[int, Headers, bytes]:
    """Status, headers and body that tell a client why it was turned down."""
    headers = [("Content-Type", "application/json")]
    if refused.retry_after_s is not None:
        headers.append(("Retry-After", str(max(math.ceil(refused.retry_after_s), 1))))
    if refused.status == 401:
        headers.append(("WWW-Authenticate", "Bearer"))
    return refused.status, tuple(headers), json.dumps(refused.body).encode()


def not_ready(readiness: Readiness) -> NotReady:
    """503: what the worker is doing instead, and when to come again."""
    message = (
        f"This worker is not ready ({readiness.state}): {readiness.public_reason.rstrip('.')}."
    )
    retry_s = readiness.retry_after_s
    body = {
        "error": message,
        "state": str(readiness.state),
        "queue_depth": 0,
        "estimated_wait_s": retry_s,
    }
    return NotReady(message, body=body, retry_after_s=retry_s)
