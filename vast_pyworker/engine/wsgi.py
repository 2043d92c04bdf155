"""The WSGI side: an application called in a thread, its answer written on the loop.

The application finds the ``Exchange`` under ``pyworker.exchange``. If it leaves a native handler
under ``pyworker.handler`` and returns nothing, that handler answers on the loop and no thread is
held. Otherwise PEP 3333 as it stands: a known length is written at once, anything else in chunks,
each as soon as it is there and no faster than the client reads.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .answer import BODILESS, json_error, no_body, status_line
from .environ import HANDLER, environ_of
from .exchange import Exchange
from .framing import LAST_CHUNK, chunk

log = logging.getLogger(__name__)

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

# How many pieces of an answer the application may be ahead of what the client has taken.
_AHEAD_PIECES = 16
_NOT_RELAYED = frozenset(
    ("connection", "content-length", "keep-alive", "trailer", "transfer-encoding", "upgrade")
)


class ClientLeft(Exception):
    """Raised into the iteration of an answer that nobody reads any more."""


class Flow:
    """Lets a handler's thread run a few pieces ahead of the client, and no further."""

    __slots__ = ("_exchange", "_left", "_owed", "_places")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._places = threading.Semaphore(_AHEAD_PIECES)
        self._owed = 0
        self._left = False

    def wait(self) -> None:
        """In the thread: until there is a place for one piece; raise ClientLeft."""
        self._places.acquire()
        if self._left or self._exchange.over:
            raise ClientLeft

    def begin(self) -> None:
        self._exchange.on_writable = self._writable
        self._exchange.on_gone = self._gone
        if self._exchange.over:
            self._gone()

    def write(self, data: bytes) -> None:
        """On the loop: write one piece and give its place back, or owe it to a slow client."""
        self._exchange.write(data)
        if self._exchange.write_paused:
            self._owed += 1
        else:
            self._places.release()

    def _writable(self) -> None:
        owed, self._owed = self._owed, 0
        if owed:
            self._places.release(owed)

    def _gone(self) -> None:
        self._left = True
        self._places.release(_AHEAD_PIECES)


class WSGICall:
    """One call of the application; ``run`` is for a handler thread."""

    __slots__ = ("_app", "_begun", "_date", "_exchange", "_headers", "_loop", "_status")

    def __init__(
        self, app: WSGIApp, exchange: Exchange, loop: asyncio.AbstractEventLoop, date: bytes
    ) -> None:
        self._app = app
        self._exchange = exchange
        self._loop = loop
        self._date = date
        self._begun = False
        self._status = ""
        self._headers: list[tuple[str, str]] = []

    def run(self) -> None:
        exchange = self._exchange
        if exchange.over:
            return  # the client left while the request was queued
        try:
            environ = environ_of(exchange)
            answer = self._app(environ, self._start_response)
            handler = environ.get(HANDLER)
            if handler is not None:
                _close(answer)
                self._loop.call_soon_threadsafe(_hand_over, handler, exchange)
                return
            try:
                self._send(answer)
            finally:
                _close(answer)
        except ClientLeft:
            return
        except BaseException:  # even sys.exit() in a handler is one request's end, not the thread's
            if not exchange.over:
                head = exchange.head
                log.exception("The application failed on %s %s.", head.method, head.path)
                self._loop.call_soon_threadsafe(_fail, exchange)

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        if self._begun and exc_info is not None:
            raise exc_info[1].with_traceback(exc_info[2])
        if self._status and exc_info is None:
            raise AssertionError("start_response() was called twice; call it once per answer.")
        self._status = status
        self._headers = headers
        return _no_write

    def _send(self, answer: Iterable[bytes]) -> None:
        pieces = iter(answer)
        # An application that is a generator calls start_response with its first piece.
        first = b"" if self._status else next(pieces, b"")
        status = int(self._status.split(" ", 1)[0])
        length = _length(self._headers)
        if no_body(self._exchange.head, status):
            self._post(status, b"", length)
        elif length is None:
            self._stream(status, first, pieces)
        else:
            self._send_sized(status, length, first or next(pieces, b""), pieces)

    def _send_sized(self, status: int, length: int, first: bytes, pieces: Iterator[bytes]) -> None:
        """An answer with a Content-Length: never more than that, and cut off where it is less."""
        if len(first) >= length:
            self._post(status, first[:length], length)
            return
        head = self._head() + b"Content-Length: %d\r\n" % length
        self._begin(status, head, first, must_close=False)
        sent = self._write_all(_up_to(length - len(first), pieces), chunked=False)
        if sent < length - len(first):
            raise ValueError(f"The answer ended {length - len(first) - sent} bytes too early.")
        self._loop.call_soon_threadsafe(self._exchange.finish)

    def _stream(self, status: int, first: bytes, pieces: Iterator[bytes]) -> None:
        to_chunks = self._exchange.head.minor == 1
        head = self._head()
        if to_chunks:
            head += b"Transfer-Encoding: chunked\r\n"
        self._begin(status, head, b"", must_close=not to_chunks)
        self._write_all(itertools.chain((first,), pieces), chunked=to_chunks)
        self._loop.call_soon_threadsafe(_end_stream, self._exchange, to_chunks)

    def _post(self, status: int, body: bytes, length: int | None) -> None:
        head = self._head()
        if length is not None and status not in BODILESS:
            head += b"Content-Length: %d\r\n" % length
        self._begun = True
        self._loop.call_soon_threadsafe(_write_whole, self._exchange, status, head, body)

    def _begin(self, status: int, head: bytes, first: bytes, *, must_close: bool) -> None:
        self._begun = True
        self._loop.call_soon_threadsafe(_begin, self._exchange, status, head, first, must_close)

    def _write_all(self, pieces: Iterable[bytes], *, chunked: bool) -> int:
        flow = Flow(self._exchange)
        self._loop.call_soon_threadsafe(flow.begin)
        sent = 0
        for piece in pieces:
            if piece:
                flow.wait()
                sent += len(piece)
                self._loop.call_soon_threadsafe(flow.write, chunk(piece) if chunked else piece)
        return sent

    def _head(self) -> bytes:
        lines = [
            f"{name}: {value}\r\n"
            for name, value in self._headers
            if name.lower() not in _NOT_RELAYED
        ]
        text = "".join(lines)
        if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
            raise ValueError("A header of the answer holds a line end or NUL; remove it.")
        return text.encode("latin-1") + self._date


