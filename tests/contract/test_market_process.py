"""The market as a process: signals end it cleanly, its state saved and its instances gone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import requests

PROGRAM = """
import sys
from pathlib import Path
from vast_pyworker.market.main import MarketOptions, run
options = MarketOptions(
    port=0, hosts=5, limits=False, clock=100.0, runtime="process", state=Path(sys.argv[1])
)
sys.exit(run(options))
"""
ROOT = Path(__file__).resolve().parents[2]


def url_said_by(market: subprocess.Popen[str]) -> str:
    assert market.stdout is not None
    lines = [market.stdout.readline() for _ in range(4)]
    assert lines[3].startswith("Try: "), lines
    return lines[0].split()[-1]


def call(url: str, method: str, path: str, body: object = None) -> dict[str, object]:
    headers = {"Authorization": "Bearer market"}
    with requests.Session() as session:
        answer = session.request(method, url + path, json=body, headers=headers, timeout=10)
    found: dict[str, object] = answer.json()
    return found


def wait_until(done: Callable[[], object]) -> None:
    """Bounded; the bound is far beyond what it takes."""
    for _ in range(600):
        if done():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come about")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_all_that_it_runs(tmp_path: Path, number: signal.Signals) -> None:
    state, marker = tmp_path / "state.json", tmp_path / "pid"
    command = [sys.executable, "-c", PROGRAM, str(state)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as market:
        try:
            url = url_said_by(market)
            query = {"num_gpus": {"eq": 1}, "rentable": {"eq": True}, "limit": 1}
            offers = call(url, "POST", "/api/v0/bundles/", query)["offers"]
            assert isinstance(offers, list)
            onstart = f"echo $$ > {marker}; exec sleep 600"
            body = {"image": "i", "disk": 5, "onstart": onstart}
            made = call(url, "PUT", f"/api/v0/asks/{offers[0]['id']}/", body)
            wait_until(lambda: marker.exists() and marker.read_text().strip())
            pid = int(marker.read_text())
            assert psutil.pid_exists(pid)
            market.send_signal(number)
            out, err = market.communicate(timeout=60)
        finally:
            market.kill()
    assert (market.returncode, err) == (0, ""), out
    wait_until(lambda: not psutil.pid_exists(pid))
    saved = json.loads(state.read_text())
    assert [row["id"] for row in saved["market"]["contracts"]] == [made["new_contract"]]
