"""The measures of the loop: its ticks, its restarts, and what it does when half of a fleet dies.

Each scene runs in a process of its own, on the CPU for what is measured.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from statistics import median
from typing import Any

from relay_bench.cpu import on_cpus
from relay_bench.processes import run_bounded
from relay_bench.table import number

from .program import BENCH, Site
from .shapes import Profile, Say, Table, Target

ENDS_S = 900.0
TICK_MS, ADOPT_MS = 100.0, 5_000.0
_EARS = {"fake": "fake ears", "real": "the switchboard"}
_DEATHS = {
    "vanish": "half of each group vanishes at once",
    "spread": "a tenth vanishes every third tick, five times",
    "hush": "half of each group falls silent at once",
}


def tick(site: Site, profile: Profile, say: Say) -> Table:
    """A steady state: everything is ready and nothing has to be done."""
    rows, targets = [], []
    for workers in profile.fleets:
        for ears, title in _EARS.items():
            told = _scene(site, "tick", workers, profile.groups, f"{ears}:{profile.ticks}")
            wall = _column(told, "wall_ms")
            own_mb = told["memory_mb"] - told["memory_fake_mb"]
            rows.append((
                f"{workers:,}, {title}",
                *map(number, (median(wall), max(wall))),
                *map(number, (median(_column(told, "cpu_ms")), max(_column(told, "cpu_ms")))),
                *map(number, (median(_column(told, "list_ms")), median(_column(told, "hear_ms")))),
                number(median(told["yardstick_ms"])), number(told["memory_mb"]),
                number(own_mb * 1000 / workers), str(told["changes"]),
            ))  # fmt: skip
            say(f"tick, {workers:,} workers by {title}: {number(median(wall))} ms")
        targets.append(Target(
            f"every tick under {TICK_MS:.0f} ms, {workers:,} workers by the switchboard",
            f"p50 {number(median(wall))} ms, most {number(max(wall))} ms", max(wall) < TICK_MS,
        ))  # fmt: skip
    header = (
        "workers, heard by", "p50 ms", "most ms", "CPU p50 ms", "CPU most ms", "fake list ms",
        "hearings ms",
        "yardstick ms", "memory MB", "grown by the loop, kB each", "changes",
    )  # fmt: skip
    title = f"A tick in a steady state, {profile.ticks} of them, {profile.groups} groups; {_YARD}:"
    return Table(title, header, tuple(rows), tuple(targets))


def adopt(site: Site, profile: Profile, say: Say) -> Table:
    """From ``Ledger.open`` to the end of the first tick, the list being there at once."""
    workers = max(profile.fleets)
    told = _scene(site, "adopt", workers, profile.groups, str(profile.restarts))
    rows, targets = [], []
    yard = median(told["yardstick_ms"])
    for key, title in (("with", "with its ledger"), ("without", "from labels, the ledger lost")):
        each = told[key]
        all_ms = [start["all_ms"] for start in each]
        parts = [median(start[name] for start in each) for name in ("open_ms", "tick_ms")]
        found = min(start["members"] for start in each)
        changes = sum(start["changes"] for start in each)
        figures = (*parts, median(all_ms), max(all_ms), yard)
        rows.append((title, *map(number, figures), f"{found:,}", str(changes)))
        say(f"adopt, {title}: {number(median(all_ms))} ms")
        targets.append(Target(
            f"restart under {ADOPT_MS / 1000:.0f} s plus paging, {workers:,} workers, {title}",
            f"{max(all_ms) / 1000:.2f} s, {found:,} found, {changes} changed",
            max(all_ms) < ADOPT_MS and found == workers and not changes,
        ))  # fmt: skip
    header = (
        "restart", "open ms", "first tick ms", "both p50 ms", "most ms", "yardstick ms", "found",
        "changes",
    )  # fmt: skip
    title = (
        f"A restart at {workers:,} workers, {profile.restarts} of each kind, without the "
        "provider's paging; the yardstick: 10,000 rows into plain SQLite and back:"
    )
    return Table(title, header, tuple(rows), tuple(targets))


def deathwave(site: Site, profile: Profile, say: Say) -> Table:
    """Half of the fleet dies. The brake holds where more than a fifth of a group goes bad within
    five minutes, those proven gone counted, at once or in waves."""
    workers = max(profile.fleets)
    rows, targets = [], []
    for kind, title in _DEATHS.items():
        told = _scene(site, "deathwave", workers, profile.groups, kind)
        row, held = _death(told)
        rows.append((title, *row))
        say(f"deathwave, {title}: most {row[1]} ms")
        if kind != "spread":
            what = f"nothing is changed while the brake holds, {title}"
            targets.append(Target(what, f"{held} changes", held == 0))
        else:
            braked = sum(each["braked"] > 0 for each in told["ticks"])
            what = f"the brake holds where {title}"
            targets.append(Target(what, f"{braked} ticks braked", braked > 0))
    header = (
        "what happens", "tick p50 ms", "most ms", "CPU most ms", "yardstick ms", "ticks",
        "of them braked", "work put aside", "most in a tick", "s to do it", "calls",
    )  # fmt: skip
    title = (
        f"{workers // 2:,} of {workers:,} die, a tick every 5 s until all is replaced, of the "
        f"silent until the brake is off; {_YARD}; one synced commit of plain SQLite: "
        f"{number(told['commit_ms'])} ms:"
    )
    return Table(title, header, tuple(rows), tuple(targets))


def _death(told: dict[str, Any]) -> tuple[tuple[str, ...], int]:
    """A row, and how many calls changed something in ticks that were braked in every group."""
    ticks = told["ticks"]
    wall, cpu, aside = (_column(told, name) for name in ("wall_ms", "cpu_ms", "aside"))
    pairs = zip([{"changes": 0}, *ticks], ticks, strict=False)
    held = sum(now["changes"] - before["changes"] for before, now in pairs if now["braked"])
    braked = sum(each["braked"] > 0 for each in ticks)
    named = ", ".join(f"{count:,} {call}" for call, count in sorted(told["calls"].items()))
    row = (
        *map(number, (median(wall), max(wall), max(cpu), median(told["yardstick_ms"]))),
        str(len(ticks)), str(braked), f"{sum(aside):,}", f"{max(aside):,}",
        number(sum(_column(told, "aside_ms")) / 1000), named,
    )  # fmt: skip
    return row, held


def _column(told: dict[str, Any], name: str) -> Sequence[Any]:
    return [each[name] for each in told["ticks"]]


def _scene(site: Site, scene: str, workers: int, groups: int, word: str) -> dict[str, Any]:
    folder = site.folder / f"{scene}-{workers}-{word.replace(':', '-')}"
    folder.mkdir()
    path = os.pathsep.join((str(BENCH), str(BENCH.parent.parent)))
    command = ["env", f"PYTHONPATH={path}", sys.executable, "-m", "controller_bench.apps.fleet"]
    arguments = [scene, str(folder), str(workers), str(groups), word]
    with on_cpus(site.pins.candidate):
        told: dict[str, Any] = json.loads(run_bounded([*command, *arguments], timeout_s=ENDS_S))
    return told


_YARD = "the yardstick: 10,000 small frozen objects made, kept and sorted in plain Python"
