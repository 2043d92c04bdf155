"""A passage carried by the handler's own thread, where there is no engine: WSGI servers, tests.

Does what ``passage`` does on the loop, through ``requests``: the gate, the waits, the error frame,
the ending exactly once. Costs a thread per stream; use the engine in production.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import requests
from flask import Response
from urllib3.exceptions import HTTPError

from vast_pyworker.engine.answer import error_frame, json_error
from vast_pyworker.engine.fields import HOP_BY_HOP
from vast_pyworker.engine.limits import TAIL_PIECES
from vast_pyworker.errors import Full, Refused
from vast_pyworker.model import Outcome

from .accounting import CLIENT_ERROR
from .passage import Passage
from .refusals import answer_of, not_ready
from .state import Worker

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_PIECE_BYTES = 64 * 1024
_DROPPED = frozenset(name.decode() for name in HOP_BY_HOP)
_NOT_SENT = (
    frozenset(("accept-encoding", "authorization", "content-length", "cookie", "expect", "host"))
    | _DROPPED
)


class _ThreadWaiter:
    """Waits at a gate in a thread."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def granted(self) -> None:
        self.event.set()


def stream(
    worker: Worker, passage: Passage, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Carry ``passage`` and return its answer as WSGI wants it."""
    try:
        _pass_gate(worker, passage)
    except Refused as exc:
        passage.ticket.end(Outcome.REJECTED)
        status, headers, body = answer_of(exc)
        return Response(body, status, headers)(environ, start_response)
    passage.ticket.start()
    run = _Run(worker, passage)
    try:
        answer = _send(passage, environ)
    except requests.RequestException as exc:
        run.end(Outcome.FAILED)
        late = isinstance(exc, requests.ReadTimeout)
        message = f"The model server at {passage.plan.origin} gave no answer: {type(exc).__name__}."
        body = json_error(message)
        kind = "application/json"
        return Response(body, 504 if late else 502, mimetype=kind)(environ, start_response)
    passage.ticket.first_byte()
    phrase = answer.reason or HTTPStatus(answer.status_code).phrase
    kept = [(n, v) for n, v in answer.raw.headers.items() if n.lower() not in _DROPPED]
    start_response(f"{answer.status_code} {phrase}", kept)
    return run.pieces(answer)


def _pass_gate(worker: Worker, passage: Passage) -> None:
    if not worker.readiness.accepting:
        raise not_ready(worker.readiness)
    waiter = _ThreadWaiter()
    if passage.gate.enter(waiter):
        return
    wait_s = passage.gate.max_queue_time_s or None
    if not waiter.event.wait(wait_s) and passage.gate.give_up(waiter):
        raise _too_late(passage)


def _too_late(passage: Passage) -> Full:
    return passage.gate.full("No place became free in time; try another worker.")


def _send(passage: Passage, environ: WSGIEnvironment) -> requests.Response:
    plan = passage.plan
    target = plan.target
    query = environ.get("QUERY_STRING")
    if query and "?" not in target:
        target = f"{target}?{query}"
    waits = (plan.timeouts.connect_s or None, plan.timeouts.first_byte_s or None)
    return requests.request(
        plan.method,
        f"{plan.origin.url}{target}",
        data=passage.body or None,
        headers=_headers(passage, environ),
        stream=True,
        timeout=waits,
        allow_redirects=False,
    )


def _headers(passage: Passage, environ: WSGIEnvironment) -> dict[str, str]:
    headers = {
        key[5:].replace("_", "-").title(): str(value)
        for key, value in environ.items()
        if key.startswith("HTTP_")
    }
    if environ.get("CONTENT_TYPE"):
        headers["Content-Type"] = environ["CONTENT_TYPE"]
    kept = {name: value for name, value in headers.items() if name.lower() not in _NOT_SENT}
    kept["Accept-Encoding"] = "identity"
    for name, value in passage.plan.headers:
        kept[name.decode("latin-1").title()] = value.decode("latin-1")
    return kept


class _Run:
    """One answer being passed on; ends its passage exactly once."""

    def __init__(self, worker: Worker, passage: Passage) -> None:
        self._worker = worker
        self._passage = passage
        self._tail: deque[bytes] = deque(maxlen=TAIL_PIECES)
        self._over = False

    def end(self, outcome: Outcome, status: int = 0) -> None:
        if self._over:
            return
        self._over = True
        passage = self._passage
        good = outcome is Outcome.FINISHED and status < 400
        held_s = self._worker.accounting.now() - passage.ticket.started_at
        passage.gate.leave(held_s if good else None)
        measured = passage.work.after(passage.payload, b"".join(self._tail)) if good else None
        client_error = outcome is Outcome.FINISHED and not good
        passage.ticket.end(outcome, work=measured, reason=CLIENT_ERROR if client_error else "")

    def pieces(self, answer: requests.Response) -> Iterator[bytes]:
        status = answer.status_code
        outcome = Outcome.CANCELLED  # what it is if the server closes this generator early
        try:
            yield from self._read(answer)
            failed = status >= 500 or status == 429
            outcome = Outcome.FAILED if failed else Outcome.FINISHED
        except (HTTPError, requests.RequestException, OSError, TimeoutError) as exc:
            outcome = Outcome.FAILED
            kind = answer.headers.get("content-type", "").encode("latin-1")
            frame = error_frame(kind, f"The model server's answer broke off: {exc!r}.")
            if not frame:
                raise
            yield frame
        finally:
            answer.close()
            self.end(outcome, status)

    def _read(self, answer: requests.Response) -> Iterator[bytes]:
        waits = self._passage.plan.timeouts
        _limit_silence(answer, waits.silence_s)
        end = time.monotonic() + waits.total_s if waits.total_s else float("inf")
        while piece := _next_piece(answer):
            self._tail.append(piece)
            self._passage.ticket.touch()
            yield piece
            if time.monotonic() > end:
                raise TimeoutError(f"longer than {waits.total_s:g} s")


def _next_piece(answer: requests.Response) -> bytes:
    """What is there, as soon as it is there; empty at the end."""
    piece: bytes = answer.raw.read1(_PIECE_BYTES)
    return piece


def _limit_silence(answer: requests.Response, seconds: float) -> None:
    connection: Any = getattr(answer.raw, "connection", None)
    sock = getattr(connection, "sock", None)
    if sock is not None:
        sock.settimeout(seconds or None)
