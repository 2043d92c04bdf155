"""Tables of workers for people and for Vast's clients. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .pool import word_for
from .requests import Request
from .worker import Worker


def worker_row(worker: Worker) -> dict[str, Any]:
    """One worker as ``/get_endpoint_workers/`` lists it. What is not known is left out, since
    Vast's client takes a missing field for 0 and raises at null."""
    heard = worker.heard
    row: dict[str, Any] = {"id": worker.id, "status": word_for(worker)}
    if heard is None:
        return row
    report = heard.report
    row |= {
        "cur_load": worker.held,
        "new_load": report.new_load_delta,
        "cur_load_rolling_avg": heard.load_average,
        "cur_perf": report.served_load_delta,
        "perf": heard.perf,
        "measured_perf": heard.perf,
        "reqs_working": heard.in_flight,
        "disk_usage": report.disk_usage_gib,
        "loaded_at": heard.loaded_at,
        "started_at": heard.started_at,
    }
    return {name: value for name, value in row.items() if value is not None}


def queue_rows(waiting: Iterable[Request], mono: float) -> list[dict[str, Any]]:
    """Who waits for a worker, the first in front."""
    return [
        {
            "request_idx": each.idx,
            "cost": each.cost,
            "waited_s": mono - each.since,
            "polled_s": mono - each.asked_at,
        }
        for each in waiting
    ]
