"""A real worker around routes of a test's own: its books, its gate, its application, a server.

The model server is one that follows a script (``engine.fakes``). Nothing here reads the
environment or starts more than a test asks for.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from vast_pyworker import signature
from vast_pyworker.engine import Origin
from vast_pyworker.engine.fakes import Message, ScriptedServer, Wire, whole
from vast_pyworker.engine.running import RunningServer
from vast_pyworker.settings import Settings
from vast_pyworker.worker.app import WorkerApp, create_app
from vast_pyworker.worker.contract.loading import Loaded
from vast_pyworker.worker.phases.readiness import Readiness
from vast_pyworker.worker.reports.accounting import Accounting
from vast_pyworker.worker.state import Worker, shared_gate, timeouts_of
from vast_pyworker.worker.traffic.auth import Gatekeeper
from vast_pyworker.worker.traffic.passage import cancel_within
from vast_pyworker.worker.traffic.sessions import Sessions

URL = "http://127.0.0.1:3000"
API_KEY = "an-api-key"
TOKEN = "a-master-token"
LIMIT_S = 10.0
JSON = {"Content-Type": "application/json"}

FlaskDict = Mapping[str, Mapping[str, Any]]


class Keys:
    """A key source that knows its key."""

    revision = 1

    def __init__(self, key: RSAPublicKey | None = None) -> None:
        self.key = key

    def refresh(self) -> None:
        """There is no other key."""


class Nothing:
    """A Backend without anything."""


def wait_until(true: Callable[[], Any], what: str = "what was waited for") -> Any:
    """Poll until ``true()`` is; fail naming ``what`` otherwise."""
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        if found := true():
            return found
        time.sleep(0.005)
    raise AssertionError(f"no {what} within {LIMIT_S:g} s")


def worker_of(
    routes: FlaskDict,
    model_url: str,
    *,
    backend: Any = None,
    key: RSAPublicKey | None = None,
    ready: bool = True,
    **settings: str,
) -> Worker:
    """A worker for ``routes``; ``settings`` by the names of the environment. Signed by default."""
    known = {"UNSECURED": "false", "PYWORKER_API_KEYS": API_KEY, "MASTER_TOKEN": TOKEN}
    read = Settings.from_env({**known, **settings})
    backend = Nothing() if backend is None else backend
    stripped = {
        method: {path.lstrip("/"): handler for path, handler in endpoints.items()}
        for method, endpoints in routes.items()
    }
    loaded = Loaded("rig", Path("backends/rig"), ModuleType("rig"), type(backend), stripped)
    accounting, readiness = Accounting(), Readiness()
    if ready:
        readiness.assume_ready(100.0)
    passages: set[Any] = set()
    return Worker(
        settings=read,
        loaded=loaded,
        backend=backend,
        accounting=accounting,
        readiness=readiness,
        gatekeeper=Gatekeeper(
            Keys(key),
            (URL,),
            api_keys=read.api_keys,
            master_token=read.master_token,
            accepts_unsigned=read.accepts_unsigned,
        ),
        sessions=Sessions(
            accounting,
            max_sessions=read.max_sessions,
            on_close=lambda session: cancel_within(session.session_id, passages),
        ),
        origin=Origin(model_url),
        timeouts=timeouts_of(read),
        gate=shared_gate(backend, read, readiness),
        passages=passages,
    )


def grant(key: Any, form: signature.Form = "url", **fields: Any) -> dict[str, Any]:
    """A signed grant for ``URL``."""
    message = {"cost": 1.0, "endpoint": "rig", "reqnum": 1, "request_idx": 7, "url": URL, **fields}
    return {**message, "signature": signature.sign(key, message, form)}


@dataclass(frozen=True)
class Answer:
    """A whole answer; header names are lower case. ``broken``: it ended in the middle."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    broken: bool = False

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Call:
    """One request on a connection of its own; ``leave`` closes it, whatever has come."""

    def __init__(
        self,
        address: tuple[str, int],
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._connection = http.client.HTTPConnection(*address, timeout=LIMIT_S)
        self._connection.request(method, path, body, dict(headers or {}))
        self._response: http.client.HTTPResponse | None = None

    @property
    def response(self) -> http.client.HTTPResponse:
        if self._response is None:
            self._response = self._connection.getresponse()
        return self._response

    def read_until(self, mark: bytes) -> bytes:
        """What comes up to and with ``mark``."""
        got = b""
        while mark not in got:
            piece = self.response.read1(65536)
            assert piece, f"the answer ended without {mark!r}: {got!r}"
            got += piece
        return got

    def read(self) -> Answer:
        """The whole answer, or as much of it as came."""
        broken = False
        try:
            body = self.response.read()
        except http.client.IncompleteRead as exc:
            body, broken = exc.partial, True
        except OSError:
            body, broken = b"", True
        headers = {name.lower(): value for name, value in self.response.getheaders()}
        self.leave()
        return Answer(self.response.status, headers, body, broken)

    def leave(self) -> None:
        if self._response is not None:
            self._response.close()
        self._connection.close()

    def __enter__(self) -> Call:
        return self

    def __exit__(self, *exc: object) -> None:
        self.leave()


class Model(ScriptedServer):
    """A model server with one script for each path; any other path answers ``{"path": ...}``.

    A request to ``/hold`` is held until ``release`` is set, and then answered; ``gone`` is set
    when the worker closes its connection before that.
    """

    def __init__(self, scripts: Mapping[str, Callable[[Wire, Message], None]] | None = None):
        super().__init__(self._play)
        self.scripts = {"/hold": self._hold, **(scripts or {})}
        self.release = threading.Event()
        self.held = threading.Event()
        self.gone = threading.Event()

    def _play(self, wire: Wire, message: Message) -> None:
        path = message.first.split(" ")[1].partition("?")[0]
        script = self.scripts.get(path)
        if script is None:
            wire.send(whole(json.dumps({"path": path}).encode()))
        else:
            script(wire, message)

    def _hold(self, wire: Wire, message: Message) -> None:
        self.held.set()
        wire.sock.settimeout(0.01)
        while not self.release.is_set():
            try:
                if not wire.sock.recv(1):
                    self.gone.set()
                    return
            except TimeoutError:
                continue
            except OSError:
                self.gone.set()
                return
        wire.sock.settimeout(LIMIT_S)
        wire.send(whole(b'{"held":true}'))

    def stop(self) -> None:
        self.release.set()
        super().stop()


@dataclass
class Rig:
    """A worker under the engine, in a thread of this process."""

    worker: Worker
    app: WorkerApp
    running: RunningServer
    model: Model | None = None
    threads: int = field(default=4)

    @property
    def address(self) -> tuple[str, int]:
        address = self.running.address
        assert isinstance(address, tuple)
        return address

    def open(
        self,
        path: str,
        payload: Any = None,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        key: bool = True,
    ) -> Call:
        """Send a request; with the API key unless told otherwise."""
        sent = dict(JSON) if payload is not None else {}
        sent |= {"Authorization": f"Bearer {API_KEY}"} if key else {}
        body = None if payload is None else json.dumps(payload).encode()
        return Call(self.address, method, path, body, {**sent, **(headers or {})})

    def ask(self, path: str, payload: Any = None, **options: Any) -> Answer:
        return self.open(path, payload, **options).read()

    def get(self, path: str, **options: Any) -> Answer:
        return self.ask(path, method="GET", **options)

    def at_rest(self) -> None:
        """Wait until nothing is under way."""
        wait_until(lambda: self.worker.accounting.in_flight == 0, "end of every request")

    def requests(self, route: str) -> dict[str, int]:
        """How requests of a route ended; only what happened."""
        totals = self.worker.accounting.totals().get(route)
        return {} if totals is None else {name: n for name, n in totals.requests.items() if n}

    def ended(self, route: str, **counts: int) -> None:
        """Wait until the requests of a route ended so; an answer is out before it is booked."""
        try:
            wait_until(lambda: self.requests(route) == counts)
        except AssertionError:
            raise AssertionError(f"{route}: {self.requests(route)}, not {counts}") from None

    def work(self, route: str) -> dict[str, float]:
        totals = self.worker.accounting.totals()[route]
        return {name: work for name, work in totals.work.items() if totals.requests[name]}


@contextmanager
def rigged(
    routes: FlaskDict,
    scripts: Mapping[str, Callable[[Wire, Message], None]] | None = None,
    **options: Any,
) -> Iterator[Rig]:
    """A rig with a model of its own; ``options`` as for ``worker_of``."""
    with Model(scripts) as model:
        worker = worker_of(routes, model.url, **options)
        app = create_app(worker)
        with RunningServer(app, limits=app.limits) as running:
            yield Rig(worker, app, running, model)
