"""One request of the benchmark, from its first byte to its last, and whether it was served.

What is here: HTTP with one exact deadline, over a connection that is kept; telling an answer from
an excuse. What is not: how many, at once, and what they add up to (``benchmark``).

A status of 200 is a promise, not an answer: the body is read to its end, and a stream that says
in the middle that it failed has failed.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any

from vast_pyworker.errors import BenchmarkFailed
from vast_pyworker.worker.modellog.lines import LineSplitter
from vast_pyworker.worker.modelserver.asking import address_of, connect
from vast_pyworker.worker.phases.readiness import QUOTE
from vast_pyworker.worker.units.settling import TAIL_BYTES

CHUNK_BYTES = 64 * 1024
LONGEST_QUOTE = 200
_LINES = ("text/event-stream", "ndjson", "jsonl")
_ERROR = '"error"'


class NotYet(BenchmarkFailed):
    """Nobody listens there, or who does is still loading: the same request may do later."""


class Caller:
    """One client of the model server; for one thread at a time, but for ``abort``."""

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._address = address_of(url)
        self._headers = {"Content-Type": "application/json", **headers}
        self._timeout_s = timeout_s
        self._clock = clock
        self._connection = HTTPConnection(self._address.host, self._address.port)
        self._socket: socket.socket | None = None
        self._aborted = threading.Event()

    def ask(self, body: bytes) -> bytes:
        """POST ``body``; the last 8 KiB of an answer that came whole, in time and without error.

        Raises BenchmarkFailed with a phrase for what went wrong, NotYet where waiting may help.
        """
        until = self._clock() + self._timeout_s
        try:
            with self._answer(body, until) as answer:
                return self._judge(answer, until)
        except TimeoutError as exc:
            self.close()
            raise BenchmarkFailed(f"no whole answer within {self._timeout_s:g} s") from exc
        except (OSError, HTTPException) as exc:
            self.close()
            raise BenchmarkFailed(f"the answer broke off ({_named(exc)})") from exc
        except BenchmarkFailed:
            self.close()  # what is left of the body is of no use
            raise

    def close(self) -> None:
        """Close the connection; the next ``ask`` opens another."""
        self._connection.close()
        self._socket = None

    def abort(self) -> None:
        """Make the ``ask`` under way, and all later ones, fail at once. From any thread."""
        self._aborted.set()
        under_way = self._socket
        if under_way is not None:
            with suppress(OSError):
                under_way.shutdown(socket.SHUT_RDWR)

    def _answer(self, body: bytes, until: float) -> HTTPResponse:
        """The head of the answer. A kept connection that proves closed is opened once more."""
        was_kept = self._connection.sock is not None
        try:
            self._open(until)
            self._connection.request("POST", self._address.target, body, self._headers)
            return self._connection.getresponse()
        except TimeoutError:
            raise
        except (OSError, HTTPException) as exc:
            self.close()
            if was_kept and not self._aborted.is_set():
                return self._answer(body, until)
            raise NotYet(f"{self._url} cannot be reached ({_named(exc)})") from exc

    def _open(self, until: float) -> None:
        left_s = self._left(until)
        if self._connection.sock is None:
            self._socket = self._connection.sock = connect(self._address, left_s)
            if self._socket.family != socket.AF_UNIX:  # else head and body are 40 ms apart
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert self._socket is not None
        self._socket.settimeout(left_s)
        if self._aborted.is_set():  # looked at last: an abort from here on finds the socket
            raise ConnectionAbortedError("cancelled")

    def _judge(self, answer: HTTPResponse, until: float) -> bytes:
        if answer.status != 200:
            kind = NotYet if answer.status == 503 else BenchmarkFailed
            said = " ".join(answer.read(LONGEST_QUOTE).decode("utf-8", "replace").split())
            raise kind(f"{self._url} answered {answer.status}" + (f"{QUOTE}{said}" if said else ""))
        in_lines = any(kind in (answer.getheader("Content-Type") or "") for kind in _LINES)
        return self._read_lines(answer, until) if in_lines else self._read_whole(answer, until)

    def _read_lines(self, answer: HTTPResponse, until: float) -> bytes:
        splitter, tail = LineSplitter(), b""
        while piece := self._piece(answer, until):
            tail = (tail + piece)[-TAIL_BYTES:]
            _check(splitter.feed(piece))
        _check(splitter.flush())
        return tail

    def _read_whole(self, answer: HTTPResponse, until: float) -> bytes:
        begin = tail = b""
        while piece := self._piece(answer, until):
            begin += piece[: TAIL_BYTES - len(begin)]
            tail = (tail + piece)[-TAIL_BYTES:]
        _check([begin.decode("utf-8", "replace")])
        return tail

    def _piece(self, answer: HTTPResponse, until: float) -> bytes:
        """What has arrived, waiting for at least a byte; b"" at the true end of the body."""
        assert self._socket is not None
        self._socket.settimeout(self._left(until))
        piece = answer.read1(CHUNK_BYTES)
        if not piece and answer.length:  # a short body is not an exception in http.client
            raise ConnectionError(f"{answer.length} bytes are missing")
        return piece

    def _left(self, until: float) -> float:
        left_s = until - self._clock()
        if left_s <= 0:
            raise TimeoutError
        return left_s


def _check(lines: list[str]) -> None:
    """Raise BenchmarkFailed if one of these lines, or documents, says that it is an error."""
    for line in lines:
        if line.startswith("event:") and line[6:].strip() == "error":
            raise BenchmarkFailed("the stream ended in an error event")
        if _ERROR in line:
            _check_object(line.removeprefix("data:").strip())


def _check_object(text: str) -> None:
    try:
        told: Any = json.loads(text)
    except ValueError:  # not JSON, or cut: too long for an error
        return
    error = told.get("error") if isinstance(told, dict) else None
    if error:
        raise BenchmarkFailed(f"the answer is an error{QUOTE}{json.dumps(error)[:LONGEST_QUOTE]}")


def _named(exc: Exception) -> str:
    return str(exc) or type(exc).__name__
