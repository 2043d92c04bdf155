"""What these tests stand on: a real worker between a fake model and a fake autoscaler."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client_support import Answer, Call
from worker_support import RunningWorker, wait_until

from vast_pyworker.worker.fake_autoscaler import FakeAutoscaler
from vast_pyworker.worker.fake_model import FakeModel

BACKENDS = Path(__file__).with_name("backends")
MODEL_PROCESS = Path(__file__).with_name("model_process.py")
TOKEN = "master-token-of-these-tests"
API_KEY = "api-key-of-these-tests"
SOON_S = 5.0
"""Far more than anything here takes; a test that needs it has failed."""

_numbers = itertools.count(1)


def scene(**script: Any) -> dict[str, Any]:
    """A payload whose script has a name of its own; see ``fake_answers.Script``."""
    return {"script": {"name": f"scene-{next(_numbers)}", **script}}


def name_of(payload: dict[str, Any]) -> str:
    return str(payload["script"]["name"])


def settings_for(
    model_url: str, autoscaler: FakeAutoscaler | None, **more: str | Path
) -> dict[str, str]:
    """The settings of an instance whose model server is at ``model_url``."""
    ours = {"PYWORKER_BACKENDS": str(BACKENDS), "MODEL_SERVER_URL": model_url}
    if autoscaler is not None:
        ours |= {
            "CONTAINER_ID": "7",
            "MASTER_TOKEN": TOKEN,
            "PYWORKER_API_KEYS": API_KEY,
            "REPORT_ADDR": autoscaler.url,
        }
    return ours | {name: str(value) for name, value in more.items()}


@dataclass
class House:
    """A worker, its model and the autoscaler it reports to."""

    worker: RunningWorker
    model: FakeModel
    autoscaler: FakeAutoscaler

    def ask(self, path: str = "/generate", **script: Any) -> Answer:
        """A whole answer to a request with this script."""
        return self.worker.ask(path, scene(**script))

    @contextmanager
    def held(self, path: str = "/generate", **script: Any) -> Iterator[tuple[Call, str]]:
        """A request that the model holds before its head: the call, and the scene's name."""
        payload = scene(hold=0, **script)
        call = self.worker.open(path, payload)
        try:
            assert self.model.wait(lambda model: model.find(name_of(payload)))
            yield call, name_of(payload)
        finally:
            self.model.release(name_of(payload))
            call.finish()

    @contextmanager
    def queued(self, path: str, **script: Any) -> Iterator[tuple[Call, str]]:
        """A request that waits in the queue of ``path``, where every place is taken."""
        before = self.route(path)["queued"]
        payload = scene(**script)
        call = self.worker.open(path, payload)
        try:
            self.await_queued(path, before + 1)
            yield call, name_of(payload)
        finally:
            call.leave()

    @property
    def in_flight(self) -> int:
        return int(self.worker.status["requests"]["in_flight"])

    def route(self, path: str) -> dict[str, Any]:
        """Places and queue of a declared route, as the status tells."""
        told: dict[str, Any] = self.worker.status["requests"]["routes"][path]
        return told

    def await_queued(self, path: str, count: int) -> None:
        wait_until(lambda: self.route(path)["queued"] == count, f"{count} queued at {path}")

    def await_rest(self) -> None:
        """Wait until nothing is under way."""
        wait_until(lambda: self.in_flight == 0, "an end of every request")

    def outcomes(self, route: str = "/generate") -> dict[str, int]:
        """How the requests of a route ended so far."""
        labels = ("success", "client_error", "upstream_error", "worker_error", "rejected")
        return {
            each: int(self.worker.metric("pyworker_requests_total", route=route, outcome=each))
            for each in (*labels, "cancelled")
        }

    def end_of(self, request_idx: int) -> dict[str, Any]:
        """What the autoscaler was told of a request's end, once it was."""

        def told() -> dict[str, Any] | None:
            ends = (each for body in self.autoscaler.ends for each in body["requests"])
            return next((each for each in ends if each["request_idx"] == request_idx), None)

        found: dict[str, Any] = wait_until(told, f"report of the end of {request_idx}")
        return found

    def last_report(self, true: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The latest report, once it is as wanted."""
        assert self.autoscaler.wait(lambda each: each.reports and true(each.reports[-1])), (
            self.autoscaler.reports[-1:]
        )
        return self.autoscaler.reports[-1]


@contextmanager
def furnished(
    folder: Path, model: FakeModel, probe: str = "/readyz", **more: Any
) -> Iterator[House]:
    """A house on the ``scripted`` backend. ``arguments`` go to gunicorn, the rest are settings."""
    arguments = more.pop("arguments", ())
    with FakeAutoscaler() as autoscaler:
        worker = RunningWorker(
            folder,
            "scripted",
            settings_for(model.url, autoscaler, **more),
            arguments,
            autoscaler.grant,
        )
        try:
            yield House(worker.start(probe).await_key(), model, autoscaler)
        finally:
            worker.stop()
