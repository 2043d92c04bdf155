"""Runs made up of plain numbers."""

from __future__ import annotations

from relay_bench.results import Run, Streams, Unary, Visit


def unary(cpu_s: float | None = 1.0, requests: int = 10_000, ns: float | None = None) -> Unary:
    return Unary(requests, 1.0, 0, 100.0, 200.0, cpu_s, ns)


def streams(
    count: int = 500,
    cpu_s: float | None = 0.01,
    *,
    failed: int = 0,
    ttfb_p99_us: float = 300.0,
    memory_mb: float | None = None,
    ns: float | None = None,
) -> Streams:
    """1,000 events in the window, so that ``cpu_s`` of 0.01 is 10 CPU seconds a million."""
    return Streams(
        streams=count,
        done=count - failed,
        failed=failed,
        unfinished=0,
        events=2_000,
        seconds=1.0,
        ttfb_p50_us=100.0,
        ttfb_p99_us=ttfb_p99_us,
        event_p99_us=50.0,
        window_events=1_000,
        window_cpu_s=cpu_s,
        cpu_s=cpu_s,
        memory_mb=memory_mb,
        distance_ns=ns,
    )


def visit(cpu_s: float | None = 1.0, ns: float | None = None, **more: Streams) -> Visit:
    """``more`` is keyed like ``s500``."""
    by_count = {name.removeprefix("s"): each for name, each in more.items()}
    return Visit(unary(cpu_s, ns=ns), None, by_count)


def run(*rounds: dict[str, Visit], failures: dict[str, str] | None = None) -> Run:
    return Run("quick", "2030-01-01 00:00 UTC", {"cpu": "one"}, tuple(rounds), failures or {})
