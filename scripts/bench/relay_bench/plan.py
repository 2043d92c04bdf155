"""How much load, how long, how often. Pure values."""

from __future__ import annotations

from dataclasses import dataclass

CONNECTIONS = 32
"""Connections of the unary load."""
WARM_UP_ANSWERS = 50
"""Answers read on each connection before anything is measured."""
MEMORY_AT = 1000
"""Open streams at which memory is read."""
LATENCY_AT = 500
"""Open streams at which time to first byte is compared."""


@dataclass(frozen=True)
class StreamLoad:
    """Streams opened over ``ramp_ms``, each of ``events`` events ``interval_us`` apart."""

    streams: int
    events: int
    interval_us: int
    ramp_ms: int

    @property
    def length_s(self) -> float:
        """Seconds one stream lasts when nothing delays it."""
        return self.events * self.interval_us / 1e6

    @property
    def all_open_s(self) -> float:
        """Seconds after the start when all streams are open: memory is read."""
        return self.ramp_ms / 1e3 + 0.1

    @property
    def window_s(self) -> tuple[float, float]:
        """Seconds after the start between which all streams are open: CPU per event is taken
        there, so that opening them, which is another figure, does not count."""
        return self.ramp_ms / 1e3 + 0.3, self.length_s - 0.05

    @property
    def timeout_s(self) -> float:
        """Seconds until the rest is given up: a candidate that queues streams is not waited for."""
        return self.ramp_ms / 1e3 + 1.3 * self.length_s + 1.0


@dataclass(frozen=True)
class Profile:
    """One way to run: ``unary_s`` whole seconds of unary load (wrk counts no fractions);
    ``patience_s`` may be spent on waiting for near CPUs and repeating measurements."""

    name: str
    rounds: int
    unary_s: int
    loads: tuple[StreamLoad, ...]
    settle_s: float
    patience_s: float


def _loads(seconds: float, ramp_ms: int) -> tuple[StreamLoad, ...]:
    """5,000 events/s in 100 streams, 10,000 in 500 and in 1,000: the speed of language models."""
    return tuple(
        StreamLoad(streams, round(seconds * 1e6 / interval_us), interval_us, ramp_ms)
        for streams, interval_us in ((100, 20_000), (500, 50_000), (1000, 100_000))
    )


QUICK = Profile("quick", 1, unary_s=1, loads=_loads(2.0, 600), settle_s=0.1, patience_s=45)
FULL = Profile("full", 9, unary_s=2, loads=_loads(3.0, 1000), settle_s=0.2, patience_s=900)
