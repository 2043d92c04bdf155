"""What users of other workers suffer from a start, and at the desk: pains 10, 17, 24, +1.

Each docstring says what others do and what ours does; ``table.py`` makes docs/peers.md of them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import House
from worker_support import (
    CONFIGURATION,
    ROOT,
    Answer,
    Call,
    RunningWorker,
    free_port,
    running,
)

from vast_pyworker.errors import NotStarted
from vast_pyworker.worker import dev, start
from vast_pyworker.worker.fake_autoscaler import FakeAutoscaler
from vast_pyworker.worker.starting.listening import Place, check_free


def test_pain_10_two_worker_processes_are_refused_with_the_reason(tmp_path: Path) -> None:
    """Peers: N processes are N copies of the model, or N different truths about the load.

    Ours: one process owns the state; a configuration with more does not start, and says why.
    """
    environ = {"BACKEND": "helloworld", "PYWORKER_STATE": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "-c", CONFIGURATION, "--workers", "2"],
        env={**environ, "WORKER_PORT": str(free_port())},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode != 0
    assert "workers is 2" in done.stderr and "set workers to 1" in done.stderr


def test_pain_17_a_start_that_failed_is_told_instead_of_served(tmp_path: Path) -> None:
    """Peers: the worker stays available after a fatal error of its start, or dies in silence.

    Ours: without an autoscaler it ends with a sentence and its own exit status
    (`docs/starting.md`); with one it stays up, takes no request and reports the cause.
    """
    with FakeAutoscaler() as autoscaler:
        extra = {"CONTAINER_ID": "7", "REPORT_ADDR": autoscaler.url}
        with running(tmp_path / "beacon", "nosuch", "/livez", extra=extra) as worker:
            assert autoscaler.wait(lambda each: each.reports and each.reports[-1]["error_msg"])
            told = autoscaler.reports[-1]["error_msg"]
            assert "no backend 'nosuch'" in told and "llamacpp" in told
            assert worker.get("/readyz").status == 503
    alone = RunningWorker(tmp_path / "alone", "nosuch").launch()
    assert alone.await_end() != 0
    assert "no backend 'nosuch'" in alone.log


def test_pain_24_the_local_mode_is_the_worker_itself(tmp_path: Path) -> None:
    """Peers: the local development server is another server, with other bugs.

    Ours: `vast-pyworker dev` runs the same gunicorn, settings and reports; only the autoscaler is
    ours, and prints what it is told.
    """
    assert dev.CONFIGURATION == start.CONFIGURATION
    port, pipe = free_port(), subprocess.PIPE
    environ = {"PATH": os.environ["PATH"], "WORKER_PORT": str(port), "PYTHONUNBUFFERED": "1"}
    environ["PYWORKER_STATE"] = str(tmp_path)
    command = [sys.executable, "-m", "vast_pyworker.cli", "dev", "helloworld"]
    with subprocess.Popen(command, env=environ, cwd=ROOT, stdout=pipe, stderr=pipe) as process:
        try:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, b"")
            report = next(line for line in lines if _is_loaded_report(line))
            assert b"mtoken" not in report
            assert _post(port, "/increment", {"amount": 2}).text == "Incremented"
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _is_loaded_report(line: bytes) -> bool:
    name, _, text = line.partition(b" ")
    return name == b"report" and json.loads(text)["loadtime"] > 0


def _post(port: int, path: str, payload: Any) -> Answer:
    headers = {"Content-Type": "application/json"}
    return Call(port, "POST", path, json.dumps(payload).encode(), headers).read()


def test_pain_plus1_who_has_the_port_is_named(house: House) -> None:
    """Peers: two copies start, the second cannot bind, the instance reboots for ever.

    Ours: one start at a time per port, a second one finds the first and says so, a port that is
    taken is told with the process that has it.
    """
    with pytest.raises(NotStarted, match="set WORKER_PORT") as refusal:
        check_free(Place("127.0.0.1", house.worker.port, "", False))
    told = str(refusal.value)
    assert str(house.worker.port) in told
    assert any(f"(pid {pid})" in told for pid in (house.worker.pid, house.worker.child))
