"""The three probes, from what the worker knows of itself: no I/O, so they may be asked at any rate.

``livez``: this process turns its loop; nothing else can make it fail. ``startupz``: the model has
loaded once. ``readyz``: a request sent now would be let in.
"""

from __future__ import annotations

import json
from typing import Any

from vast_pyworker.worker.state import Worker

PROBES = {
    "livez": "200 while the process serves at all; overload or a broken model do not change it.",
    "readyz": "200 while requests are let in, else 503 with the reason and Retry-After.",
    "startupz": "200 once the model has loaded for the first time, else 503.",
}


PROBE_PATHS = frozenset(f"{prefix}/{name}" for prefix in ("", "/pyworker") for name in PROBES)


def probe_answer(worker: Worker, name: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and JSON body of a probe."""
    readiness = worker.readiness
    good = {
        "livez": True,
        "readyz": readiness.accepting,
        "startupz": readiness.load_time_s > 0,
    }[name]
    document: dict[str, Any] = {"ok": good, "state": str(readiness.state)}
    headers = [("Content-Type", "application/json")]
    if not good:
        document["reason"] = readiness.public_reason
        headers.append(("Retry-After", str(max(int(readiness.retry_after_s), 1))))
    return (200 if good else 503), headers, json.dumps(document).encode()
