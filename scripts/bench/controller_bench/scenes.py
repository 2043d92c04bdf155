"""What is done with a world: ticks in a steady state, restarts, deaths. Each gives plain data."""

from __future__ import annotations

import gc
import os
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from relay_bench.cpu import tree_memory_mb

from vast_pyworker.controller.deciding import by_group
from vast_pyworker.controller.planning.brake import braked
from vast_pyworker.model import Stage

from . import yardstick
from .world import EVERY_S, Ticked, Ticker, Words, World

WARM_TICKS = 5
WAVES = 5
LONGEST = 400  # ticks of one death


def steady(folder: Path, workers: int, groups: int, *, real: bool, ticks: int) -> dict[str, Any]:
    """Ticks in which nothing changes; ``real``: heard by the switchboard, not by fake ears."""
    world = World(workers, groups, folder)
    board = world.switchboard() if real else None
    words = Words(world, board) if board else None
    memory_before = tree_memory_mb(os.getpid())
    ledger = world.ledger()
    ticker = Ticker(world, ledger, board or world.fake_ears())
    ticker.tick()
    seen, yards = [], []
    for number in range(WARM_TICKS + ticks):
        if words:
            words.say()
        done = ticker.tick()
        yards.append(yardstick.objects_ms())
        if number >= WARM_TICKS:
            seen.append(asdict(done))
    memory = tree_memory_mb(os.getpid())
    told = {"ticks": seen, "yardstick_ms": yards, "stages": dict(ticker.stages())}
    ledger.close()
    figures = {"memory_fake_mb": memory_before, "memory_mb": memory}
    return {**told, **figures, "changes": world.provider.mutations}


def restarts(folder: Path, workers: int, groups: int, count: int) -> dict[str, Any]:
    """Starts on the ledger of a controller that was killed, and on none."""
    world = World(workers, groups, folder)
    ledger = world.ledger()
    ticker = Ticker(world, ledger, world.fake_ears())
    for _ in range(WARM_TICKS):
        ticker.tick()
    ledger.abandon()
    del ticker, ledger
    with_it = [_start(world, "ledger.db") for _ in range(count)]
    without = [_start(world, f"new-{number}.db") for number in range(count)]
    yards = [yardstick.rows_ms(folder) for _ in range(count)]
    return {"with": with_it, "without": without, "yardstick_ms": yards}


def _start(world: World, name: str) -> dict[str, Any]:
    gc.collect()
    changes = world.provider.mutations
    before = time.perf_counter()
    ledger = world.ledger(name)
    opened = time.perf_counter()
    ticker = Ticker(world, ledger, world.switchboard())
    done = ticker.tick()
    ticked_ms = (opened - before) * 1000 + done.wall_ms
    found = {
        "open_ms": (opened - before) * 1000,
        "tick_ms": done.wall_ms,
        "all_ms": ticked_ms,
        "list_ms": done.list_ms,
        "members": len(ticker.loop.fleet.members),
        "changes": world.provider.mutations - changes,
    }
    ledger.abandon()
    return found


def deaths(folder: Path, workers: int, groups: int, kind: str) -> dict[str, Any]:
    """Half of every group goes: ``vanish`` or ``hush`` at once, or ``spread`` in waves."""
    world = World(workers, groups, folder)
    ears, ledger = world.fake_ears(), world.ledger()
    ticker = Ticker(world, ledger, ears)
    for _ in range(WARM_TICKS):
        ticker.tick()
    calls = Counter(world.provider.calls)
    half = [each for n, each in enumerate(world.intent_of) if n // groups % 2]
    seen: list[dict[str, Any]] = []
    for number in range(LONGEST):
        if kind == "hush" and not number:
            ears.silent |= set(half)
        elif kind != "hush":
            for each in _next(half, number, spread=kind == "spread"):
                world.provider.outside.vanish(each)
        seen.append(_watched(world, ticker, ticker.tick(EVERY_S)))
        if _is_over(ticker, workers, seen, kind):
            break
    yard = yardstick.commit_ms(folder)
    ledger.close()
    new = Counter(world.provider.calls)
    new.subtract(calls)
    return {
        "ticks": seen, "calls": dict(+new), "commit_ms": yard,
        "yardstick_ms": [yardstick.objects_ms() for _ in range(20)],
    }  # fmt: skip


def _next(ids: list[int], number: int, *, spread: bool) -> Iterable[int]:
    """Who dies before this tick: all in the first; spread, a tenth of the fleet every third."""
    if not spread:
        return ids if number == 0 else ()
    wave, rest = divmod(number, 3)
    size = len(ids) // WAVES
    return ids[wave * size : (wave + 1) * size] if rest == 0 and wave < WAVES else ()


def _watched(world: World, ticker: Ticker, done: Ticked) -> dict[str, Any]:
    members = ticker.loop.fleet.members
    gone = ticker.loop.gone
    held = [
        own for name, own in by_group(members).items() if braked(own, world.time.at, gone(name))
    ]
    stages = Counter(each.stage for each in members)
    return {
        **asdict(done),
        "braked": len(held),
        "bad": stages[Stage.MISSING] + stages[Stage.SUSPECT],
        "members": len(members),
        "changes": world.provider.mutations,
    }


def _is_over(ticker: Ticker, workers: int, seen: list[dict[str, Any]], kind: str) -> bool:
    """All have died and as many are ready as before; of the silent: the brake is off again."""
    if kind == "hush":
        return not seen[-1]["braked"] and any(each["braked"] for each in seen)
    return len(seen) > WAVES * 3 and ticker.stages()[Stage.READY.value] >= workers
