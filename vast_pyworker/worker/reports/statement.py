"""What a worker says of itself at one moment: its counters, its state and what it can measure.

What is here: putting one ``Report`` together. What is not: when it is sent (``reporter``) and how
it is spelt (``wire``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from vast_pyworker.model import Report, State
from vast_pyworker.wire import PROTOCOL_VERSION

from .accounting import Counters

log = logging.getLogger(__name__)
Measure = TypeVar("Measure")


class Situation(Protocol):
    """What a report takes from the readiness. ``error_msg`` is empty when there is no error."""

    @property
    def state(self) -> State: ...

    @property
    def max_perf(self) -> float: ...

    @property
    def load_time_s(self) -> float: ...

    @property
    def error_msg(self) -> str: ...


@dataclass(frozen=True)
class Identity:
    """What stays the same in every report of one process."""

    worker_id: int
    url: str
    mtoken: str
    boot_id: str
    version: str = PROTOCOL_VERSION


@dataclass(frozen=True)
class Gauges:
    """Measures taken for each report; each answers None where it does not know.

    ``disk_used_gib()``; ``queue()`` is (depth, estimated wait in seconds); ``gpus()`` a tuple of
    JSON objects; ``progress()`` the readiness' account of a download. None may block for long.
    """

    disk_used_gib: Callable[[], float | None] = lambda: None
    queue: Callable[[], tuple[int, float | None] | None] = lambda: None
    gpus: Callable[[], tuple[dict[str, Any], ...] | None] = lambda: None
    progress: Callable[[], dict[str, Any] | None] = lambda: None


def compose(
    identity: Identity,
    situation: Situation,
    counters: Counters,
    gauges: Gauges,
    *,
    seq: int,
    disk_told_gib: float | None,
) -> Report:
    """The report of this moment; disk growth is against ``disk_told_gib`` (None: none told yet)."""
    queue_depth, queue_wait_s = measured(gauges.queue) or (None, None)
    disk_gib = measured(gauges.disk_used_gib)
    return Report(
        worker_id=identity.worker_id,
        version=identity.version,
        state=situation.state,
        url=identity.url,
        mtoken=identity.mtoken,
        error_msg=situation.error_msg,
        load_time_s=situation.load_time_s,
        max_perf=situation.max_perf,
        cur_load=counters.cur_load,
        new_load_delta=counters.new_load,
        rejected_load_delta=counters.rejected_load,
        served_load_delta=counters.served_load,
        requests_working=counters.requests_working,
        requests_received=counters.requests_received,
        working_request_idxs=counters.working_idxs,
        disk_usage_gib=disk_gib,
        additional_disk_gib=_growth(disk_gib, disk_told_gib),
        boot_id=identity.boot_id,
        seq=seq,
        queue_depth=queue_depth,
        queue_wait_s=queue_wait_s,
        progress=measured(gauges.progress),
        gpus=measured(gauges.gpus),
    )


def measured(gauge: Callable[[], Measure]) -> Measure | None:
    """What the gauge says, None where it fails."""
    try:
        return gauge()
    except Exception:
        # A gauge that fails is unknown; it must not mute the worker.
        log.debug("A gauge failed.", exc_info=True)
        return None


def _growth(now_gib: float | None, told_gib: float | None) -> float | None:
    if now_gib is None:
        return None
    return 0.0 if told_gib is None else now_gib - told_gib
