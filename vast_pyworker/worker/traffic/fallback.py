"""A passage carried by the handler's own thread, where there is no engine: WSGI servers, tests.

Does what ``passage`` does on the loop, through ``requests``: the gate, the waits, the error frame,
the ending exactly once. Costs a thread per stream, and such a request cannot be cancelled by its
id, nor can its client be seen to leave before the answer begins; use the engine in production.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from http.client import responses
from typing import TYPE_CHECKING, Any

import requests
from flask import Response
from urllib3.exceptions import HTTPError, NewConnectionError
from werkzeug.wsgi import ClosingIterator

from vast_pyworker.engine.answer import error_frame, json_error
from vast_pyworker.engine.environ import REQUEST_ID
from vast_pyworker.engine.fields import HOP_BY_HOP
from vast_pyworker.engine.limits import TAIL_PIECES
from vast_pyworker.engine.plan import with_query
from vast_pyworker.errors import Refused
from vast_pyworker.model import Outcome
from vast_pyworker.worker.reports.accounting import CLIENT_ERROR
from vast_pyworker.worker.state import Worker

from .passage import Passage
from .refusals import answer_of, not_ready

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_PIECE_BYTES = 64 * 1024
_FOREVER = float("inf")
_DROPPED = frozenset(name.decode() for name in HOP_BY_HOP)
_NOT_SENT = (
    frozenset(("accept-encoding", "authorization", "content-length", "cookie", "expect", "host"))
    | _DROPPED
)
_JSON = (("Content-Type", "application/json"),)


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
    run = _Run(worker, passage, environ[REQUEST_ID])
    try:
        answer = run.send(environ)
        phrase = answer.reason or responses.get(answer.status_code, "Unknown")
        start_response(f"{answer.status_code} {phrase}", run.head(answer))
        if environ["REQUEST_METHOD"] == "HEAD":
            run.finish(answer)
            return ()
    except (requests.RequestException, HTTPError) as exc:
        run.end(Outcome.FAILED)
        status, message = _why(exc, passage)
        return Response(json_error(message), status, _JSON)(environ, start_response)
    except BaseException:  # whoever raised, a request that was begun is ended in the books
        run.end(Outcome.FAILED)
        raise
    return ClosingIterator(run.pieces(answer), [run.close])


def _pass_gate(worker: Worker, passage: Passage) -> None:
    if not worker.readiness.accepting:
        raise not_ready(worker.readiness)
    gate, waiter = passage.gate, _ThreadWaiter()
    with gate.lock:
        if gate.enter(waiter):
            return
    if waiter.event.wait(gate.max_queue_time_s or None):
        return
    with gate.lock:
        if gate.give_up(waiter):
            raise gate.full("No place became free in time; try another worker.")


def _why(exc: Exception, passage: Passage) -> tuple[int, str]:
    """What the client is told where there was no answer."""
    origin = passage.plan.origin
    if isinstance(exc, requests.Timeout):
        waited_for = "connect" if isinstance(exc, requests.ConnectTimeout) else "first byte"
        return 504, f"The model server was waited for too long ({waited_for})."
    cause = getattr(exc.args[0] if exc.args else exc, "reason", None)
    if isinstance(cause, NewConnectionError) or not isinstance(exc, requests.ConnectionError):
        reason = type(cause or exc).__name__
        return 502, f"The model server at {origin} cannot be reached: {reason}."
    return 502, "The model server closed the connection without an answer."


class _Run:
    """One request on its way to the model server and back; ends its passage exactly once."""

    def __init__(self, worker: Worker, passage: Passage, request_id: str) -> None:
        self._worker = worker
        self._passage = passage
        self._request_id = request_id
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy between a worker and its model, and no .netrc
        self._answer: requests.Response | None = None
        self._tail: deque[bytes] = deque(maxlen=TAIL_PIECES)
        self._over = False
        total_s = passage.plan.timeouts.total_s
        self._end_at = time.monotonic() + total_s if total_s else _FOREVER

    def send(self, environ: WSGIEnvironment) -> requests.Response:
        """The model server's answer, as far as its head; raises RequestException or HTTPError."""
        plan = self._passage.plan
        target = with_query(plan.target, environ.get("QUERY_STRING", ""))
        waits = (self._left(plan.timeouts.connect_s), self._left(plan.timeouts.first_byte_s))
        self._answer = self._session.request(
            plan.method,
            f"{plan.origin.url}{target}",
            data=bytes(self._passage.body) or None,
            headers=self._headers(environ),
            stream=True,
            timeout=waits,
            allow_redirects=False,
        )
        return self._answer

    def head(self, answer: requests.Response) -> list[tuple[str, str]]:
        """The headers of the answer for the client."""
        self._passage.ticket.first_byte()
        named = _tokens(answer.headers.get("connection")) - {"content-length"}
        dropped = _DROPPED | named
        return [(n, v) for n, v in answer.raw.headers.items() if n.lower() not in dropped]

    def finish(self, answer: requests.Response) -> None:
        """The answer has been passed on."""
        status = answer.status_code
        failed = status >= 500 or status == 429
        self.end(Outcome.FAILED if failed else Outcome.FINISHED, status)

    def close(self) -> None:
        """The server wants no more: the client has left, unless the answer was complete."""
        self.end(Outcome.CANCELLED)

    def end(self, outcome: Outcome, status: int = 0) -> None:
        if self._over:
            return
        self._over = True
        if self._answer is not None:
            self._answer.close()
        self._session.close()
        passage = self._passage
        good = outcome is Outcome.FINISHED and status < 400
        held_s = self._worker.accounting.now() - passage.ticket.started_at
        with passage.gate.lock:
            passage.gate.leave(held_s if good else None)
        client_error = outcome is Outcome.FINISHED and not good
        reason = CLIENT_ERROR if client_error else ""
        passage.ticket.end(outcome, work=self._measured() if good else None, reason=reason)
        if outcome is Outcome.CANCELLED and self._worker.on_cancelled is not None:
            self._worker.on_cancelled(self._request_id)

    def pieces(self, answer: requests.Response) -> Iterator[bytes]:
        try:
            yield from self._read(answer)
            self.finish(answer)
        except (HTTPError, requests.RequestException, OSError) as exc:
            self.end(Outcome.FAILED)
            frame = b""
            if "content-length" not in answer.headers:  # else there is no room for one
                kind = answer.headers.get("content-type", "").encode("latin-1")
                message = f"The model server's answer broke off: {type(exc).__name__}."
                at_line_start = not self._tail or self._tail[-1].endswith(b"\n")
                frame = error_frame(kind, message, at_line_start=at_line_start)
            if not frame:
                raise
            yield frame

    def _read(self, answer: requests.Response) -> Iterator[bytes]:
        sock = _socket_of(answer)
        silence_s = self._passage.plan.timeouts.silence_s
        while True:
            if sock is not None and sock.fileno() >= 0:  # closed once the whole answer is here
                sock.settimeout(self._left(silence_s))
            piece: bytes = answer.raw.read1(_PIECE_BYTES)  # what is there, as soon as it is
            if not piece:
                return
            self._tail.append(piece)
            self._passage.ticket.touch()
            yield piece
            if time.monotonic() > self._end_at:
                raise TimeoutError("the whole request took too long")

    def _left(self, wait_s: float) -> float | None:
        """The wait in seconds, None for ever; shorter where the whole request is over sooner."""
        seconds = min(wait_s or _FOREVER, max(self._end_at - time.monotonic(), 0.001))
        return None if seconds == _FOREVER else seconds

    def _measured(self) -> float | None:
        passage = self._passage
        if not passage.plan.keep_tail or not self._tail:
            return None
        return passage.work.after(passage.payload, b"".join(self._tail))

    def _headers(self, environ: WSGIEnvironment) -> dict[str, str]:
        headers = {
            key[5:].replace("_", "-").title(): str(value)
            for key, value in environ.items()
            if key.startswith("HTTP_")
        }
        if environ.get("CONTENT_TYPE"):
            headers["Content-Type"] = environ["CONTENT_TYPE"]
        dropped = _NOT_SENT | _tokens(headers.get("Connection"))
        kept = {name: value for name, value in headers.items() if name.lower() not in dropped}
        kept["Accept-Encoding"] = "identity"
        kept["X-Request-Id"] = self._request_id
        for name, value in self._passage.plan.headers:
            kept[name.decode("latin-1").title()] = value.decode("latin-1")
        return kept


def _tokens(value: str | None) -> set[str]:
    """The parts of a comma-separated list, in lower case."""
    return {part.strip().lower() for part in value.split(",")} if value else set()


def _socket_of(answer: requests.Response) -> Any:
    """The connection's socket; an answer that ends with its connection has it for itself alone."""
    connection = getattr(answer.raw, "connection", None)
    sock = getattr(connection, "sock", None)
    if sock is not None:
        return sock
    file = getattr(getattr(answer.raw, "_fp", None), "fp", None)
    return getattr(getattr(file, "raw", None), "_sock", None)
