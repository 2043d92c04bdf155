"""A market and a controller as processes: started, asked, killed and ended.

Nothing here decides or measures. Whatever they print is in a log file in their folder.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests

SCRIPTS = Path(__file__).resolve().parents[1]
ROOT = SCRIPTS.parent
KEY = "market"
ANSWERS_WITHIN_S = 30.0
ENDS_WITHIN_S = 60.0
CALL_S = 15.0
LOOK_S = 0.1
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(true: Callable[[], Any], what: str, limit_s: float = 60.0) -> Any:
    """What ``true()`` returns once that is something; fails naming ``what`` otherwise."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if found := true():
            return found
        time.sleep(LOOK_S)
    raise AssertionError(f"no {what} within {limit_s:g} s")


@dataclass
class Service:
    """``name`` is a program of ``program.py``; ``url`` is where it will answer."""

    name: str
    folder: Path
    options: dict[str, Any]
    port: int = field(default_factory=free_port)
    probe: str = "/livez"
    scheme: str = "http"
    verify: str | bool = True
    environ: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.session = requests.Session()
        self.session.trust_env = False  # nothing goes through a proxy
        self.session.verify = self.verify

    def __enter__(self) -> Service:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self._log_path.read_text(errors="replace")

    @property
    def pid(self) -> int:
        assert self._process is not None, "start() first"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def _log_path(self) -> Path:
        return self.folder / f"{self.name}.log"

    def start(self) -> None:
        """Returns when it answers."""
        options = json.dumps({**self.options, "port": self.port})
        command = (sys.executable, "-m", "soak_parts.program", self.name, options)
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environ = {**kept, "PYTHONPATH": f"{SCRIPTS}:{ROOT}", **self.environ}
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=environ, cwd=self.folder, stdin=subprocess.PIPE,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_until(self._answers, f"answer of the {self.name}; {self._log_path}", ANSWERS_WITHIN_S)

    def kill(self) -> None:
        """End it without a word."""
        self.signal(signal.SIGKILL)
        self.wait()

    def end(self) -> int:
        """Tell it to end; its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, limit_s: float = ENDS_WITHIN_S) -> int:
        assert self._process is not None
        code = self._process.wait(limit_s)
        if self._process.stdin is not None:
            self._process.stdin.close()
        return code

    def close(self) -> None:
        """End it, whatever it takes."""
        self.session.close()
        if self.is_running:
            self.signal(signal.SIGTERM)
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self.kill()

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The JSON of its answer; requests.HTTPError where that is a refusal."""
        with self.session.request(
            method, self.url + path, json=body, headers=headers, timeout=CALL_S
        ) as answer:
            answer.raise_for_status()
            return answer.json()

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        return self.call("POST", path, {} if body is None else body)

    def _answers(self) -> bool:
        assert self.is_running, f"the {self.name} has ended:\n{self.log[-4000:]}"
        try:
            self.session.get(self.url + self.probe, timeout=CALL_S).close()
        except requests.RequestException:
            return False
        return True


class Market(Service):
    """Its instances are processes below its folder."""

    def __init__(self, folder: Path, **options: Any) -> None:
        usual = {"runtime": "process", "limits": False, "loading_median_s": 0.5, "key": KEY}
        instances = folder / "instances"
        options = {**usual, "folder": str(instances), **options}
        super().__init__("market", folder, options, probe="/market/summary")

    @property
    def instances(self) -> int:
        return int(self.get("/market/summary")["instances"])

    @property
    def usd_spent(self) -> float:
        return float(self.get("/market/summary")["usd_spent"])

    def strike(self, kind: str, instance_id: int, **params: Any) -> None:
        """A blow of the world against one instance."""
        body = {"kind": kind, "instance_id": instance_id, "params": params}
        self.post("/market/strike", body)

    def suffer(self, *faults: dict[str, Any]) -> None:
        """These faults, and no others, from now on."""
        self.call("PUT", "/market/faults", list(faults))

    def destroy(self, instance_id: int) -> None:
        """As another hand would do it."""
        self.call("DELETE", f"/api/v0/instances/{instance_id}/", {}, Authorization=f"Bearer {KEY}")

    def processes(self, instance_id: int | None = None) -> list[psutil.Process]:
        """Those of one instance, or of all, keepers not counted."""
        folder = f"{self.options['folder']}/"
        return [
            each
            for each, environ in _environs()
            if environ.get("HOME", "").startswith(folder)
            and environ.get("CONTAINER_ID") is not None
            and instance_id in (None, int(environ["CONTAINER_ID"]))
            and "keeper.py" not in " ".join(_words(each))
        ]


class Controller(Service):
    """Keeps ``groups``, a text, on a market. ``ca`` is the file by which its certificate is
    trusted, where its options have one."""

    def __init__(
        self, folder: Path, market: Market, groups: str, *, ca: str = "", **options: Any
    ) -> None:
        file, state = folder / "groups.toml", folder / "state"
        usual = {"groups": str(file), "state": str(state), "api_key": KEY, "market": market.url}
        scheme = "https" if "tls_cert" in options else "http"
        super().__init__(
            "controller", folder, {**usual, **options}, scheme=scheme, verify=ca or True
        )
        state.mkdir(mode=0o700, exist_ok=True)
        self.write(groups)

    def write(self, groups: str) -> None:
        """What it reads at its start, and at SIGHUP."""
        (self.folder / "groups.toml").write_text(groups)

    def start(self) -> None:
        super().start()
        self.session.headers["Authorization"] = f"Bearer {self.admin_key}"

    @property
    def admin_key(self) -> str:
        return (self.folder / "state" / "admin.key").read_text().strip()

    def endpoint_key(self, endpoint: str) -> str:
        rows = self.get("/api/v0/endptjobs/")["results"]
        return next(str(each["api_key"]) for each in rows if each["endpoint_name"] == endpoint)

    def members(self, group: str | None = None) -> list[dict[str, Any]]:
        rows = self.get("/members")["members"]
        return [each for each in rows if group in (None, each["group"])]

    def ready(self, group: str) -> list[dict[str, Any]]:
        return [each for each in self.members(group) if each["stage"] == "ready"]

    def await_ready(self, group: str, count: int, limit_s: float = 60.0) -> list[dict[str, Any]]:
        """The members of a group, once exactly so many are there and all are ready."""

        def found() -> list[dict[str, Any]] | None:
            rows = self.members(group)
            stages = [each["stage"] for each in rows]
            return rows if stages == ["ready"] * count and rows else None

        try:
            members: list[dict[str, Any]] = wait_until(found, f"{count} ready of {group}", limit_s)
        except AssertionError as exc:
            raise AssertionError(f"{exc}; there are {self.members(group)}") from None
        return members

    def scale(self, group: str, count: int | None) -> None:
        """Hold a group at a number; None gives it back to its policy."""
        self.post(f"/groups/{group}/scale", {"instances": count})

    def route(self, endpoint: str, cost: float = 1.0, idx: int = 0, key: str = "") -> Any:
        """One call of ``/route/``."""
        body = {"endpoint": endpoint, "cost": cost, "request_idx": idx}
        key = key or self.endpoint_key(endpoint)
        return self.call("POST", "/route/", body, Authorization=f"Bearer {key}")


def _environs() -> list[tuple[psutil.Process, dict[str, str]]]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append((process, process.environ()))
    return found


def _words(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return list(process.cmdline())
    return []
