"""``backends/ollama/server.py`` with an Ollama of ours, started by it or by somebody else."""

from __future__ import annotations

import importlib.util
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from vast_pyworker.settings import Settings
from vast_pyworker.worker.modellog.patterns import PatternTable

FAKE = Path(__file__).parents[2] / "data" / "fake_ollama.py"
PATIENCE_S = 30.0


def fake_ollama() -> Any:
    spec = importlib.util.spec_from_file_location("fake_ollama", FAKE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Launched:
    """The launcher as a process, what its log means, and the address of its Ollama."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, url: str, table: Any) -> None:
        self.process = process
        self.url = url
        self._log = log
        self._table = table

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def actions(self) -> list[str]:
        return [match.action for match in self._table.scan(self.log.splitlines(), now=0.0)]

    def wait_for(self, met: Callable[[], Any]) -> None:
        until = time.monotonic() + PATIENCE_S
        while not met():
            assert time.monotonic() < until, self.log
            time.sleep(0.02)

    def in_memory(self) -> list[str]:
        told = requests.get(f"{self.url}/api/ps", timeout=5).json()
        return [each["name"] for each in told["models"]]


@pytest.fixture
def launched(tmp_path, backend) -> Callable[..., Any]:
    """Start the backend's command, with our Ollama as the one that is installed."""
    program = tmp_path / "bin" / "ollama"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE} "$@"\n')
    program.chmod(0o755)

    @contextmanager
    def launch(
        model: str, *, at: str | None = None, installed: bool = True, **environ: str
    ) -> Iterator[Launched]:
        url = at or f"http://127.0.0.1:{free_port()}"
        made = backend("ollama")
        command = made.model_command(Settings(model_name=model, model_server=url))
        path = str(program.parent) if installed else str(tmp_path)
        log = tmp_path / "model.log"
        with (
            log.open("wb") as out,
            subprocess.Popen(command, stderr=out, env={"PATH": path, **environ}) as process,
        ):
            try:
                yield Launched(process, log, url, PatternTable(made.log_patterns))
            finally:
                process.terminate()

    return launch


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def somebody_elses():
    """An Ollama that runs already."""
    with fake_ollama().FakeOllama(("127.0.0.1", 0), {"there"}) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(PATIENCE_S)


def test_a_model_is_pulled_with_progress_loaded_and_held(launched):
    with launched("tiny") as server:
        server.wait_for(lambda: "loaded" in server.actions())
        assert server.in_memory() == ["tiny:latest"]
        assert "pulling tiny: 50%, 500 of 1000 bytes" in server.log
        assert "pulling tiny: 100%, 1010 of 1010 bytes" in server.log
        assert "for 4" in server.log  # requests at once
        assert "error" not in server.actions()


def test_a_model_on_disk_is_not_pulled_again(launched):
    with launched("tiny", FAKE_OLLAMA_HAS="tiny") as server:
        server.wait_for(lambda: "loaded" in server.actions())
        assert "pulling" not in server.log


def test_a_model_that_only_embeds_is_loaded_by_embedding(launched):
    with launched("embed") as server:
        server.wait_for(lambda: "loaded" in server.actions())
        assert server.in_memory() == ["embed:latest"]


@pytest.mark.parametrize(("model", "says"), [("none", "correct MODEL_NAME"), ("big", "memory")])
def test_a_model_that_cannot_be_had_is_one_sentence_and_an_end(model, says, launched):
    with launched(model) as server:
        assert server.process.wait(PATIENCE_S) == 1
        assert "error" in server.actions()
        assert says in server.log.splitlines()[-1] or says in server.log
        with pytest.raises(requests.ConnectionError):  # the Ollama it started is gone as well
            requests.get(server.url, timeout=5)


def test_without_a_model_it_is_ready_for_any(launched):
    with launched("") as server:
        server.wait_for(lambda: "loaded" in server.actions())
        assert server.in_memory() == []


def test_an_ollama_of_somebody_else_is_used_and_left_running(launched, somebody_elses):
    url = f"http://127.0.0.1:{somebody_elses.server_port}"
    with launched("there", at=url, installed=False) as server:
        server.wait_for(lambda: "loaded" in server.actions())
        assert [path for path, _ in somebody_elses.asked] == ["/api/generate"]
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE_S) == 0
    assert requests.get(url, timeout=5).ok


def test_one_that_is_not_there_yet_is_waited_for(launched):
    with launched("tiny", installed=False) as server:
        server.wait_for(lambda: "waiting for" in server.log)
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE_S) == 0


def test_when_its_ollama_dies_it_says_so_and_ends(launched):
    with launched("tiny") as server:
        server.wait_for(lambda: "loaded" in server.actions())
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        for child in children.read_text().split():
            subprocess.run(["kill", "-9", child], check=True)
        assert server.process.wait(PATIENCE_S) == 1
        assert "ollama serve ended with -9" in server.log
