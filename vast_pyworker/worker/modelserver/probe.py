"""Asks the model server whether it is well, and tells apart the ways in which it is not.

What is here: one question and its answer, and the judgement of many answers in a row. What is
not: when to ask and what follows (``lifecycle``).

A port that refuses, a server that is slow and a server that says no are three different troubles:
while a model loads, a closed port is no trouble at all; while one serves, slowness is not either,
as long as work gets done.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from http.client import HTTPException

from .asking import Address, address_of, ask, connect

PATIENCE_S = 120.0


class Verdict(str, Enum):
    OK = "ok"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    BAD_STATUS = "bad_status"
    BROKEN = "broken"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class ProbeResult:
    """One answer. ``status`` is the HTTP status or None where there was none."""

    verdict: Verdict
    detail: str
    status: int | None = None
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return self.verdict is Verdict.OK

    @property
    def port_open(self) -> bool | None:
        """Whether somebody listens; None: a silence can mean either."""
        if self.verdict is Verdict.TIMEOUT:
            return None
        return self.verdict is not Verdict.REFUSED


Probe = Callable[[], ProbeResult]


def health_probe(url: str, timeout_s: float) -> Probe:
    """A probe that is well when ``GET url`` answers with a status below 400 in time."""
    address = address_of(url)

    def probe() -> ProbeResult:
        return _timed(lambda: _judge(ask(address, timeout_s)), timeout_s)

    return probe


def port_probe(url: str, timeout_s: float) -> Probe:
    """A probe that is well when the server of ``url`` accepts a connection."""
    address = address_of(url)

    def probe() -> ProbeResult:
        return _timed(lambda: _connected(address, timeout_s), timeout_s)

    return probe


def with_health_hook(first: Probe | None, healthy: Callable[[], bool]) -> Probe:
    """``first``, and once that is well, the backend's own ``health()``."""

    def probe() -> ProbeResult:
        result = first() if first else ProbeResult(Verdict.OK, "there is nothing else to ask")
        return _ask_backend(healthy) if result.ok else result

    return probe


class Pulse:
    """What many probes in a row amount to. Pure.

    ``failures`` and ``successes`` are consecutive; ``failures_total`` is not. A server that is
    slow while work gets done is not failing, for however long; one that says no while work gets
    done (a full queue, say) is not for ``patience_s`` seconds.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self.last: ProbeResult | None = None
        self.failures = 0
        self.successes = 0
        self.failures_total = 0
        self._patience_s = patience_s
        self._unwell_since: float | None = None

    def note(self, result: ProbeResult, now: float, *, advancing: bool) -> None:
        """Take one answer in. ``advancing``: work was got done since the one before."""
        self.last = result
        if result.ok:
            self.failures, self.successes, self._unwell_since = 0, self.successes + 1, None
            return
        self.successes = 0
        self.failures_total += 1
        if self._unwell_since is None:
            self._unwell_since = now
        if not (advancing and self._is_excused(result, now)):
            self.failures += 1

    def forget(self) -> None:
        """Start counting anew: what is probed is another process now."""
        self.failures = self.successes = 0
        self.last = self._unwell_since = None

    def _is_excused(self, result: ProbeResult, now: float) -> bool:
        if result.verdict is Verdict.TIMEOUT:
            return True
        since = self._unwell_since if self._unwell_since is not None else now
        return result.verdict is Verdict.BAD_STATUS and now - since < self._patience_s


def _timed(attempt: Callable[[], ProbeResult], timeout_s: float) -> ProbeResult:
    began = time.perf_counter()
    try:
        result = attempt()
    except TimeoutError:
        result = ProbeResult(Verdict.TIMEOUT, f"no answer within {timeout_s:g} s")
    except (ConnectionRefusedError, FileNotFoundError):  # the latter: no Unix socket yet
        result = ProbeResult(Verdict.REFUSED, "nobody listens on its port")
    except (OSError, HTTPException) as exc:
        result = ProbeResult(Verdict.BROKEN, f"the connection broke ({exc or type(exc).__name__})")
    return ProbeResult(result.verdict, result.detail, result.status, time.perf_counter() - began)


def _judge(status: int) -> ProbeResult:
    verdict = Verdict.OK if status < 400 else Verdict.BAD_STATUS
    return ProbeResult(verdict, f"its health check says {status}", status)


def _connected(address: Address, timeout_s: float) -> ProbeResult:
    connect(address, timeout_s).close()
    return ProbeResult(Verdict.OK, "its port is open")


def _ask_backend(healthy: Callable[[], bool]) -> ProbeResult:
    try:
        well = healthy()
    except Exception as exc:  # the hook is foreign code: whatever it raises means unwell
        return ProbeResult(Verdict.BROKEN, f"health() raised {type(exc).__name__}: {exc}")
    if well:
        return ProbeResult(Verdict.OK, "health() says that it is well")
    return ProbeResult(Verdict.BAD_STATUS, "health() says that it is not well")
