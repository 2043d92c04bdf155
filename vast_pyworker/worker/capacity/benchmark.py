"""How much work a second this model does on this machine, by asking it for some.

What is here: rounds of real requests against the model server, timed until the last byte of the
last answer, and what may be concluded from them. What is not: a single request
(``benchmark_call``), the file of earlier results (``benchmark_cache``), when to measure and what
follows (``lifecycle``), and noticing that a result has become wrong (``drift``).

A capacity is a promise to the autoscaler, so there is none rather than a wrong one: failures,
zeros and absurdities raise, and nothing here ever returns 0.
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vast_pyworker.errors import BenchmarkFailed, SettingError
from vast_pyworker.worker.modelserver.asking import address_of

from .benchmark_cache import BenchmarkCache, Entry, Subject, believable, key_of
from .benchmark_call import Caller, NotYet

TOLERATED_FAILURES = 0.25
FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 2.0

Payload = Mapping[str, Any]


def _unsettled(payload: Payload, tail: bytes) -> None:
    """The answer says nothing about its work: the estimate stands."""


@dataclass(frozen=True)
class BenchmarkSpec:
    """What to ask, and what an answer is worth.

    ``url`` is absolute (or ``unix:/socket:/path``). Request number i gets ``payloads[i % n]``;
    it is worth ``settle(payload, last 8 KiB of the answer)`` units, or where that is None
    ``workload(payload)``. A round is ``concurrency`` requests at once; ``runs`` rounds are
    measured, after one request that is not. One request may take ``timeout_s``; the server has
    ``boot_grace_s`` to begin to answer at all.
    """

    url: str
    payloads: tuple[Payload, ...]
    workload: Callable[[Payload], float]
    settle: Callable[[Payload, bytes], float | None] = _unsettled
    concurrency: int = 1
    runs: int = 3
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 120.0
    boot_grace_s: float = 60.0
    unit: str = "units"


@dataclass(frozen=True)
class Measured:
    """A capacity: ``max_perf`` units of work a second, the median of ``runs``, one a round."""

    max_perf: float
    unit: str
    from_cache: bool
    runs: tuple[float, ...]


@dataclass(frozen=True)
class _Round:
    perf: float
    asked: int
    failures: tuple[BenchmarkFailed, ...]


class Benchmark:
    """Measures, and remembers what was measured on the same ``subject`` in the same way.

    ``subject`` is asked at each measurement; without it, or without a cache, nothing is kept.
    """

    def __init__(
        self,
        cache: BenchmarkCache | None = None,
        subject: Callable[[], Subject] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cache = cache
        self._subject = subject
        self._clock = clock
        self._cancelled = threading.Event()
        self._callers: tuple[Caller, ...] = ()

    def measure(self, spec: BenchmarkSpec, now: float) -> Measured:
        """The capacity, from the cache or from the model; ``now`` in Unix seconds.

        Blocks for at most ``boot_grace_s`` and ``runs + 1`` times ``timeout_s``. Raises
        BenchmarkFailed, whose text names the first cause, when no capacity can be believed.
        """
        self._cancelled.clear()
        known = self._known(spec)
        if known is not None:
            return Measured(known.max_perf, known.unit, True, known.runs)
        bodies = _bodies(spec)
        self._callers = tuple(self._caller(spec) for _ in range(max(1, spec.concurrency)))
        try:
            self._warm_up(spec, bodies[0])
            rounds = self._rounds(spec, bodies)
        finally:
            for caller in self._callers:
                caller.close()
        measured = _concluded(rounds, spec)
        self._keep(spec, measured, now)
        return measured

    def forget(self, spec: BenchmarkSpec) -> None:
        """Make the next ``measure`` ask the model: what is known has proved wrong."""
        if self._cache is not None and self._subject is not None:
            self._cache.invalidate(self._key(spec, self._subject()))

    def cancel(self) -> None:
        """Make the ``measure`` under way raise BenchmarkFailed at once. From any thread."""
        self._cancelled.set()
        for caller in self._callers:
            caller.abort()

    def _caller(self, spec: BenchmarkSpec) -> Caller:
        return Caller(spec.url, headers=spec.headers, timeout_s=spec.timeout_s, clock=self._clock)

    def _warm_up(self, spec: BenchmarkSpec, body: bytes) -> None:
        """One request that does not count; waits for a port that is not open yet."""
        give_up_at = self._clock() + spec.boot_grace_s
        delay_s = FIRST_DELAY_S
        while True:
            self._go_on()
            try:
                self._callers[0].ask(body)
                return
            except BenchmarkFailed as exc:
                self._go_on()
                may_come = isinstance(exc, NotYet) and self._clock() + delay_s <= give_up_at
                if not may_come:
                    raise BenchmarkFailed(
                        f"The benchmark's first request failed, because {exc}: see the model's "
                        "log, or correct the payloads."
                    ) from exc
            self._cancelled.wait(delay_s)
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)

    def _rounds(self, spec: BenchmarkSpec, bodies: Sequence[bytes]) -> list[_Round]:
        """As many rounds as are asked for, or fewer when too much has failed to go on."""
        rounds: list[_Round] = []
        count = max(1, spec.runs)
        tolerated = TOLERATED_FAILURES * count * len(self._callers)
        while len(rounds) < count and sum(len(each.failures) for each in rounds) <= tolerated:
            rounds.append(self._round(spec, bodies, len(rounds)))
        return rounds

    def _round(self, spec: BenchmarkSpec, bodies: Sequence[bytes], number: int) -> _Round:
        results: list[float | BenchmarkFailed] = [0.0] * len(self._callers)

        def ask(slot: int) -> None:
            index = (number * len(self._callers) + slot) % len(bodies)
            try:
                tail = self._callers[slot].ask(bodies[index])
                results[slot] = _worth(spec, spec.payloads[index], tail)
            except BenchmarkFailed as exc:
                results[slot] = exc

        threads = [
            threading.Thread(target=ask, args=(slot,), name=f"benchmark-{slot}", daemon=True)
            for slot in range(len(self._callers))
        ]
        began_at = self._clock()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wall_s = self._clock() - began_at
        self._go_on()
        failures = tuple(each for each in results if isinstance(each, BenchmarkFailed))
        work = sum(each for each in results if isinstance(each, float))
        return _Round(work / wall_s if wall_s > 0 else math.inf, len(results), failures)

    def _go_on(self) -> None:
        if self._cancelled.is_set():
            raise BenchmarkFailed("The benchmark was cancelled: measure again when it matters.")

    def _known(self, spec: BenchmarkSpec) -> Entry | None:
        if self._cache is None or self._subject is None:
            return None
        return self._cache.get(self._key(spec, self._subject()))

    def _keep(self, spec: BenchmarkSpec, measured: Measured, now: float) -> None:
        if self._cache is not None and self._subject is not None:
            entry = Entry(measured.max_perf, measured.unit, measured.runs, now)
            self._cache.put(self._key(spec, self._subject()), entry)

    def _key(self, spec: BenchmarkSpec, subject: Subject) -> str:
        payloads = hashlib.sha256(b"\n".join(_bodies(spec))).hexdigest()
        return key_of(
            subject,
            payloads=payloads,
            route=address_of(spec.url).target,
            concurrency=spec.concurrency,
            unit=spec.unit,
        )


def read_payloads(path: Path) -> tuple[dict[str, Any], ...]:
    """The objects of a JSON Lines file, blank lines left out; raises SettingError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingError(
            f"BENCHMARK_PAYLOADS cannot be read: {exc}. Correct or unset it."
        ) from exc
    return tuple(
        _object(path, number, line) for number, line in enumerate(lines, 1) if line.strip()
    )


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except ValueError as exc:
        told = exc
    if not isinstance(told, dict):
        raise SettingError(
            f"Line {number} of {path} (BENCHMARK_PAYLOADS) is not a JSON object: correct it."
        )
    return told


