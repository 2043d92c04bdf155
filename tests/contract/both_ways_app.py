"""The application that ``test_both_ways`` asks: every route declared, and again as a Flask handler.

``/x`` is ``forward("/x")``; ``/relay/x`` a handler that returns ``Relay("/x")``. ``/control`` and
``/books`` are for the test. A second worker, whose model cannot be reached, answers where the
header ``X-World: closed`` is sent.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "worker"))

from worker_rig import worker_of

from vast_pyworker import signature
from vast_pyworker.errors import Invalid
from vast_pyworker.worker import Relay, constant, forward, signed_payload, tokens
from vast_pyworker.worker.app import WorkerApp, create_app
from vast_pyworker.worker.traffic.grants import current_worker

CLOSED = "http://127.0.0.1:9"
PLACES = 4


def picky(payload: Mapping[str, Any]) -> float:
    if "absurd" in payload:
        raise Invalid("That is absurd.")
    return tokens(payload)


WORKLOADS = {"constant": constant(5.0), "picky": picky}
POSTS = (
    *(
        "unary",
        "sse",
        "ndjson",
        "chunked",
        "closing",
        "parting",
        "missing",
        "failing",
        "busy",
        "moved",
    ),
    *("nothing", "dies_before", "dies_sse", "dies_ndjson", "dies_plain", "short"),
    *("constant", "picky"),
)


def relayed(name: str) -> Any:
    def handler(backend: Any, request: Any) -> Any:
        signed_payload(request)
        return Relay(f"/{name}", workload=WORKLOADS.get(name, tokens))

    return handler


def relayed_get(backend: Any, request: Any) -> Any:
    return Relay("/info", method="GET")


def control(backend: Any, request: Any) -> Any:
    """Fill or empty the shared gate, be ready or not."""
    worker = current_worker()
    wanted = request.json["do"]
    if wanted == "fill":
        for _ in range(PLACES):
            worker.gate.enter(backend)
    elif wanted == "empty":
        for _ in range(PLACES):
            worker.gate.leave()
    elif wanted == "degrade":
        worker.readiness.degraded("told so")
    else:
        worker.readiness.recovered()
    return {"ok": True}


def books(backend: Any, request: Any) -> Any:
    """How many requests of each route ended how, and what they were worth."""
    totals = current_worker().accounting.totals()
    return {
        name: {"in_progress": each.in_progress, "requests": each.requests, "work": each.work}
        for name, each in totals.items()
    }


class Backend:
    def granted(self) -> None:
        """Nobody waits: the queue has no place."""


ROUTES: dict[str, dict[str, Any]] = {
    "POST": {
        **{name: forward(f"/{name}", workload=WORKLOADS.get(name, tokens)) for name in POSTS},
        **{f"relay/{name}": relayed(name) for name in POSTS},
        "control": control,
    },
    "GET": {
        "info": forward("/info", method="GET", signed=False),
        "relay/info": relayed_get,
        "books": books,
    },
}


def app_for(model_url: str, public_pem: str) -> WorkerApp:
    worker = worker_of(
        ROUTES,
        model_url,
        backend=Backend(),
        key=signature.load_public_key(public_pem),
        MODEL_CONCURRENCY=str(PLACES),
        MAX_QUEUE="0",
    )
    return create_app(worker)


def apps(model_url: str, public_pem: str) -> dict[str, WorkerApp]:
    return {"open": app_for(model_url, public_pem), "closed": app_for(CLOSED, public_pem)}


def served_by_gunicorn() -> Any:
    """Both, chosen by header."""
    worlds = apps(os.environ["TEST_MODEL_URL"], os.environ["TEST_PUBLIC_KEY"])

    def application(environ: Any, start_response: Any) -> Any:
        return worlds[environ.get("HTTP_X_WORLD", "open")](environ, start_response)

    return application
