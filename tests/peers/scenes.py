"""Scenes that take a while, played once: what was seen is kept for as many tests as like to ask."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from client_support import Answer
from support import MODEL_PROCESS, House, furnished, scene
from worker_support import ROOT, free_port, wait_until

from vast_pyworker.worker.fake_model import FakeModel

Status = dict[str, Any]


@dataclass
class Life:
    """Statuses and reports of one worker, from a closed port to a recovery."""

    statuses: dict[str, Status] = field(default_factory=dict)
    reports: dict[str, Status] = field(default_factory=dict)
    refusals: dict[str, Answer] = field(default_factory=dict)
    benchmark_requests: dict[str, int] = field(default_factory=dict)


def live(folder: Path) -> Life:
    """The port is closed, the log tells of a download; the model is up, fails, is up again."""
    log, payloads = folder / "model.log", folder / "payloads.jsonl"
    log.write_text("loading weights\n")
    payloads.write_text('{"script": {"name": "benchmark", "tokens": 5}}\n')
    model = FakeModel(free_port())
    settings = {"READINESS": "log+probe", "MODEL_LOG": log, "BENCHMARK_PAYLOADS": payloads}
    with furnished(folder, model, "/livez", **settings) as house:
        try:
            return _Biographer(house, log).tell()
        finally:
            model.stop()


class _Biographer:
    def __init__(self, house: House, log: Path) -> None:
        self._house = house
        self._log = log
        self._life = Life()

    def tell(self) -> Life:
        house = self._house
        self._note("loading", house.worker.await_state("loading"))
        self._say("fetched 40MB of 100MB")
        self._note("downloading", house.worker.await_state("downloading"))
        self._say("up after 12.5 s")
        wait_until(lambda: self._missing() == ["probe"], "loaded line to be seen")
        self._note("line without a port", house.worker.status)
        house.model.start()
        self._note("ready", house.worker.await_state("ready"))
        self._tell_twice()
        self._fail_and_recover()
        return self._life

    def _tell_twice(self) -> None:
        self._say("request 12 failed: Traceback (most recent call last):", "up after 99 s")
        wait_until(lambda: self._matches("loaded") == 2, "second loaded line")
        self._note("said again", self._house.worker.status)

    def _fail_and_recover(self) -> None:
        house = self._house
        self._say("engine died of a Traceback")
        self._note("failed", house.worker.await_state("error"))
        self._life.reports["failed"] = house.last_report(lambda report: report["error_msg"])
        self._say("up after 1 s")
        self._note("recovered", house.worker.await_state("ready"))
        recovered = house.last_report(lambda report: not report["error_msg"])
        self._life.reports["recovered"] = recovered

    def _say(self, *lines: str) -> None:
        with self._log.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def _missing(self) -> Any:
        return self._house.worker.status["model"]["missing"]

    def _matches(self, action: str) -> Any:
        return self._house.worker.status["model"]["log"]["matches"].get(action, 0)

    def _note(self, moment: str, status: Status) -> None:
        self._life.statuses[moment] = status
        asked = self._house.model.seen
        names = [seen.script.name for seen in asked]
        self._life.benchmark_requests[moment] = names.count("benchmark")
        if status["state"] != "ready":
            self._life.refusals[moment] = self._house.ask()


@dataclass
class Farewell:
    """A worker with a heartbeat limit of 2 s got SIGTERM in the middle of a stream of 3 s."""

    stream: bytes
    blocking: Answer
    unready: Answer
    refused: Answer
    draining_report: Status
    end: Status
    exit_status: int
    model_log: str


def part(folder: Path) -> Farewell:
    port = free_port()
    settings = {
        "MODEL_COMMAND": f"{sys.executable} {MODEL_PROCESS} {port}",
        "READINESS": "probe",
        "DRAIN_TIMEOUT": "15",
        "PYTHONPATH": ROOT,
    }
    with furnished(folder, FakeModel(port), arguments=("--timeout", "2"), **settings) as house:
        return _part_from(house)


def _part_from(house: House) -> Farewell:
    worker = house.worker
    stream = worker.open("/generate", scene(kind="sse", pieces=31, pause_s=0.1), request_idx=4711)
    blocking: list[Answer] = []
    thread = threading.Thread(
        target=lambda: blocking.append(worker.ask("/dozes", {"seconds": 3}, signed=False))
    )
    thread.start()
    begin = stream.read_until(b"word12")
    worker.terminate()
    unready = wait_until(
        lambda: answer if (answer := worker.get("/readyz")).status != 200 else None, "drain"
    )
    refused = worker.ask("/generate", scene())
    draining = house.last_report(lambda report: report["loadtime"] == 0)
    rest = stream.read().body
    thread.join()
    end, status = house.end_of(4711), worker.await_end()
    (log,) = worker.state.glob("*.log")
    return Farewell(
        begin + rest, blocking[0], unready, refused, draining, end, status, log.read_text()
    )


__all__ = ["Farewell", "Life", "live", "part"]
