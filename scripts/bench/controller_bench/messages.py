"""What workers and clients of the benchmark say. Pure; both sides make it from the same numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator

from vast_pyworker import wire
from vast_pyworker.controller.traffic.places import Place
from vast_pyworker.model import Report, State

NUMBER = "@@"
KEY = "bench-key"
COST = 100
_SEQ = 1_000_000_007


def endpoint_of(worker_id: int, groups: int) -> str:
    return f"endpoint-{worker_id % groups}"


def places(workers: int, groups: int) -> dict[int, Place]:
    """All workers of the benchmark, spread over the groups."""
    found = {}
    for worker_id in range(1, workers + 1):
        endpoint = endpoint_of(worker_id, groups)
        token = f"{worker_id:064x}"
        found[worker_id] = Place(endpoint, endpoint, f"intent-{worker_id}", token)
    return found


def report(worker_id: int, token: str | None = None) -> str:
    """A report of ours as it is sent under load, extended; its number in the sequence is open.

    ``token`` None is that of ``places``.
    """
    said = Report(
        worker_id=worker_id,
        version=wire.PROTOCOL_VERSION,
        state=State.READY,
        url=f"https://203.0.113.{worker_id % 250}:{10_000 + worker_id}",
        mtoken=f"{worker_id:064x}" if token is None else token,
        load_time_s=15.8,
        max_perf=180.0 + worker_id % 40,
        cur_load=float(worker_id * 37 % 900),
        new_load_delta=250.0,
        served_load_delta=240.5,
        requests_working=3,
        requests_received=1200,
        working_request_idxs=(1801234567890123, 1801234567890124, 1801234567890125),
        disk_usage_gib=27.11,
        additional_disk_gib=0.0,
        boot_id=f"{worker_id:032x}",
        seq=_SEQ,
        queue_depth=2,
        queue_wait_s=1.25,
    )
    return json.dumps(wire.encode_report(said, extended=True)).replace(str(_SEQ), NUMBER)


def reports(workers: int) -> Iterator[str]:
    return map(report, range(1, workers + 1))


def asks(groups: int) -> Iterator[str]:
    """A new request of a client for each endpoint, as Vast's client asks."""
    for number in range(groups):
        yield json.dumps(
            {
                "endpoint": f"endpoint-{number}",
                "api_key": KEY,
                "cost": COST,
                "request_idx": 0,
                "replay_timeout": 60.0,
            }
        )
