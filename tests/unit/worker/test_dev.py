"""The worker for the desk: serves, prints its reports, starts anew when its backend changes."""

from __future__ import annotations

import json
import os
import queue
import socket
import threading
import time
from pathlib import Path

import pytest
import requests

from vast_pyworker.worker import dev
from vast_pyworker.worker.contract.loading import SHIPPED

LIMIT_S = 60.0
SOURCE = """
class Backend:
    pass

def say(backend, request):
    return {"said": SAID}

flask_dict = {"GET": {"say": say}}
"""


class Desk:
    """A running ``dev`` of one backend: what it said, and its address."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "mine" / "backend.py"
        self.file.parent.mkdir()
        self.write("one")
        self.said: queue.Queue[str] = queue.Queue()
        self.stop = threading.Event()
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            self.port = held.getsockname()[1]
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SHIPPED.parent),
            "PYWORKER_BACKENDS": str(folder),
            "PYWORKER_STATE": str(folder / "state"),
            "WORKER_PORT": str(self.port),
        }
        arguments = ("mine", [self.file.parent], environ, self.said.put, self.stop)
        self.thread = threading.Thread(target=dev.run, args=arguments, daemon=True)
        self.thread.start()

    def write(self, said: str) -> None:
        self.file.write_text(SOURCE.replace("SAID", repr(said)))

    def hear(self, beginning: str) -> str:
        """The next line that begins so."""
        until = time.monotonic() + LIMIT_S
        while True:
            line = self.said.get(timeout=until - time.monotonic())
            if line.startswith(beginning):
                return line

    def answers(self, said: str) -> bool:
        """Whether it comes to answer this, within the limit."""
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until:
            try:
                answer = requests.get(f"http://127.0.0.1:{self.port}/say", timeout=5)
                if answer.ok and answer.json() == {"said": said}:
                    return True
            except requests.ConnectionError:
                pass
            time.sleep(0.1)
        return False


@pytest.fixture
def desk(tmp_path):
    running = Desk(tmp_path)
    yield running
    running.stop.set()
    running.thread.join(30)
    assert not running.thread.is_alive()


def test_it_serves_reports_and_starts_anew(desk):
    assert desk.answers("one")
    report = json.loads(desk.hear("report ").removeprefix("report "))
    assert report["id"] == 1
    assert report["url"] == f"http://127.0.0.1:{desk.port}"
    assert "mtoken" not in report
    desk.write("two")
    assert desk.hear("changed ") == "changed backend.py: starting anew"
    assert desk.answers("two")


def test_a_worker_that_ends_waits_for_a_change(desk):
    assert desk.answers("one")
    desk.file.write_text("this is no Python\n")
    desk.hear("changed ")
    desk.hear("report ")  # of the error: where an autoscaler listens, the worker stays
    desk.write("three")
    assert desk.answers("three")


def test_a_report_is_one_line_without_the_token():
    line = dev.report_line({"id": 1, "mtoken": "secret", "error_msg": "two\nlines"})
    assert line == 'report {"id":1,"error_msg":"two\\nlines"}'
