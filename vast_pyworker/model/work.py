"""What a worker says of itself: its state, its reports, how requests ended.

What is not here: how it travels (``wire``), how it is counted (the worker), where it is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class State(str, Enum):
    """What a worker is doing, as one word.

    starting -> downloading -> loading -> benchmarking -> ready <-> busy
    ready | busy -> degraded -> ready (recovered) or loading (model restarted)
    any -> error -> loading | ready (an error clears on recovery)
    any -> draining -> stopped
    """

    STARTING = "starting"
    DOWNLOADING = "downloading"
    LOADING = "loading"
    BENCHMARKING = "benchmarking"
    READY = "ready"
    BUSY = "busy"
    DEGRADED = "degraded"
    DRAINING = "draining"
    STOPPED = "stopped"
    ERROR = "error"

    __hash__ = str.__hash__  # that of Enum is ten times as slow

    def __str__(self) -> str:
        return self.value


class Outcome(str, Enum):
    """How a request ended. Every request ends in exactly one of these."""

    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"

    __hash__ = str.__hash__  # that of Enum is ten times as slow

    def __str__(self) -> str:
        return self.value


@dataclass(slots=True)  # not frozen, which takes twice as long: ten thousand end in a second
class RequestEnd:
    """One routed request that has left the worker.

    ``request_idx`` is the autoscaler's number for it; times are Unix seconds, 0.0 for never.
    """

    request_idx: int
    outcome: Outcome
    entered_at: float
    started_at: float = 0.0
    completed_at: float = 0.0


@dataclass(frozen=True)
class Report:
    """One statement by a worker about itself.

    Work is in the backend's own units (tokens, pixel steps, ...); rates are units per second.
    Fields named ``*_delta`` count since the last report that was acknowledged. ``None`` means
    unknown, which is never the same as 0.
    """

    worker_id: int
    version: str
    state: State | None = None
    url: str = ""
    mtoken: str = ""
    error_msg: str = ""
    load_time_s: float = 0.0
    max_perf: float = 0.0
    cur_load: float = 0.0
    new_load_delta: float = 0.0
    rejected_load_delta: float = 0.0
    served_load_delta: float = 0.0
    requests_working: int = 0
    requests_received: int = 0
    working_request_idxs: tuple[int, ...] = ()
    disk_usage_gib: float | None = None
    additional_disk_gib: float | None = None
    boot_id: str | None = None
    seq: int | None = None
    queue_depth: int | None = None
    queue_wait_s: float | None = None
    progress: dict[str, Any] | None = None
    gpus: tuple[dict[str, Any], ...] | None = None