def _up_to(size: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The first ``size`` bytes of ``pieces``; no piece is asked for after them."""
    for piece in pieces:
        yield piece[:size]
        size -= len(piece)
        if size <= 0:
            return


def _length(headers: list[tuple[str, str]]) -> int | None:
    for name, value in headers:
        if name.lower() == "content-length":
            return int(value)
    return None


def _close(answer: Iterable[bytes]) -> None:
    close = getattr(answer, "close", None)
    if close is not None:
        close()


def _no_write(data: bytes) -> None:
    raise NotImplementedError("The write() of PEP 3333 is not offered; return an iterable.")


# The functions below run on the loop.


def _hand_over(handler: Callable[[Exchange], None], exchange: Exchange) -> None:
    try:
        handler(exchange)
    except Exception:  # a handler's fault is one request's, and its client waits for an answer
        log.exception("The handler of %s %s failed.", exchange.head.method, exchange.head.path)
        _fail(exchange)


def _fail(exchange: Exchange) -> None:
    if exchange.status:  # the answer had begun
        exchange.cut(gently=False)
        return
    headers = (("Content-Type", "application/json"),)
    exchange.respond(500, headers, json_error("The handler failed; the worker's log says why."))


def _ending(exchange: Exchange, status: int, must_close: bool) -> bytes:
    exchange.begin(status, exchange.must_close or must_close)
    close = b"Connection: close\r\n" if exchange.closes else b""
    return b"%bX-Request-ID: %b\r\n\r\n" % (close, exchange.request_id)


def _write_whole(exchange: Exchange, status: int, head: bytes, body: bytes) -> None:
    ending = _ending(exchange, status, False)
    exchange.write(b"%b%b%b%b" % (status_line(status), head, ending, body))
    exchange.finish()


def _begin(exchange: Exchange, status: int, head: bytes, first: bytes, must_close: bool) -> None:
    ending = _ending(exchange, status, must_close)
    exchange.until_close = must_close
    exchange.write(b"%b%b%b%b" % (status_line(status), head, ending, first))


def _end_stream(exchange: Exchange, chunked: bool) -> None:
    if chunked:
        exchange.write(LAST_CHUNK)
    exchange.finish()
