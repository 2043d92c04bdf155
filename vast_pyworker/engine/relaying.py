"""One request relayed: sent to the model server, its answer passed to the client as it comes.

Knows the waits and every way to end; ends exactly once. Getting a connection is ``attempt``'s part.
Does not know what a request is worth or whether it may run: that is the observer's business.
"""

from __future__ import annotations

import logging
from collections import deque

from vast_pyworker.errors import BadResponse
from vast_pyworker.model import Outcome

from .answer import (
    COMMENT,
    between_events,
    error_frame,
    is_told_whole,
    json_error,
    relayed_body,
    relayed_head,
    relayed_whole,
)
from .attempt import MORE, SENT_AT_ONCE, Attempt
from .framing import LAST_CHUNK, Body, ChunkedBody, UnchunkedBody, chunk, payload_of
from .limits import HEAD_BYTES, TAIL_PIECES
from .plan import RelayEnd
from .response_head import ResponseHead, parse_response_head
from .streaming import ChunkStream
from .tunnel import Tunnel

log = logging.getLogger(__name__)

FINISHED, FAILED = Outcome.FINISHED, Outcome.FAILED  # looked up once: an enum is slow at it
_SERVED = RelayEnd(FINISHED, 200)  # how nearly all end where no tail is kept


class Relaying(Attempt):
    """The state of one relayed request. All calls are on the loop."""

    _body: Body | None = None
    _head_bytes: bytes = b""
    _content_type: bytes = b""
    _tail: deque[bytes] | None = None
    _commented_at: float = 0.0

    def feed(self, data: bytes) -> None:
        """Bytes from the model server."""
        body = self._body
        if body is None:
            connection = self._connection
            # The same head as before and all of the body, as unary answers mostly come.
            if (
                connection is not None
                and len(data) == connection.whole
                and data[: connection.head_length] == connection.head_bytes
                and connection.head is not None
                and not self._head_bytes
                and self._exchange.head.method != "HEAD"
            ):
                self._answer_whole(connection.head, data[connection.head_length :])
            else:
                self._feed_head(data)
            return
        try:
            out = body.feed(data)
        except BadResponse as exc:
            self._fail(502, str(exc))
            return
        if self._tail is not None:
            self._tail.append(data)
        exchange = self._exchange
        if out and not exchange.over:
            # Not by ``exchange.write``, which is a call for each event of each stream.
            body.latest = out
            body.sent += len(out)
            exchange.client.transport.write(out)
        if body.ended:
            self._complete(not body.excess)

    def _feed_head(self, data: bytes) -> None:
        if self._head_bytes:
            data = self._head_bytes + data
        while True:
            end = data.find(b"\r\n\r\n") + 4
            if end < 4:
                self._head_bytes = data
                if len(data) > HEAD_BYTES:
                    self._fail(502, "The model server's headers are too large.")
                return
            head_bytes = data[:end]
            try:
                head = parse_response_head(head_bytes)
            except BadResponse as exc:
                self._fail(502, str(exc))
                return
            data = data[end:]
            if head.status >= 200 or head.status == 101:
                break  # else an interim answer; the real one follows
        if head.whole == len(data) and self._exchange.head.method != "HEAD":
            if self._connection is not None:
                self._connection.remember(head_bytes, head)
            self._answer_whole(head, data)
        elif head.status == 101:
            self._switch_protocols(head, data)
        else:
            self._answer_in_pieces(head, data)

    def _answer_whole(self, head: ResponseHead, rest: bytes) -> None:
        """All of the answer came at once, as unary answers mostly do."""
        exchange = self._exchange
        exchange.status = head.status
        if self._server.draining:
            exchange.closes = True
        answer = relayed_whole(head, exchange.request_id, rest, close=exchange.closes)
        exchange.bytes_sent = len(answer)
        exchange.client.transport.write(answer)
        if self._plan.keep_tail:
            self._tail = deque((rest,))
        self._complete(True)

    def _answer_in_pieces(self, head: ResponseHead, rest: bytes) -> None:
        exchange = self._exchange
        if self._plan.method == "HEAD" != exchange.head.method:
            self._fail(502, "A HEAD cannot answer another method; relay by the client's own.")
            return
        body = relayed_body(exchange.head, head, self._plan.method)
        try:
            first = body.feed(rest) if rest else b""
        except BadResponse as exc:
            self._fail(502, str(exc))
            return
        self._body = body
        self._observer.on_head(head.status)
        exchange.until_close = body.until_close
        close = exchange.must_close or body.until_close
        if b"content-encoding" not in head.fields:  # no frame of ours fits into what is compressed
            self._content_type = head.fields.get(b"content-type", b"")
        chunked = body.chunked
        top = relayed_head(head, exchange.request_id, chunked=chunked, close=close)
        exchange.begin(head.status, close)
        if self._plan.keep_tail:
            self._tail = deque((rest,), TAIL_PIECES)
        body.latest = top + first
        exchange.write(body.latest)
        if not head.keep_alive:
            body.excess = True  # not to be used again
        if body.ended:
            self._complete(not body.excess)
        else:
            if isinstance(body, ChunkedBody) and self._connection is not None:
                ChunkStream(self, self._connection, body, exchange.unbuffered(), self._tail)
            self._wait_for(MORE, self._plan.timeouts.silence_s)
            if len(self._request) <= SENT_AT_ONCE:
                self._request = b""  # it will not be sent again

    def _switch_protocols(self, head: ResponseHead, rest: bytes) -> None:
        exchange, connection = self._exchange, self._connection
        upgrade = exchange.head.upgrade
        if upgrade is None or connection is None:
            self._fail(502, "The model server switched protocols without being asked to.")
            return
        self._over, self._connection = True, None
        self._observer.on_head(head.status)
        top = relayed_head(head, exchange.request_id, chunked=False, close=False)
        top = b"%bConnection: upgrade\r\nUpgrade: %b\r\n\r\n" % (top[:-2], upgrade)
        Tunnel(exchange, connection, self._observer).open(top + rest)

    def lost(self, exc: Exception | None) -> None:
        """The connection to the model server is gone."""
        connection, self._connection = self._connection, None
        if self._over:
            return
        if self._body is None:
            if connection is not None and not self._head_bytes and self._is_stale(connection):
                self._retry(connection)
                return
            self._fail(502, "The model server closed the connection without an answer.")
            return
        try:
            if exc is not None:
                raise BadResponse(f"The model server's connection broke in its answer: {exc}.")
            out = self._body.close()
        except BadResponse as error:
            self._fail(502, str(error))
            return
        self._exchange.write(out)
        self._complete(False)

    def _complete(self, reusable: bool) -> None:
        self._give_back(reusable)
        exchange = self._exchange
        status = exchange.status
        if status >= 500 or status == 429:
            self._end(FAILED, f"The model server answered {status}.")
        else:
            self._end(FINISHED)
        exchange.finish()

    def _fail(self, status: int, message: str) -> None:
        """The model server is to blame; tell the client in the way that is still open."""
        if self._over:
            return
        self._release_upstream()
        exchange = self._exchange
        body = self._body
        self._end(FAILED, message)
        if body is None:
            headers = (("Content-Type", "application/json"),)
            exchange.respond(status, headers, json_error(message))
        elif body.chunked:
            # Whether what was sent last, a chunk or the head, ends in a line end.
            at_line_start = body.latest.endswith(b"\n\r\n")
            frame = error_frame(self._content_type, message, at_line_start=at_line_start)
            if frame:
                exchange.write(chunk(frame) + LAST_CHUNK)
            exchange.cut(gently=bool(frame))
        else:
            exchange.cut(gently=False)

    def interrupt(self, message: str) -> None:
        """The server stops before the answer is complete: tell the client in the way still open."""
        self._fail(503, message)

    def cancel(self) -> None:
        """The client is gone: so is the work on the model server, unless all of it was told.

        Many a client hangs up at the last event, before the last chunk, which is empty, is here.
        """
        if self._over:
            return
        self._release_upstream()
        body = self._body
        if body is not None and is_told_whole(self._content_type, body.latest):
            self._end(FINISHED)
        else:
            self._end(Outcome.CANCELLED, "The client left.")

    def _end(self, outcome: Outcome, error: str = "") -> None:
        self._over = True
        exchange, body, pieces = self._exchange, self._body, self._tail
        exchange.relaying = None
        if body is not None:
            exchange.bytes_sent += body.sent
        if outcome is FINISHED and exchange.status == 200 and not pieces:
            end = _SERVED
        else:
            tail = b""
            if pieces:
                chunked = isinstance(body, ChunkedBody | UnchunkedBody)
                tail = payload_of(b"".join(pieces), chunked)
            end = RelayEnd(outcome, exchange.status or None, tail, error)
        try:
            self._observer.on_end(end)
        except Exception:  # an observer's fault must not leave the client without an end
            log.exception("What was told of a relayed request's end failed.")

    def pause(self, paused: bool) -> None:
        """The client reads slower than the model server writes, or again fast enough."""
        self._paused = paused
        if self._connection is None:
            return
        if paused:
            self._connection.transport.pause_reading()
        else:
            if self._body is not None:
                self._since = self._server.now  # the client's time is not the model server's
            self._connection.transport.resume_reading()

    def upstream_paused(self, paused: bool) -> None:
        """The model server reads slowly; the request is all here, so nobody need wait for it."""

    def check(self, now: float) -> None:
        """Called four times a second: measure the waits, tell of progress."""
        body, plan = self._body, self._plan
        if body is not None:
            if body.sent != body.sent_before:
                body.sent_before = body.sent
                self._since = now  # the wait for more of the answer begins anew
                self._observer.on_progress()
            elif now - self._since > self._server.limits.comment_s:
                self._keep_alive(body, now)
        if now > self._began_at + plan.total_s:
            self._fail(504, f"The request took longer than {plan.total_s:g} s.")
        elif now > self._since + (self._limit_s or plan.first_byte_s) and not self._paused:
            self._fail(504, f"The model server was waited for too long ({self._waiting_for}).")

    def _keep_alive(self, body: Body, now: float) -> None:
        """A comment now and then, or what lies between may take a silent stream for a dead one."""
        if not body.chunked or self._paused:
            return
        is_due = now - self._commented_at > self._server.limits.comment_s
        if is_due and between_events(self._content_type, body.latest):
            self._commented_at = now
            self._exchange.write(chunk(COMMENT))
