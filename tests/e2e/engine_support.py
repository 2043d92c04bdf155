"""What the tests of the engine under gunicorn stand on: an application, and gunicorn around it.

``gunicorn engine_support:build_app()`` serves the application below in a process of its own.
"""

from __future__ import annotations

import os
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

from flask import Flask, Response, request

from vast_pyworker.engine import Exchange, Limits, Origin, RelayPlan
from vast_pyworker.engine.fakes import Message, Wire, connect

ROOT = Path(__file__).resolve().parents[2]
WORKER = "vast_pyworker.engine.worker.EngineWorker"
JSON = (("Content-Type", "application/json"),)
LIMIT_S = 30.0

# A test inherits the machine, not the settings of whoever runs it.
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")


class Unobserved:
    """A RelayObserver that does not care."""

    def on_head(self, status: int) -> None: ...

    def on_progress(self) -> None: ...

    def on_end(self, end: Any) -> None: ...


def build_app() -> Flask:
    """Flask routes, native ones, and ``/relay`` to the model server of ``ENGINE_TEST_ORIGIN``."""
    app = Flask(__name__)
    app.limits = Limits(idle_s=20.0)  # type: ignore[attr-defined]
    app.served_while_draining = frozenset(("/pid",))  # type: ignore[attr-defined]
    app.native_routes = {  # type: ignore[attr-defined]
        ("GET", "/pid"): lambda exchange: exchange.respond(200, JSON, b"%d" % os.getpid()),
        ("GET", "/loop"): lambda exchange: exchange.respond(200, JSON, _loop_name(exchange)),
        ("GET", "/block"): lambda exchange: time.sleep(60),
    }
    origin = os.environ.get("ENGINE_TEST_ORIGIN")
    if origin:
        plan = RelayPlan(Origin(origin), "/", method="GET")
        app.native_routes["GET", "/relay"] = (  # type: ignore[attr-defined]
            lambda exchange: exchange.relay(plan, exchange.body, Unobserved())
        )
    _add_flask_routes(app)
    return app


def _loop_name(exchange: Exchange) -> bytes:
    return type(exchange.client.server.loop).__module__.encode()


def _add_flask_routes(app: Flask) -> None:
    @app.post("/echo")
    def _echo() -> bytes:
        return request.get_data()

    @app.get("/sleep")
    def _sleep() -> str:
        time.sleep(float(request.args["s"]))
        return "slept"

    @app.get("/stream")
    def _stream() -> Response:
        count, pause_s = int(request.args["n"]), float(request.args["s"])

        def pieces() -> Iterator[str]:
            for number in range(count):
                yield f"data: {number}\n\n"
                time.sleep(pause_s)

        return Response(pieces(), mimetype="text/event-stream")

    @app.get("/threads")
    def _threads() -> list[str]:
        return [thread.name for thread in threading.enumerate()]


def wait_until(true: Callable[[], Any], what: str, limit_s: float = LIMIT_S) -> Any:
    """Poll until ``true()`` is; fail naming ``what`` otherwise."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if found := true():
            return found
        time.sleep(0.02)
    raise AssertionError(f"no {what} within {limit_s:g} s")


class Gunicorn:
    """A running gunicorn with the engine; ``log`` is what it wrote."""

    def __init__(self, folder: Path, *options: str, env: dict[str, str] | None = None) -> None:
        self._log_path = folder / "gunicorn.log"
        command = [sys.executable, "-m", "gunicorn", "-k", WORKER, "--no-control-socket"]
        if not any(option in ("-b", "--bind") for option in options):
            command += ["-b", "127.0.0.1:0"]
        with self._log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *options, "engine_support:build_app()"],
                cwd=Path(__file__).parent,
                env=_environment(env or {}),
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        return self._log_path.read_text(errors="replace")

    @property
    def address(self) -> tuple[str, int]:
        url = self.log.split("Listening at: ")[1].split()[0]
        host, _, port = url.partition("//")[2].rpartition(":")
        return host.strip("[]"), int(port)

    def wait_ready(self) -> None:
        wait_until(lambda: "Listening at" in self.log, f"listener; it said: {self.log}")
        wait_until(lambda: self.get("/pid").status == 200, "answer")

    def open(self) -> Wire:
        return connect(self.address)

    def get(self, path: str) -> Message:
        with self.open() as wire:
            wire.send(get(path))
            return wire.read_message()

    def worker_pid(self) -> int:
        return int(self.get("/pid").body)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def exited(self, limit_s: float = LIMIT_S) -> int:
        """The exit status, which must come within ``limit_s``."""
        return self.process.wait(limit_s)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)


def _environment(more: dict[str, str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    paths = [*filter(None, [more.pop("PYTHONPATH", "")]), str(ROOT)]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), **more}


def get(path: str, headers: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: worker\r\n{headers}\r\n".encode()


@contextmanager
def gunicorn(folder: Path, *options: str, env: dict[str, str] | None = None) -> Iterator[Gunicorn]:
    """gunicorn ready to answer on 127.0.0.1; killed at the end if it still runs."""
    running = Gunicorn(folder, *options, env=env)
    try:
        running.wait_ready()
        yield running
    except BaseException:
        print(running.log)
        raise
    finally:
        pids = _children(running.process.pid)
        running.stop()
        for pid in pids:
            wait_until(lambda pid=pid: not _exists(pid), f"end of worker {pid}")  # type: ignore[misc]


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


def _exists(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def ipv6_loopback() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True
