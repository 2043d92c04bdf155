"""The probes: what each state means to them, and that they answer when nothing else can."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from worker_rig import LIMIT_S, Rig, rigged, worker_of

from vast_pyworker.worker.phases.readiness import Readiness
from vast_pyworker.worker.reports.probes import PROBE_PATHS, PROBES, probe_answer
from vast_pyworker.worker.traffic.refusals import not_ready

STATES: list[tuple[str, Callable[[Readiness], Any], dict[str, int]]] = [
    ("starting", lambda readiness: None, {"readyz": 503, "startupz": 503}),
    ("loading", lambda readiness: readiness.loading(), {"readyz": 503, "startupz": 503}),
    ("ready", lambda readiness: readiness.loaded(1.0), {"readyz": 200, "startupz": 200}),
    ("busy", lambda readiness: _busy(readiness), {"readyz": 200, "startupz": 200}),
    ("degraded", lambda readiness: _degraded(readiness), {"readyz": 503, "startupz": 200}),
    ("error", lambda readiness: readiness.error("no GPU"), {"readyz": 503, "startupz": 503}),
    ("draining", lambda readiness: readiness.draining(), {"readyz": 503, "startupz": 503}),
]


def _busy(readiness: Readiness) -> None:
    readiness.loaded(1.0)
    readiness.set_saturated(True)


def _degraded(readiness: Readiness) -> None:
    readiness.loaded(1.0)
    readiness.degraded("it is silent")


@pytest.mark.parametrize(("state", "enter", "told"), STATES, ids=[row[0] for row in STATES])
def test_what_a_state_means(
    state: str, enter: Callable[[Readiness], Any], told: dict[str, int]
) -> None:
    worker = worker_of({}, "http://127.0.0.1:9", ready=False)
    enter(worker.readiness)
    for name, status in {"livez": 200, **told}.items():
        got, headers, body = probe_answer(worker, name)
        document = json.loads(body)
        assert got == status, name
        assert (document["ok"], document["state"]) == (status == 200, state)
        if status == 503:
            assert document["reason"] == worker.readiness.reason
            assert int(dict(headers)["Retry-After"]) >= 1


def blocks(backend: Any, request: Any) -> str:
    assert backend.release.wait(LIMIT_S)
    return "released"


class Backend:
    def __init__(self) -> None:
        self.release = threading.Event()


def test_busy_threads_do_not_look_like_a_dead_worker() -> None:
    backend = Backend()
    with rigged({"GET": {"block": blocks}}, backend=backend) as rig:
        calls = [rig.open("/block", method="GET") for _ in range(8)]  # there are four threads
        for path in sorted(PROBE_PATHS):
            assert rig.get(path, key=False).status == 200
        backend.release.set()
        assert [call.read().status for call in calls] == [200] * 8


def test_the_same_without_the_engine() -> None:
    with rigged({}) as rig:
        for name in PROBES:
            assert rig.app.test_client().get(f"/{name}").json == {"ok": True, "state": "ready"}
            assert rig.app.test_client().head(f"/pyworker/{name}").status_code == 200


def ours(backend: Any, request: Any) -> str:
    return "the backend's own"


def test_a_backends_route_wins_and_leaves_the_other_name() -> None:
    with rigged({"GET": {"livez": ours}}) as rig:
        assert rig.get("/livez").body == b"the backend's own"
        assert _told(rig, "/pyworker/livez") == {"ok": True, "state": "ready"}


def _told(rig: Rig, path: str) -> Any:
    return rig.get(path, key=False).json


def test_what_failed_is_not_told_to_everybody_for_it_may_quote_a_prompt() -> None:
    readiness = Readiness()
    readiness.assume_ready()
    readiness.degraded("The model server was killed, saying 'prompt: my secret'")
    assert "secret" not in readiness.public_reason
    assert "secret" not in str(not_ready(readiness).body)
    assert "secret" in readiness.document()["reason"]
