"""One door to the API: a session, a key in one header, pacing, retries and typed errors.

What it does: build the address, wait for the turn, send, wait where told to, read JSON, raise what
``errors`` names. What it does not: know what any call means (``instances``, ``offers``, ... do).
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests

from vast_pyworker import __version__
from vast_pyworker.errors import (
    BadAnswer,
    OutcomeUnknown,
    ProviderError,
    ProviderUnreachable,
    QuotaExceeded,
    RateLimited,
)

from . import answers
from .calls import Effect, Endpoint, checked_key, checked_url, encoded, query_value
from .pacing import Pacing
from .sending import Failed, Outgoing, Received, Timeouts, exchange

__all__ = ["Effect", "Endpoint", "Timeouts", "Transport"]

log = logging.getLogger(__name__)

_TRIES = 5
_BACKOFF_S = 0.5
_LONGEST_BACKOFF_S = 8.0
# Beside those of a gateway also 500, which a read or a repeatable call may well outlive.
_PASSING = frozenset({408, 500, 502, 503, 504, 520, 521, 522, 523, 524})


@dataclass(frozen=True)
class _Call:
    """What stays the same over all tries of one call."""

    endpoint: str
    outgoing: Outgoing
    effect: Effect
    label: str | None
    keep_refusal: bool
    until: float


class Transport:
    """Sends calls. Built by ``VastClient``; the other modules take it as their only argument.

    May be used from several threads. ``now`` is a monotonic clock, ``wall`` Unix time. Raises
    SettingError for a key or an address that cannot be used; the key is never in the text.
    """

    def __init__(
        self,
        api_key: str | None,
        base_url: str,
        *,
        session_factory: Callable[[], requests.Session] = requests.Session,
        pacing: Pacing | None = None,
        timeouts: Timeouts | None = None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        wall: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        self._key = checked_key(api_key)
        self.base_url = checked_url(base_url)
        self.now, self.sleep, self.wall = now, sleep, wall
        self.pacing = Pacing(None, now, sleep) if pacing is None else pacing
        self.timeouts = timeouts or Timeouts()
        self._rng = rng or random.Random()
        self._session_factory = session_factory
        self._session = self._new_session()

    def __repr__(self) -> str:
        return f"Transport({self.base_url!r}, key {'hidden' if self._key else 'absent'})"

    def close(self) -> None:
        """Close the connections. A later call would open new ones."""
        self._session.close()

    def call(
        self,
        endpoint: Endpoint,
        path_args: Mapping[str, object] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        json: Any = None,
        effect: Effect = "read",
        label: str | None = None,
        keep_refusal: bool = False,
        deadline_s: float | None = None,
    ) -> Any:
        """The decoded JSON of a good answer; any other raises a ``ProviderError``.

        ``path_args`` fill the braces of the path. ``query`` values: text as it is, others as JSON.
        ``json`` is the body (None sends none on GET, ``{}`` otherwise). A 200 that says
        ``success: false`` raises too (``NotFound``, ``InvalidRequest``, ``NoCredit``,
        ``ResourcesUnavailable``, ... with ``status=200``), unless ``keep_refusal``: then the
        decoded body is returned for the caller to read. ``label`` goes into ``OutcomeUnknown``.
        ``deadline_s`` bounds all tries and waits (the last try may outlast it by its timeout).
        """
        body = None if json is None and endpoint.method == "GET" else encoded(json, endpoint.key)
        outgoing = Outgoing(
            endpoint.method,
            endpoint.at(self.base_url, path_args),
            self._sign,
            {name: query_value(value) for name, value in (query or {}).items()},
            body,
        )
        until = self.now() + (self.timeouts.total_s if deadline_s is None else deadline_s)
        return self._tries(_Call(endpoint.key, outgoing, effect, label, keep_refusal, until))

    def fetch(self, url: str, *, timeout_s: float, max_body_bytes: int) -> Received | Failed:
        """One GET of an address the API named, without the key and without redirects."""
        timeouts = replace(self.timeouts, connect_s=timeout_s, read_s=timeout_s)
        outgoing = Outgoing("GET", url, _unsigned)
        return exchange(
            self._session,
            outgoing,
            timeouts,
            max_body_bytes=max_body_bytes,
            redirects=0,
            now=self.now,
        )

    def _tries(self, call: _Call) -> Any:
        failed = 0
        last: ProviderError | None = None
        while True:
            self._take_turn(call, last)
            outcome = self._exchange(call)
            try:
                return self._read(call, outcome)
            except QuotaExceeded:
                raise
            except RateLimited as error:
                self._learn(call.endpoint, error, outcome)
                last = error
            except (ProviderUnreachable, BadAnswer) as error:
                failed += 1
                if failed >= _TRIES or not _worth_another_try(call, outcome, error):
                    raise
                self._back_off(call, failed, error, outcome)
                last = error

    def _exchange(self, call: _Call) -> Received | Failed:
        """``once`` goes on a connection of its own: a kept one may be closed by the server in the
        very moment it is used, and then nobody knows whether the request was read."""
        if call.effect != "once":
            return exchange(self._session, call.outgoing, self.timeouts, now=self.now)
        with self._new_session() as session:
            return exchange(session, call.outgoing, self.timeouts, now=self.now)

    def _new_session(self) -> requests.Session:
        session = self._session_factory()
        session.headers["User-Agent"] = f"vast-pyworker/{__version__}"
        session.headers["Accept"] = "application/json"
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        return session

    def _take_turn(self, call: _Call, last: ProviderError | None) -> None:
        wait_s = self.pacing.wait_s(call.endpoint)
        if self.pacing.wait(call.endpoint, call.until) is not None:
            return
        if last is not None:
            raise last
        error = RateLimited(
            f"{call.endpoint} has its next turn in {wait_s:.1f} s, after the deadline of this "
            "call; call less often or allow more time.",
            endpoint=call.endpoint,
        )
        error.retry_after_s = wait_s
        raise error

    def _read(self, call: _Call, outcome: Received | Failed) -> Any:
        """The value of an answer; of one that leaves open what was done, OutcomeUnknown."""
        if isinstance(outcome, Failed):
            if call.effect == "once" and outcome.sent:
                raise _outcome_unknown(call, outcome.reason)
            raise ProviderUnreachable(
                f"Vast could not be asked for {call.endpoint}: {outcome.reason}; try again later.",
                endpoint=call.endpoint,
            )
        if 300 <= outcome.status < 400:
            return self._refuse_redirect(call, outcome)
        try:
            return answers.decoded(
                outcome.status,
                outcome.headers,
                self._without_key(outcome),
                call.endpoint,
                keep_refusal=call.keep_refusal,
                wall_now=self.wall(),
            )
        except (ProviderUnreachable, BadAnswer) as error:
            if call.effect != "once":
                raise
            raise _outcome_unknown(call, f"HTTP {outcome.status}", outcome.status) from error

    def _refuse_redirect(self, call: _Call, outcome: Received) -> None:
        if call.effect == "once":
            raise _outcome_unknown(call, f"HTTP {outcome.status}", outcome.status)
        to = urlsplit(outcome.headers.get("Location") or "")
        raise BadAnswer(
            f"{call.endpoint} is redirected ({outcome.status}) to {to.scheme}://{to.hostname}, "
            f"which must not see the key; check the address {self.base_url}.",
            status=outcome.status,
            endpoint=call.endpoint,
        )

    def _learn(self, endpoint: str, error: RateLimited, outcome: Received | Failed) -> None:
        threshold_s = answers.threshold_s(outcome.body) if isinstance(outcome, Received) else None
        if threshold_s:  # "0" after a refusal is no word
            self.pacing.learn(endpoint, threshold_s)
        if not threshold_s or error.retry_after_s is not None:
            self.pacing.postpone(endpoint, error.retry_after_s)
        log.info("Vast asks to wait %.1f s for %s.", self.pacing.wait_s(endpoint), endpoint)

    def _back_off(
        self, call: _Call, failed: int, error: ProviderError, outcome: Received | Failed
    ) -> None:
        """Sleep with full jitter, or as long as the answer says; raises where that is too long."""
        longest_s = min(_LONGEST_BACKOFF_S, _BACKOFF_S * 2 ** (failed - 1))
        wait_s = self._rng.uniform(0.0, longest_s)
        if isinstance(outcome, Received):
            said_s = answers.retry_after_s(outcome.headers, None, self.wall())
            wait_s = wait_s if said_s is None else said_s
        if self.now() + wait_s > call.until:
            raise error
        log.info("Trying %s again in %.1f s: %s", call.endpoint, wait_s, error)
        self.sleep(wait_s)

    def _without_key(self, outcome: Received) -> bytes:
        """Errors quote what the server says, and it may repeat the key."""
        if not self._key or 200 <= outcome.status < 300:
            return outcome.body
        return outcome.body.replace(self._key.encode(), b"(the key)")

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def _worth_another_try(call: _Call, outcome: Received | Failed, error: ProviderError) -> bool:
    """``once`` gets here only where nothing was sent."""
    if isinstance(outcome, Failed) or call.effect == "once":
        return True
    if isinstance(error, BadAnswer):  # a text that broke off, say; a redirect stays one
        status = outcome.status
        return status < 300 or (status >= 400 and answers.broke_off(outcome.body))
    return outcome.status in _PASSING


def _outcome_unknown(call: _Call, reason: str, status: int | None = None) -> OutcomeUnknown:
    remedy = f"look the label {call.label} up" if call.label else "read what is there"
    return OutcomeUnknown(
        f"It is not known whether {call.endpoint} was done ({reason}); "
        f"{remedy} before trying again.",
        label=call.label,
        status=status,
        endpoint=call.endpoint,
    )


def _unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
