"""How often each call may be made: Vast's minimum intervals, and its ways to say "too often".

One interval per call and identity. Runs on the real clock, whatever the market's clock does:
clients wait in real time. Decides and words; sends nothing.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

TOO_OFTEN = "API requests too frequent"
FORMS = ("detail", "msg", "text", "bucket")
"""How a 429 looks: ``{"detail"}``, ``{"success","error","msg"}``, plain text, or the newer one
with ``Retry-After``, which is the only one that the official client waits for."""

# Seconds between two calls; a call that is not named here may be made at any time. ``change`` is
# start, stop and label; ``workergroups_*`` are the calls of that family under its public name.
THRESHOLDS_S: Mapping[str, float] = {
    "search": 2.0,
    "search_get": 0.8,
    "create": 4.5,
    "bulk_create": 4.5,
    "launch": 2.0,
    "list": 1.0,
    "list_v0": 20.0,
    "show": 2.0,
    "change": 1.0,
    "bulk_state": 4.0,
    "destroy": 3.0,
    "bulk_destroy": 3.0,
    "reboot": 1.0,
    "recycle": 1.0,
    "bid": 5.5,
    "logs": 1.5,
    "execute": 1.5,
    "prepay": 2.0,
    "update_template": 2.0,
    "balance": 3.0,
    "price_increases": 2.0,
    "price_increase_accept": 2.0,
    "price_increase_reject": 2.0,
    "ssh_list": 2.0,
    "ssh_attach": 2.0,
    "ssh_detach": 2.0,
    "account_ssh": 1.0,
    "account_ssh_add": 1.0,
    "account_ssh_change": 1.0,
    "account_ssh_delete": 1.0,
    "apikeys": 1.0,
    "apikey_create": 2.0,
    "apikey_delete": 2.0,
    "secrets": 5.0,
    "secret_write": 3.0,
    "templates": 1.9,
    "template_create": 1.9,
    "template_update": 1.9,
    "template_delete": 2.0,
    "endpoints": 3.0,
    "endpoint": 2.0,
    "endpoint_create": 4.0,
    "endpoint_update": 2.0,
    "endpoint_delete": 3.0,
    "workergroups": 2.0,
    "workergroup_create": 4.0,
    "workergroup_update": 2.0,
    "workergroup_delete": 3.0,
    "workergroups_list": 2.0,
    "workergroups_create": 2.0,
    "workergroups_update": 2.0,
    "workergroups_delete": 2.0,
    "spend_rate": 2.0,
    "charges": 1.0,
    "invoices": 3.0,
    "user_update": 5.0,
    "audit_logs": 2.0,
}
_MOST_REMEMBERED = 10_000
_DAY_S = 86_400


@dataclass(frozen=True)
class TooMany:
    """One 429. ``body`` is JSON, or a str where the answer is plain text."""

    body: dict[str, Any] | str
    headers: Mapping[str, str] = field(default_factory=dict)


def too_many(form: str, threshold_s: float, wait_s: float, epoch: float) -> TooMany:
    """The 429 of ``form``; ``epoch`` is the wall's time, for ``X-RateLimit-Reset``."""
    said = f"{TOO_OFTEN} endpoint threshold={threshold_s:g}"
    if form == "detail":
        return TooMany({"detail": said})
    if form == "msg":
        return TooMany({"success": False, "error": "rate_limit_exceeded", "msg": said})
    if form == "text":
        return TooMany(f"{TOO_OFTEN}: endpoint threshold={threshold_s:g}")
    return _bucket(wait_s, epoch)


def _bucket(wait_s: float, epoch: float) -> TooMany:
    wait = max(math.ceil(wait_s), 1)
    body = {
        "error": "HTTPTooManyRequests",
        "msg": TOO_OFTEN,
        "retry_after": wait,
        "limit": 1,
        "remaining": 0,
    }
    headers = {
        "Retry-After": str(wait),
        "X-RateLimit-Limit": "1",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(math.ceil(epoch) + wait),
    }
    return TooMany(body, headers)


class RateLimits:
    """Asked before every call. ``now`` is monotonic, ``wall`` epoch seconds; both real.

    ``form`` is one of FORMS; ``searches_a_day`` limits searches until midnight UTC, None: freely.
    """

    def __init__(
        self,
        *,
        form: str,
        now: Callable[[], float],
        wall: Callable[[], float],
        thresholds_s: Mapping[str, float] = THRESHOLDS_S,
        searches_a_day: int | None = None,
    ) -> None:
        if form not in FORMS:
            raise ValueError(f"{form!r} is no form of a rate limit; use one of {', '.join(FORMS)}.")
        self._form = form
        self._now = now
        self._wall = wall
        self._thresholds_s = thresholds_s
        self._searches_a_day = searches_a_day
        self._lock = threading.Lock()
        self._allowed_at: dict[tuple[str, str], float] = {}
        self._searches: dict[str, tuple[int, int]] = {}

    def check(self, call: str, identity: str) -> TooMany | None:
        """None where the call may be made, and is counted; else the answer it gets."""
        with self._lock:
            return self._too_often(call, identity) or self._over_quota(call, identity)

    def _too_often(self, call: str, identity: str) -> TooMany | None:
        threshold = self._thresholds_s.get(call, 0.0)
        if threshold <= 0:
            return None
        now, key = self._now(), (call, identity)
        wait = self._allowed_at.get(key, now) - now
        if wait > 0:
            return too_many(self._form, threshold, wait, self._wall())
        if len(self._allowed_at) >= _MOST_REMEMBERED:
            self._allowed_at = {k: at for k, at in self._allowed_at.items() if at > now}
        self._allowed_at[key] = now + threshold
        return None

    def _over_quota(self, call: str, identity: str) -> TooMany | None:
        if self._searches_a_day is None or call not in ("search", "search_get"):
            return None
        today = int(self._wall() // _DAY_S)
        day, count = self._searches.get(identity, (today, 0))
        if day != today:
            count = 0
        if count >= self._searches_a_day:
            body = {"error": "search_quota_exceeded", "msg": "Daily search quota exceeded"}
            return TooMany(body, {"X-RateLimit-Reset": str((today + 1) * _DAY_S)})
        self._searches[identity] = (today, count + 1)
        return None
