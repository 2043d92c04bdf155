"""What one report costs this process: CPU time of the calling thread, call by call."""

from __future__ import annotations

import gc
import time

from vast_pyworker import signature
from vast_pyworker.controller.traffic.switchboard import Switchboard

from . import messages

CALLS = 100_000


def of_reports(workers: int, groups: int) -> list[float]:
    """Microseconds of each of many calls, in the order of their happening."""
    key = signature.new_private_key()
    board = Switchboard(key, lambda key, endpoint: True, now=time.time, mono=time.monotonic)
    board.publish(messages.places(workers, groups))
    bodies = [body.split(messages.NUMBER) for body in messages.reports(workers)]
    gc.collect()
    gc.freeze()
    try:
        return [_spent_us(board, bodies[n % workers], n + 1) for n in range(workers + CALLS)]
    finally:
        gc.unfreeze()


def _spent_us(board: Switchboard, parts: list[str], seq: int) -> float:
    head, tail = parts
    body = f"{head}{seq}{tail}".encode()
    before = time.thread_time_ns()
    board.take_report(body)
    return (time.thread_time_ns() - before) / 1000
