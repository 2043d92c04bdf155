"""What can be measured, by name. A measure is a function of a Site and a Profile to rows.

Another is added by a function here or in a module of its own, and a line in ``MEASURES``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from relay_bench.cpu import on_cpus
from relay_bench.table import number

from vast_pyworker.controller.traffic.native import ROUTE_PATH
from vast_pyworker.wire import REPORT_PATH

from . import cost, messages
from .looping import adopt, deathwave, tick
from .program import Load, Measured, Program, Site, running
from .shapes import Profile, Say, Table, Target

PACED_CONNECTIONS, PACED_PAUSE_MS = 56, 5  # 10,000 a second where an answer takes 0.6 ms


Measure = Callable[[Site, Profile, Say], Table]
_LOAD_HEADER = ("load", "answers/s", "p50 us", "p99 us", "CPU us each", "errors")


def _row(name: str, seen: Measured) -> tuple[str, ...]:
    figures = (seen.requests_per_s, seen.p50_us, seen.p99_us, seen.cpu_us)
    return (name, *map(number, figures), str(seen.errors))


def limits(site: Site, profile: Profile, say: Say) -> Table:
    """The machine's own loopback, with the load that the reports make."""
    bodies = list(messages.reports(1_000))
    plain = Load(REPORT_PATH, seconds=profile.seconds)
    with running(site, "bare", "0", "0") as program:
        rows = [_row("bare loopback: bytes in, bytes out", program.load(plain, bodies))]
        rows.append(_row("bare loopback, paced", *_paced(profile, bodies, program)))
    with running(site, "constant", "0", "0") as program:
        rows.append(_row("the same engine, a constant", program.load(plain, bodies)))
        rows.append(_row("the same engine, paced", *_paced(profile, bodies, program)))
        fresh = program.load(replace(plain, close=True), bodies)
        rows.append(_row("the same engine, a connection each", fresh))
    say(f"limits: {rows[0][1]}/s bare, {rows[2][1]}/s by the engine")
    title = "The machine's own limit, 32 connections (paced: 56):"
    return Table(title, _LOAD_HEADER, tuple(rows))


def reports(site: Site, profile: Profile, say: Say) -> Table:
    """Reports taken in: as fast as they come, then at a pace of 10,000 a second, in turn with the
    same load on a constant, because neighbours of the machine make the greater part of a p99."""
    rows, targets = [], []
    for workers in profile.fleets:
        bodies = list(messages.reports(workers))
        with (
            running(site, "board", str(workers), str(profile.groups)) as program,
            running(site, "constant", "0", "0") as constant,
        ):
            program.send_all(REPORT_PATH, (body.replace("@@", "5") for body in bodies))
            most = program.load(Load(REPORT_PATH, seconds=profile.seconds), bodies)
            paced, beside = _paced(profile, bodies, program, constant)
            load = Load(REPORT_PATH, seconds=profile.seconds, close=True)
            fresh = program.load(load, bodies)
        rows += [
            _row(f"{workers:,} workers", most),
            _row(f"{workers:,} workers, paced", paced),
            _row("a constant, paced, at the same time", beside),
            _row(f"{workers:,} workers, a connection each", fresh),
        ]
        say(f"reports, {workers:,} workers: {number(most.requests_per_s)}/s")
        targets += [
            _at_least(f"reports/s, {workers:,} workers", most, 10_000),
            Target(
                f"p99 of a report at the pace of 10,000/s under 5 ms, {workers:,} workers",
                f"{paced.p99_us / 1000:.1f} ms at {number(paced.requests_per_s)}/s "
                f"(a constant: {beside.p99_us / 1000:.1f} ms)",
                paced.p99_us < 5_000 and paced.requests_per_s > 8_000 and not paced.errors,
            ),
        ]
    title = "Reports taken in, 32 connections (paced: 56):"
    return Table(title, _LOAD_HEADER, tuple(rows), tuple(targets))


def ingest(site: Site, profile: Profile, say: Say) -> Table:
    """CPU time of taking one report in, without HTTP; the collector's pauses are in it, and what
    neighbours of the machine take is not."""
    rows, targets = [], []
    for workers in profile.fleets:
        with on_cpus(site.pins.candidate):
            spent_us = sorted(cost.of_reports(workers, profile.groups))
        p50, p99 = (spent_us[int(len(spent_us) * part)] for part in (0.5, 0.99))
        rows.append((f"{workers:,}", *map(number, (p50, p99, spent_us[-1]))))
        say(f"ingest, {workers:,} workers: {number(p99)} us")
        what = f"CPU time of a report, p99 under 5 ms, {workers:,} workers"
        targets.append(Target(what, f"{p99 / 1000:.3f} ms", p99 < 5_000))
    header = ("workers", "p50 us", "p99 us", "most us")
    return Table("Taking a report in, CPU time:", header, tuple(rows), tuple(targets))


def _paced(profile: Profile, bodies: list[str], *programs: Program) -> list[Measured]:
    """For each program the median by p99 of some loads, the programs loaded in turn."""
    load = Load(REPORT_PATH, PACED_CONNECTIONS, profile.seconds, PACED_PAUSE_MS)
    rounds = [[each.load(load, bodies) for each in programs] for _ in range(profile.paced_loads)]
    ordered = (sorted(column, key=lambda each: each.p99_us) for column in zip(*rounds, strict=True))
    return [column[len(column) // 2] for column in ordered]


def routes(site: Site, profile: Profile, say: Say) -> Table:
    """New requests of clients, each of them granted."""
    rows, targets = [], []
    for workers in profile.fleets:
        with running(site, "board", str(workers), str(profile.groups)) as program:
            bodies = (body.replace("@@", "5") for body in messages.reports(workers))
            program.send_all(REPORT_PATH, bodies)
            program.load(Load(ROUTE_PATH, seconds=2), messages.asks(profile.groups))
            seen = program.load(
                Load(ROUTE_PATH, seconds=profile.seconds), messages.asks(profile.groups)
            )
        rows.append(_row(f"{workers:,} workers", seen))
        say(f"routes, {workers:,} workers: {number(seen.requests_per_s)}/s")
        targets.append(_at_least(f"routes/s, {workers:,} workers", seen, 5_000))
    return Table("Routes, 32 connections:", _LOAD_HEADER, tuple(rows), tuple(targets))


def memory(site: Site, profile: Profile, say: Say) -> Table:
    """The process before and after every worker has reported."""
    rows = []
    for workers in profile.fleets:
        with running(site, "board", str(workers), str(profile.groups)) as program:
            before = program.memory_mb
            bodies = (body.replace("@@", "5") for body in messages.reports(workers))
            program.send_all(REPORT_PATH, bodies)
            after = program.memory_mb
        each = (after - before) * 1000 / workers
        rows.append((f"{workers:,}", number(before), number(after), number(each)))
        say(f"memory, {workers:,} workers: {number(after)} MB")
    header = ("workers", "published, memory MB", "all have reported, memory MB", "kB each")
    return Table("Memory of the process:", header, tuple(rows))


def _at_least(what: str, seen: Measured, wanted: float) -> Target:
    met = seen.requests_per_s >= wanted and not seen.errors
    return Target(f"{what}, at least {wanted:,.0f}", f"{seen.requests_per_s:,.0f}", met)


MEASURES: dict[str, Measure] = {
    "limits": limits,
    "reports": reports,
    "ingest": ingest,
    "routes": routes,
    "memory": memory,
    "tick": tick,
    "adopt": adopt,
    "deathwave": deathwave,
}
