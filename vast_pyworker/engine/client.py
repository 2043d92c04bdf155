"""One client connection: requests in, one after the other; who answers them is decided elsewhere.

Pipelined requests wait for the answer before them. A connection that sends its head or body too
slowly, or nothing at all for too long, is closed. A client that closes its sending side counts as
gone, as nginx has it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from vast_pyworker.errors import BadRequest

from .answer import json_error, plain_answer
from .collecting import BodyCollector, too_large
from .connection import FOREVER, Connection
from .exchange import Exchange
from .head import RequestHead, check_unfinished_head, parse_request_head
from .limits import PIPELINE_BYTES

if TYPE_CHECKING:
    from .server import Server

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_EMPTY_LINES = re.compile(rb"\A(?:\r\n)+")


class ClientConnection(Connection):
    """The server's side of one TCP, TLS or Unix-socket connection."""

    __slots__ = (
        "_buffer",
        "_collector",
        "_dispatching",
        "_head",
        "_head_bytes",
        "_head_length",
        "_longest_body",
        "_reading_paused",
        "_whole",
        "exchange",
    )

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.exchange: Exchange | None = None
        self._longest_body = server.limits.body_bytes
        self._buffer = b""
        self._collector: BodyCollector | None = None
        self._dispatching = False
        self._reading_paused = False
        self._head_bytes = b""
        self._head: RequestHead | None = None
        self._head_length = 0
        self._whole = -1

    @property
    def busy(self) -> bool:
        """Whether a request is being received or answered."""
        return self.exchange is not None or self._collector is not None

    @property
    def idle(self) -> bool:
        """Between two requests, with nothing of the next one here."""
        return self.exchange is None and self._collector is None and not self._buffer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._wait("head", self.server.limits.head_s)
        self.server.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.closed(self)
        if self._collector is not None:
            self._collector.discard()
            self._collector = None
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.gone()
            self.server.log_access(exchange)

    def eof_received(self) -> None:
        if self.exchange is not None:
            self.transport.abort()  # without waiting for somebody to take what was written

    def data_received(self, data: bytes) -> None:
        if self.tunnel is not None:
            self.tunnel(data)
        elif self.exchange is not None:
            self._hold(data)
        elif self._collector is not None:
            self._collect(data)
        elif self.write_paused:
            self._hold(data)  # who does not take the answers gets no more of them
        elif self._buffer:
            self._read(self._buffer + data)
        elif not self._ending:
            # Mostly one whole request, with the head of the one before and so of the same length.
            head, end = self._head, self._head_length
            if len(data) == self._whole and data[:end] == self._head_bytes and head is not None:
                self.server.dispatch(self, head, data[end:])
            else:
                self._read_one(data)

    def _read_one(self, data: bytes) -> None:
        """Take one whole request; anything else is ``_read``'s."""
        head, end = self._new_head(data)
        if head is not None and head.length == len(data) - end <= self._longest_body:
            self._head, self._head_bytes = head, data[:end]
            self._head_length, self._whole = end, len(data)
            self.server.dispatch(self, head, data[end:])
        else:
            self._read(data)

    def _new_head(self, data: bytes) -> tuple[RequestHead | None, int]:
        """The head that ``data`` begins with, and its length; None: it has no whole good one."""
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            return None, 0
        try:
            return parse_request_head(data[:end]), end
        except BadRequest:
            return None, 0  # an empty line before the request, or no request at all

    def _hold(self, data: bytes) -> None:
        """Keep what a client sends while its last request is being answered."""
        self._buffer += data
        if len(self._buffer) > PIPELINE_BYTES and not self._reading_paused:
            self._reading_paused = True
            self.transport.pause_reading()

    def _read(self, data: bytes) -> None:
        """Take requests from ``data`` until one is not here whole, or not answered at once."""
        self._buffer = b""
        self._dispatching = True
        try:
            while data and not (self.busy or self.write_paused or self._ending):
                rest = self._take_request(data)
                if rest is None:
                    break
                data = rest
        except BadRequest as exc:
            self.refuse(exc)
            return
        finally:
            self._dispatching = False
        if data:
            self._buffer = data

    def _take_request(self, data: bytes) -> bytes | None:
        """Start on the first request in ``data``; return what comes after it, None: incomplete."""
        if data[:2] == b"\r\n":
            return _EMPTY_LINES.sub(b"", data)
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            check_unfinished_head(data)
            if self._waiting_for != "head":
                self._wait("head", self.server.limits.head_s)
            return None
        head = parse_request_head(data[:end])
        length = head.length
        if not 0 <= length <= len(data) - end:
            self._start_collecting(head, data[end:])
            rest, self._buffer = self._buffer, b""
            return rest
        if length > self._longest_body:
            raise too_large(self._longest_body)
        self.server.dispatch(self, head, data[end : end + length])
        return data[end + length :]

    def _start_collecting(self, head: RequestHead, data: bytes) -> None:
        self._collector = BodyCollector(head, self._longest_body)
        self._wait("body", self.server.limits.body_idle_s)
        if head.expects_continue and not data:
            self.transport.write(_CONTINUE)
        if data:
            self._collect(data)

    def _collect(self, data: bytes) -> None:
        collector = self._collector
        if collector is None:
            return
        try:
            collector.feed(data)
        except BadRequest as exc:
            self.refuse(exc)
            return
        self._deadline = self.server.now + self.server.limits.body_idle_s
        if not collector.complete:
            return
        self._collector = None
        self._buffer = collector.excess
        self.server.dispatch(self, collector.head, collector.body())
        self._go_on()

    def finished(self, exchange: Exchange) -> None:
        """The answer is written: log it, then close or take the next request."""
        self.exchange = None
        server = self.server
        if server.access_log is not None:
            server.log_access(exchange)
        if exchange.closes or server.draining:
            self.close()
            return
        self._waiting_for = "request"
        self._deadline = server.idle_until
        if self._buffer or self._reading_paused:
            self._go_on()

    def _go_on(self) -> None:
        """Take what was held back, unless something is in the way still."""
        if self.busy or self.write_paused or self._dispatching or self._ending:
            return
        if self._reading_paused:
            self._reading_paused = False
            self.transport.resume_reading()
        if self._buffer:
            self._read(self._buffer)

    def abandoned(self, exchange: Exchange) -> None:
        """The answer cannot be completed: the client must not take it for whole."""
        self.exchange = None
        self.server.log_access(exchange)
        if exchange.until_close:
            self.reset_on_close()  # an orderly end would look like the end of the answer
        self.transport.abort()

    def refuse(self, exc: BadRequest) -> None:
        """Answer what is no request, then close; what the client still sends is thrown away."""
        if self._collector is not None:
            self._collector.discard()
            self._collector = None
        self._buffer = b""
        body = json_error(str(exc))
        headers = (("Content-Type", "application/json"),)
        date = self.server.date_line
        self.server.log_refusal(self, exc)
        self.transport.write(plain_answer(None, exc.status, headers, body, date=date, close=True))
        self.linger()

    def check(self, now: float) -> None:
        exchange = self.exchange
        if exchange is not None:
            self._deadline = FOREVER  # it is the client who waits
            if exchange.relaying is not None:
                exchange.relaying.check(now)
        if now >= self._deadline or now >= self._stalled_at:
            super().check(now)

    def _waited_too_long(self, what: str) -> None:
        if what in ("head", "body") and not self.idle:
            self.refuse(BadRequest(408, f"The request's {what} did not arrive in time."))
        else:
            self.close()

    def _writable(self, writable: bool) -> None:
        if self.exchange is not None:
            self.exchange.paused(not writable)
        elif writable:
            self._go_on()

    def open_tunnel(self, send: Callable[[bytes], None]) -> None:
        """From now on the client's bytes go to ``send``, whatever they are (WebSocket)."""
        self.tunnel = send
        early, self._buffer = self._buffer, b""
        if early:
            send(early)
        self.pause_reading(False)

    def close_if_idle(self) -> None:
        """Not one that is new: its first request may be on its way, and is told where to go."""
        if self.idle and self._waiting_for == "request":
            self.close()
