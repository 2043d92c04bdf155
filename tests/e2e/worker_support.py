"""A real worker for tests: gunicorn in a process, real sockets, a state folder of its own.

``RunningWorker`` starts it, asks it, reads its log and ends it by its number; nothing it started
outlives it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from client_support import Answer, Call
from prometheus_client.parser import text_string_to_metric_families

from vast_pyworker.worker.modelserver.supervisor import model_folder, stop_recorded

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = "python:vast_pyworker.worker.gunicorn_conf"
LIMIT_S = 30.0
ENDING_S = 20.0

# A test inherits the machine, not the settings of whoever runs it.
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")
_DEFAULTS = {
    "PYWORKER_HOST": "127.0.0.1",
    "PUBLIC_IPADDR": "127.0.0.1",
    "DRAIN_TIMEOUT": "3",
    "BENCHMARK_RUNS": "1",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(true: Callable[[], Any], what: str, limit_s: float = LIMIT_S) -> Any:
    """Poll until ``true()`` is; fail naming ``what`` otherwise."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if found := true():
            return found
        time.sleep(0.01)
    raise AssertionError(f"no {what} within {limit_s:g} s")


def lives(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


Signer = Callable[[str], Mapping[str, Any]]


@dataclass
class RunningWorker:
    """``backend`` served by a process of its own; ``extra`` are settings, ``arguments`` gunicorn's.

    ``sign`` makes a grant for a worker's url; where it is given, ``ask`` and ``open`` wrap what
    they send in an envelope with one. ``tls`` trusts its certificate, where it has one.
    """

    folder: Path
    backend: str
    extra: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    sign: Signer | None = None
    tls: ssl.SSLContext | None = None
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.state.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def log_path(self) -> Path:
        return self.folder / "worker.log"

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        ours = {
            "BACKEND": self.backend,
            "WORKER_PORT": str(self.port),
            "PYWORKER_STATE": str(self.state),
        }
        return {**kept, **_DEFAULTS, **ours, **self.extra}

    # Its life

    def launch(self) -> RunningWorker:
        """Start the process, and return at once."""
        command = (sys.executable, "-m", "gunicorn", "-c", CONFIGURATION, *self.arguments)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=self.environ, cwd=ROOT, stdout=log, stderr=log
            )
        return self

    def start(self, probe: str = "/readyz", limit_s: float = LIMIT_S) -> RunningWorker:
        """Start it, and return when ``probe`` says 200."""
        return self.launch().await_probe(probe, limit_s)

    def await_key(self) -> RunningWorker:
        """Return when the autoscaler's public key is known, so that grants can be checked."""
        wait_until(lambda: "Fetched the public key" in self.log, f"key in {self.log_path}")
        return self

    def await_probe(self, probe: str = "/readyz", limit_s: float = LIMIT_S) -> RunningWorker:
        wait_until(lambda: self._answers(probe), f"200 at {probe} of {self.log_path}", limit_s)
        return self

    def _answers(self, probe: str) -> bool:
        assert self.is_running, f"the worker has ended:\n{self.log[-4000:]}"
        try:
            return self.get(probe).status == 200
        except OSError:
            return False

    @property
    def pid(self) -> int:
        """gunicorn's master."""
        assert self._process is not None, "start() first"
        return self._process.pid

    @property
    def child(self) -> int:
        """The process that serves, a child of the master."""
        title = "gunicorn"  # the model server, started by it, is no child of the master
        children = psutil.Process(self.pid).children()
        found = [each.pid for each in children if title in " ".join(each.cmdline())]
        return found[0]

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def await_end(self) -> int:
        """The exit status."""
        assert self._process is not None
        return self._process.wait(ENDING_S)

    def stop(self) -> None:
        """End it, gently at first, and the model it supervises."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(ENDING_S)
            except subprocess.TimeoutExpired:
                for child in psutil.Process(self.pid).children(recursive=True):
                    child.kill()
                self._process.kill()
                self._process.wait()
        stop_recorded(model_folder(self.state, self.port), deadline_s=2.0)

    # Talking to it

    def open(
        self,
        path: str,
        payload: Any = None,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        signed: bool = True,
        **grant: Any,
    ) -> Call:
        """Send a request and return before its answer; ``grant`` fields go before the signer's."""
        if signed and payload is not None and self.sign is not None:
            payload = {"auth_data": {**self.sign(self.url), **grant}, "payload": payload}
        sent = {"Content-Type": "application/json"} if payload is not None else {}
        body = b"" if payload is None else json.dumps(payload).encode()
        return Call(self.port, method, path, body, {**sent, **(headers or {})}, self.tls)

    def ask(self, path: str, payload: Any, **options: Any) -> Answer:
        """POST ``payload``; the whole answer."""
        return self.open(path, payload, **options).read()

    def get(self, path: str, **options: Any) -> Answer:
        return self.open(path, method="GET", **options).read()

    @property
    def status(self) -> dict[str, Any]:
        """What /pyworker/status says."""
        document: dict[str, Any] = self.get("/pyworker/status").json
        return document

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of /metrics with this name and these labels."""
        families = text_string_to_metric_families(self.get("/metrics").text)
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def await_state(self, *states: str) -> dict[str, Any]:
        """The status, once it is in one of ``states``."""

        def seen() -> dict[str, Any] | None:
            status = self.status
            return status if status["state"] in states else None

        found: dict[str, Any] = wait_until(seen, f"{' or '.join(states)} in {self.log_path}")
        return found


@contextmanager
def running(folder: Path, backend: str, probe: str = "/readyz", **more: Any) -> Iterator[Any]:
    """A worker that answers ``probe``, ended afterwards. ``more`` as for ``RunningWorker``."""
    worker = RunningWorker(folder, backend, **more)
    try:
        yield worker.start(probe)
    finally:
        worker.stop()
