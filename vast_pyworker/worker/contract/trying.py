"""Asks every route of a backend once, in front of a model server that answers anything.

What is looked for is an exception that a handler lets through: whatever a client sends, the
answer to it must be the backend's own. Does not judge what is answered.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from flask import Flask

from vast_pyworker.engine import Origin
from vast_pyworker.settings import Settings
from vast_pyworker.worker.app import create_app
from vast_pyworker.worker.phases.readiness import Readiness
from vast_pyworker.worker.reports import transport
from vast_pyworker.worker.reports.accounting import Accounting
from vast_pyworker.worker.state import Worker, shared_gate, timeouts_of
from vast_pyworker.worker.traffic.auth import Gatekeeper
from vast_pyworker.worker.traffic.pubkey import PublicKey
from vast_pyworker.worker.traffic.sessions import Sessions

from .loading import Handler, Loaded, describe

ROUTE_DEADLINE_S = 20.0
GUESSES: tuple[Any, ...] = (1, "text", {"max_new_tokens": 1}, [])
ATTEMPTS = 24
_BODILESS = ("GET", "HEAD", "DELETE", "OPTIONS")

Body = Mapping[str, Any]
Attempt = Callable[[Body], "Exception | None"]


class FakeModel:
    """A model server that says yes to everything, with the fields the usual APIs answer with."""

    ANSWER = json.dumps(
        {
            "id": "0",
            "object": "text_completion",
            "generated_text": "ok",
            "choices": [
                {"index": 0, "text": "ok", "message": {"role": "assistant", "content": "ok"}}
            ],
            "results": [{"text": "ok"}],
            "data": [{"index": 0, "embedding": [0.0]}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            "images": [],
            "text": "ok",
        }
    ).encode()

    def __enter__(self) -> FakeModel:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Yes)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="fake-model", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5.0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"


class _Yes(BaseHTTPRequestHandler):
    timeout = 30.0

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(FakeModel.ANSWER)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(FakeModel.ANSWER)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def faults_of(
    loaded: Loaded,
    backend: Any,
    settings: Settings,
    payload: Body,
    model_url: str,
    deadline_s: float = ROUTE_DEADLINE_S,
) -> dict[str, str]:
    """Each route that lets an exception through, as ``METHOD /path``, and which one.

    The worker around it is a real one, before the model server at ``model_url``. A handler gets
    its own ``example`` (an attribute) where it has one, else ``payload``. One that has not
    answered after ``deadline_s`` is left behind.
    """
    app = create_app(bare_worker(loaded, backend, settings, model_url))
    app.testing = True  # exceptions come through to us
    found: dict[str, str] = {}
    for method, endpoints in loaded.flask_dict.items():
        for endpoint, handler in endpoints.items():
            attempt = _attempts(app, method, endpoint)
            report = _Report(attempt, _example(handler, payload), loaded.directory)
            fault = report.within(deadline_s)
            if fault:
                found[f"{method} /{endpoint}"] = fault
    return found


def bare_worker(loaded: Loaded, backend: Any, settings: Settings, model_url: str) -> Worker:
    """A real worker that lets every request in, and in which nothing runs.

    ``model_url`` is its model server, whatever the backend says.
    """
    accounting, readiness = Accounting(), Readiness()
    readiness.loaded(1.0, reason="nothing is measured here")
    return Worker(
        settings=settings,
        loaded=loaded,
        backend=backend,
        accounting=accounting,
        readiness=readiness,
        gatekeeper=Gatekeeper(PublicKey((), transport.get), (), accepts_unsigned=True),
        sessions=Sessions(accounting),
        origin=Origin(model_url),
        timeouts=timeouts_of(settings),
        gate=shared_gate(backend, settings, readiness),
    )


def _attempts(app: Flask, method: str, endpoint: str) -> Attempt:
    """Asks the route with a body and tells what it let through."""
    path = "/" + re.sub(r"<[^>]*>", "1", endpoint)

    def attempt(body: Body) -> Exception | None:
        sent = None if method in _BODILESS else dict(body)
        try:
            app.test_client().open(path, method=method, json=sent, buffered=True)
        except Exception as exc:  # a handler is foreign code, and this is what is looked for
            return exc
        return None

    return attempt


class _Report(threading.Thread):
    """One route, asked in a thread, so that a handler which does not come back can be left."""

    def __init__(self, attempt: Attempt, body: Body, directory: Path) -> None:
        super().__init__(name="route-check", daemon=True)
        self._attempt = attempt
        self._body = body
        self._directory = directory
        self._fault = ""

    def run(self) -> None:
        exc = _persist(self._attempt, self._body)
        self._fault = "" if exc is None else describe(exc, self._directory)

    def within(self, deadline_s: float) -> str:
        """What is wrong, in words, known after ``deadline_s`` at the latest."""
        self.start()
        self.join(deadline_s)
        return f"no answer within {deadline_s:g} seconds" if self.is_alive() else self._fault


def _persist(attempt: Attempt, body: Body) -> Exception | None:
    """Try until an answer comes, adding what the handler says it misses; the last exception."""
    sent, guessed, guesses = dict(body), "", list[Any]()
    exc = attempt(sent)
    for _ in range(ATTEMPTS):
        missing = exc.args[0] if isinstance(exc, KeyError) and exc.args else None
        if isinstance(missing, str) and missing not in sent:
            guessed, guesses = missing, list(GUESSES)
        if exc is None or not guesses:
            break
        sent[guessed] = guesses.pop(0)
        exc = attempt(sent)
    return exc


def _example(handler: Handler, payload: Body) -> Body:
    example = getattr(handler, "example", None)
    return example if isinstance(example, Mapping) else payload
