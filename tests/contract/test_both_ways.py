"""``forward`` and ``Relay``, on the loop and in a thread: what they do cannot be told apart.

One table (``both_ways_cases``), asked of a declared route and of a handler that returns ``Relay``,
under the engine (natively, and through Flask), under gunicorn's ``gthread`` and by Flask's test
client. Status, the headers that matter, body, books, and what the model got are the same.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "unit" / "worker")]

from both_ways_app import apps  # noqa: E402
from both_ways_cases import CASES, SCRIPTS, Case  # noqa: E402
from worker_rig import Answer, Call, Model, wait_until  # noqa: E402

from vast_pyworker import signature  # noqa: E402
from vast_pyworker.engine.running import RunningServer  # noqa: E402

WAYS = ("engine", "engine-flask", "gthread", "test-client")
END_S = 10.0


class Way(Protocol):
    def ask(self, case: Case, path: str, body: bytes | None) -> Answer: ...

    def tell(self, case: Case, what: str) -> None: ...

    def books(self, case: Case) -> dict[str, Any]: ...


class BySocket:
    """A server behind an address for each world."""

    def __init__(self, addresses: Mapping[str, tuple[str, int]], escaped: bool = False) -> None:
        self._addresses = addresses
        self._escaped = escaped

    def ask(self, case: Case, path: str, body: bytes | None) -> Answer:
        if self._escaped:  # an escaped path is no native route's, so Flask gets it
            path = f"/%{ord(path[1]):x}{path[2:]}"
        return self._ask(case, case.method, path + case.query, body, case.sent)

    def tell(self, case: Case, what: str) -> None:
        body = json.dumps({"do": what}).encode()
        assert self._ask(case, "POST", "/control", body, JSON).status == 200

    def books(self, case: Case) -> dict[str, Any]:
        told: dict[str, Any] = self._ask(case, "GET", "/books", None, {}).json
        return told

    def _ask(
        self, case: Case, method: str, path: str, body: bytes | None, sent: Mapping[str, str]
    ) -> Answer:
        address = self._addresses[case.world]
        return Call(address, method, path, body, {**sent, "X-World": case.world}).read()


class ByClient:
    """Flask's own test client."""

    def __init__(self, worlds: Mapping[str, Any]) -> None:
        self._worlds = worlds

    def ask(self, case: Case, path: str, body: bytes | None) -> Answer:
        return self._ask(case, case.method, path + case.query, body, case.sent)

    def tell(self, case: Case, what: str) -> None:
        body = json.dumps({"do": what}).encode()
        assert self._ask(case, "POST", "/control", body, JSON).status == 200

    def books(self, case: Case) -> dict[str, Any]:
        told: dict[str, Any] = self._ask(case, "GET", "/books", None, {}).json
        return told

    def _ask(
        self, case: Case, method: str, path: str, body: bytes | None, sent: Mapping[str, str]
    ) -> Answer:
        client = self._worlds[case.world].test_client()
        answer = client.open(path, method=method, data=body, headers=dict(sent))
        got, broken = b"", False
        try:
            for piece in answer.response:
                got += piece
        except Exception:  # a server would cut the connection here
            broken = True
        answer.close()
        headers = {name.lower(): value for name, value in answer.headers.items()}
        if "content-length" not in headers:
            headers["transfer-encoding"] = "chunked"  # as a server would send it
        return Answer(answer.status_code, headers, got, broken)


JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def key() -> Any:
    return signature.new_private_key()


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with Model(SCRIPTS) as model:
        yield model


@pytest.fixture(scope="module")
def ways(key: Any, model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pem = signature.public_pem(key)
    with ExitStack() as stack:
        engine = {
            world: stack.enter_context(RunningServer(app, limits=app.limits)).address
            for world, app in apps(model.url, pem).items()
        }
        log = tmp_path_factory.mktemp("gthread") / "log"
        gthread = stack.enter_context(Gthread(model.url, pem, log)).address
        yield {
            "engine": BySocket(engine),
            "engine-flask": BySocket(engine, escaped=True),
            "gthread": BySocket({"open": gthread, "closed": gthread}),
            "test-client": ByClient(apps(model.url, pem)),
        }


class Gthread:
    """gunicorn's own threaded worker, as anybody might run the application."""

    def __init__(self, model_url: str, pem: str, log: Path) -> None:
        self._environ = {"TEST_MODEL_URL": model_url, "TEST_PUBLIC_KEY": pem}
        self._log = log

    def __enter__(self) -> Gthread:
        with socket.create_server(("127.0.0.1", 0)) as sock, self._log.open("wb") as log:
            self.address = sock.getsockname()
            command = [sys.executable, "-m", "gunicorn", "-k", "gthread", "--threads", "4"]
            command += ["--no-control-socket", "-b", f"fd://{sock.fileno()}"]
            path = os.pathsep.join(map(str, (ROOT, HERE)))
            self._process = subprocess.Popen(
                [*command, "both_ways_app:served_by_gunicorn()"],
                env={"PATH": os.environ["PATH"], "PYTHONPATH": path, **self._environ},
                pass_fds=[sock.fileno()],
                stdout=log,
                stderr=log,
            )
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.terminate()
        self._process.wait(END_S)


def ended(before: dict[str, Any], now: dict[str, Any], route: str) -> dict[str, Any]:
    """Count and work of each outcome of a route since ``before``."""
    nothing = {"requests": {}, "work": {}}
    was, has = before.get(route, nothing), now.get(route, nothing)
    grown = {
        label: (count - was["requests"].get(label, 0), work - was["work"].get(label, 0.0))
        for (label, count), work in zip(has["requests"].items(), has["work"].values(), strict=True)
    }
    return {label: growth for label, growth in grown.items() if growth[0]}


def drained(model: Model) -> list[Any]:
    seen = []
    while not model.requests.empty():
        seen.append(model.requests.get())
    return seen


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("form", ["forward", "relay"])
@pytest.mark.parametrize("name", WAYS)
def test_the_same_both_ways(
    name: str, form: str, case: Case, ways: Mapping[str, Way], model: Model, key: Any
) -> None:
    way = ways[name]
    route = f"/{case.path}" if form == "forward" else f"/relay/{case.path}"
    body = case.body(key) if callable(case.body) else case.body
    books = way.books(case)
    drained(model)
    if case.before:
        way.tell(case, case.before)
    try:
        answer = way.ask(case, route, body)
    finally:
        if case.after:
            way.tell(case, case.after)

    assert answer.status == case.status, answer.body
    fits = case.answer(answer.body) if callable(case.answer) else answer.body == case.answer
    assert fits, answer.body
    assert answer.broken == case.broken
    for header, value in case.headers.items():
        assert answer.headers.get(header) == value, header
    assert answer.headers.get("x-request-id")
    wait_until(lambda: ended(books, way.books(case), route), "entry in the books")
    assert ended(books, way.books(case), route) == {case.ended: (1, case.work)}
    assert way.books(case)[route]["in_progress"] == 0
    check_arrival(case, drained(model))


def check_arrival(case: Case, seen: list[Any]) -> None:
    """The model got the payload, without what is the worker's business, or nothing at all."""
    if case.arrives is None:
        assert seen == []
        return
    for message in seen:
        assert message.body == case.arrives
        assert message.get("x-request-id")
        assert message.get("authorization") is None
        if case.body is not None and case.body:
            sent = case.sent.get("Content-Type", "application/json")
            assert message.get("content-type") == sent
    assert seen
