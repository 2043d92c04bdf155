"""What the autoscaler hears of a real worker: when, how soon, and what never leaves it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from worker_support import ROOT, RunningWorker, free_port, wait_until

from vast_pyworker.worker.fake_autoscaler import FakeAutoscaler, Fault
from vast_pyworker.worker.fake_model import FakeModel

TOKEN = "a-master-token-of-tests"
KEY = "an-api-key-of-tests"
AT_ONCE_S = 4.0
"""Less than half of the ten seconds after which there would be a report in any case."""


@dataclass
class Told:
    worker: RunningWorker
    model: FakeModel
    autoscaler: FakeAutoscaler

    def report(self, true: Any, timeout_s: float = 10.0) -> dict[str, Any]:
        """The first report that is as wanted."""

        def found() -> dict[str, Any] | None:
            return next((each for each in self.autoscaler.reports if true(each)), None)

        assert self.autoscaler.wait(lambda _: found(), timeout_s), self.autoscaler.reports
        return found() or {}


def worker_for(folder: Path, model: FakeModel, autoscaler: FakeAutoscaler, **more: str) -> Any:
    extra = {
        "PYWORKER_BACKENDS": str(ROOT / "tests/peers/backends"),
        "MODEL_SERVER_URL": model.url,
        "CONTAINER_ID": "123",
        "MASTER_TOKEN": TOKEN,
        "PYWORKER_API_KEYS": KEY,
        "REPORT_ADDR": autoscaler.url,
    }
    return RunningWorker(folder, "scripted", extra | more, sign=autoscaler.grant)


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    """A worker that logs all there is to log; its model has not loaded."""
    with FakeModel() as model, FakeAutoscaler() as autoscaler:
        model.health = 503
        worker = worker_for(tmp_path, model, autoscaler, LOG_LEVEL="debug")
        try:
            yield Told(worker.start("/livez").await_key(), model, autoscaler)
        finally:
            worker.stop()


def test_a_life_in_reports(told: Told) -> None:
    worker, model, autoscaler = told.worker, told.model, told.autoscaler
    first = told.report(lambda report: True, AT_ONCE_S)
    assert (first["id"], first["mtoken"], first["version"]) == (123, TOKEN, "1.1.0")
    assert (first["loadtime"], first["max_perf"], first["error_msg"]) == (0, 0, "")
    assert first["url"] == worker.url and first["disk_usage"] > 0
    assert "state" not in first, "our own fields are for those who have asked for them"

    model.health = 200
    worker.await_probe()
    assert told.report(lambda report: report["loadtime"] > 0, AT_ONCE_S)["error_msg"] == ""

    payload = {"prompt": "x" * 40, "max_tokens": 20, "script": {"name": "a", "hold": 0}}
    call = worker.open("/generate", payload, request_idx=77)
    held = told.report(lambda report: 77 in report["working_request_idxs"])
    assert (held["cur_load"], held["new_load"], held["num_requests_working"]) == (30, 30, 1)
    model.release("a")
    assert call.read().status == 200
    assert worker.ask("/generate", {"script": {"status": 500}}, request_idx=78).status == 500
    ends = wait_until(lambda: _ends(autoscaler, 77, 78), "report of both ends")
    assert [(each["status"], each["success"]) for each in ends] == [
        ("Success", True),
        ("Error", False),
    ]
    done = ends[0]
    now = time.time()
    assert now - 60 < done["entered_queue_at"] <= done["work_started_at"]
    assert done["work_started_at"] < done["work_completed_at"] <= now

    worker.terminate()
    assert worker.await_end() == 0
    last = autoscaler.reports[-1]
    assert (last["loadtime"], last["max_perf"], last["num_requests_working"]) == (0, 0, 0)


def _ends(autoscaler: FakeAutoscaler, *numbers: int) -> list[dict[str, Any]] | None:
    told = {each["request_idx"]: each for body in autoscaler.ends for each in body["requests"]}
    return [told[number] for number in numbers] if told.keys() >= set(numbers) else None


def test_an_error_is_told_at_once_and_so_is_that_it_is_over(told: Told) -> None:
    told.model.health = 200
    told.worker.await_probe()
    post = {"mtoken": TOKEN, "error_msg": "the weights are gone"}
    assert told.worker.ask("/report_error", post, signed=False).status == 200
    told.report(lambda report: report["error_msg"].endswith("the weights are gone"), AT_ONCE_S)
    unready = told.worker.get("/readyz")
    assert (unready.status, "weights" in unready.text) == (503, False), "it may be a line of a log"
    assert told.worker.ask("/report_loaded", {"mtoken": TOKEN}, signed=False).status == 200
    assert told.autoscaler.wait(lambda each: not each.reports[-1]["error_msg"], AT_ONCE_S)
    assert told.worker.get("/readyz").status == 200


def test_no_secret_and_no_prompt_is_ever_logged(told: Told) -> None:
    worker = told.worker
    told.model.health = 200
    worker.await_probe()
    grant = told.autoscaler.grant(worker.url)
    prompt = "the-secret-of-the-user"
    bearer = {"Authorization": f"Bearer {KEY}"}
    for script in ({}, {"status": 500}, {"kind": "sse", "then": "die"}):
        assert worker.ask("/generate", {"prompt": prompt, "script": script}, **grant).status < 501
    for path in ("/generate?api_key=key-in-a-query", "/by_flask", "/nowhere"):
        worker.ask(path, {"prompt": prompt}, signed=False, headers=bearer)
    worker.ask("/dozes", {"prompt": prompt}, signed=False)  # fails: seconds are missing
    worker.ask("/report_error", {"mtoken": "wrong", "error_msg": prompt}, signed=False)
    worker.terminate()
    worker.await_end()
    assert "Traceback" in worker.log, "the failed handler is logged"
    for secret in (TOKEN, KEY, prompt, grant["signature"], "key-in-a-query"):
        assert secret not in worker.log


def test_a_grant_that_cannot_be_checked_yet_is_no_wrong_grant(tmp_path: Path) -> None:
    with FakeModel() as model, FakeAutoscaler() as autoscaler:
        autoscaler.fail(Fault("/pubkey/"), times=1000)
        worker = worker_for(tmp_path, model, autoscaler)
        try:
            worker.start()
            for path in ("/generate", "/by_flask"):
                answer = worker.ask(path, {})
                assert (answer.status, int(answer.headers["retry-after"]) >= 1) == (503, True)
                assert "public key" in answer.json["error"]
        finally:
            worker.stop()


def test_what_is_cut_at_the_end_of_the_drain_is_told_too(told: Told) -> None:
    told.model.health = 200
    told.worker.await_probe()
    payload = {"script": {"kind": "sse", "then": "hang"}}
    call = told.worker.open("/generate", payload, request_idx=5150)
    call.read_until(b"word2")
    told.worker.terminate()
    assert b"event: error" in call.read().body
    call.leave()
    assert told.worker.await_end() == 0
    assert _ends(told.autoscaler, 5150)
    assert told.autoscaler.reports[-1]["num_requests_working"] == 0


def test_a_dead_address_does_not_mute_the_worker(tmp_path: Path) -> None:
    with FakeModel() as model, FakeAutoscaler() as autoscaler:
        both = f"http://127.0.0.1:{free_port()}, {autoscaler.url}"
        worker = worker_for(tmp_path, model, autoscaler, REPORT_ADDR=both)
        try:
            worker.start().await_key()
            assert autoscaler.wait(lambda each: each.reports and each.reports[-1]["loadtime"])
            assert worker.ask("/generate", {}).status == 200
            addresses = worker.status["reports"]["addresses"]
            assert [address["failures"] > 0 for address in addresses] == [True, False]
        finally:
            worker.stop()


def _last(autoscaler: FakeAutoscaler) -> dict[str, Any]:
    return autoscaler.reports[-1] if autoscaler.reports else {}


def test_a_controller_of_ours_sees_restarts_by_boot_id(tmp_path: Path) -> None:
    with FakeModel() as model, FakeAutoscaler(extended=True) as autoscaler:
        worker = worker_for(tmp_path, model, autoscaler)
        try:
            worker.start()
            assert autoscaler.wait(lambda each: _last(each).get("state") == "ready")
            before = autoscaler.reports[-1]
            assert before["queue_depth"] == 0 and before["seq"] >= 2
            os.kill(worker.child, signal.SIGKILL)
            boots = (None, before["boot_id"])
            assert autoscaler.wait(lambda each: _last(each).get("boot_id") not in boots, 20)
            assert _last(autoscaler)["seq"] <= before["seq"] + 1
        finally:
            worker.stop()


def test_a_worker_that_is_replaced_leaves_reporting_to_its_successor(tmp_path: Path) -> None:
    with FakeModel() as model, FakeAutoscaler(extended=True) as autoscaler:
        worker = worker_for(
            tmp_path, model, autoscaler, DRAIN_TIMEOUT="20", PYWORKER_EXTENDED="true"
        )
        try:
            worker.start().await_key()
            assert autoscaler.wait(lambda each: _last(each).get("state") == "ready")
            old = autoscaler.reports[-1]["boot_id"]
            call = worker.open("/generate", {"script": {"name": "a", "hold": 0}}, request_idx=31)
            assert autoscaler.wait(lambda each: _last(each)["working_request_idxs"] == [31])
            os.kill(worker.pid, signal.SIGHUP)
            assert autoscaler.wait(lambda each: _ready_after(each, old), 20)

            model.release("a")
            assert call.read().status == 200
            assert wait_until(lambda: _ends(autoscaler, 31), "the end told by the old worker")
            boots = [report["boot_id"] for report in autoscaler.reports]
            successor = boots[-1]
            assert old not in boots[boots.index(successor) :]
            of_the_old = [each for each in autoscaler.reports if each["boot_id"] == old]
            assert "draining" not in {each["state"] for each in of_the_old}
        finally:
            worker.stop()


def _ready_after(autoscaler: FakeAutoscaler, old: str) -> bool:
    last = _last(autoscaler)
    return last["boot_id"] != old and last["state"] == "ready"