def _bodies(spec: BenchmarkSpec) -> list[bytes]:
    if not spec.payloads:
        raise BenchmarkFailed(
            "There is nothing to measure with: give the backend a benchmark_payload() or set "
            "BENCHMARK_PAYLOADS."
        )
    try:
        return [json.dumps(dict(each)).encode() for each in spec.payloads]
    except (TypeError, ValueError) as exc:
        raise BenchmarkFailed(f"A benchmark payload is not JSON ({exc}): correct it.") from exc


def _worth(spec: BenchmarkSpec, payload: Payload, tail: bytes) -> float:
    try:
        settled = spec.settle(payload, tail)
        return float(spec.workload(payload) if settled is None else settled)
    except Exception as exc:  # calculators are a fork's code: what they raise is a failed request
        raise BenchmarkFailed(f"its work cannot be told ({exc!r})") from exc


def _concluded(rounds: Sequence[_Round], spec: BenchmarkSpec) -> Measured:
    """The median of the rounds, if enough was answered and the number can be believed."""
    failures = [failure for each in rounds for failure in each.failures]
    asked = sum(each.asked for each in rounds)
    if len(failures) > TOLERATED_FAILURES * asked:
        raise BenchmarkFailed(
            f"{len(failures)} of {asked} benchmark requests failed, the first because "
            f"{failures[0]}: see the model's log, or lower BENCHMARK_CONCURRENCY."
        )
    runs = tuple(each.perf for each in rounds)
    try:
        max_perf = believable(statistics.median(runs))
    except ValueError as exc:
        raise BenchmarkFailed(
            f"The benchmark of {spec.url} gives no number to go by ({exc}): correct the "
            "backend's workload() or the payloads."
        ) from exc
    return Measured(max_perf, spec.unit, False, runs)
