"""Server-sent events: every sentence as it is said, and a word on each tick.

A reader holds no thread: its exchange is written to on the engine's loop. Readers are bounded; one
that does not read is cut, and finds what it missed by Last-Event-ID when it comes again.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from vast_pyworker.controller.ledger.journal import Event, Journal
from vast_pyworker.engine import Exchange
from vast_pyworker.engine.answer import status_line
from vast_pyworker.engine.framing import LAST_CHUNK, chunk

MOST_READERS = 64
AT_ONCE = 500  # sentences that a reader is given when it comes
_KEPT = 500
_HEAD = (
    b"Content-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n"
    b"Connection: close\r\n"
)


class Events:
    """``publish`` is for one thread; ``open`` for any; what it returns for the engine's loop."""

    def __init__(self, journal: Journal, *, most: int = MOST_READERS) -> None:
        self._journal = journal
        self._most = most
        self._lock = threading.Lock()
        self._readers: set[Exchange] = set()
        self._opening = 0
        self._newest = journal.newest_id()
        self._recent: deque[tuple[int, bytes]] = deque(maxlen=_KEPT)

    @property
    def readers(self) -> int:
        return len(self._readers)

    def publish(self, tick: Mapping[str, Any]) -> None:
        """Send the sentences that were said since, then the tick."""
        said = [(each.id, _sentence(each)) for each in self._journal.events(self._newest, AT_ONCE)]
        data = b"".join(frame for _, frame in said) + _frame("tick", tick)
        with self._lock:
            self._recent.extend(said)
            self._newest = said[-1][0] if said else self._newest
            readers = tuple(self._readers)
        for reader in readers:
            reader.call_soon(partial(self._write, reader, data))

    def open(self, after_id: int | None) -> Callable[[Exchange], None] | None:
        """What answers a reader on the loop: first what was said after ``after_id`` (None: nothing
        of before), then all that comes. None where there are too many readers."""
        with self._lock:
            if len(self._readers) + self._opening >= self._most:
                return None
            self._opening += 1
            newest = self._newest
        since = newest if after_id is None else after_id
        missed: list[Event] = []
        if after_id is not None:
            missed = self._journal.events(after_id, AT_ONCE)
        frames = b"".join(map(_sentence, missed))
        last = missed[-1].id if missed else since
        return partial(self._begin, last, b"retry: 2000\n\n" + frames)

    def close(self) -> None:
        """End every reader's answer in good order."""
        with self._lock:
            readers, self._readers = tuple(self._readers), set()
        for reader in readers:
            reader.call_soon(partial(_finish, reader))

    # --- on the loop ---

    def _begin(self, last: int, data: bytes, exchange: Exchange) -> None:
        with self._lock:
            self._opening -= 1
            if exchange.over:
                return
            between = b"".join(frame for number, frame in self._recent if number > last)
            self._readers.add(exchange)
        exchange.on_gone = partial(self._gone, exchange)
        exchange.begin(200, close=True)
        exchange.until_close = not _chunked(exchange)
        coding = b"Transfer-Encoding: chunked\r\n" if _chunked(exchange) else b""
        request_id = b"X-Request-ID: %b\r\n\r\n" % exchange.request_id
        exchange.write(status_line(200) + _HEAD + coding + request_id)
        exchange.write(_framed(exchange, data + between))

    def _write(self, exchange: Exchange, data: bytes) -> None:
        if exchange.over:
            self._gone(exchange)
        elif exchange.write_paused:
            self._gone(exchange)
            exchange.cut(gently=False)
        else:
            exchange.write(_framed(exchange, data))

    def _gone(self, exchange: Exchange) -> None:
        with self._lock:
            self._readers.discard(exchange)


def _chunked(exchange: Exchange) -> bool:
    return exchange.head.minor == 1


def _framed(exchange: Exchange, data: bytes) -> bytes:
    """In chunks, which readers pass on as they come, where the reader knows them."""
    return chunk(data) if _chunked(exchange) else data


def _finish(exchange: Exchange) -> None:
    if not exchange.over and _chunked(exchange):
        exchange.write(LAST_CHUNK)
    exchange.finish()


def event_row(event: Event) -> dict[str, Any]:
    """A sentence as plain data, without what it was decided from."""
    return {"id": event.id, "at": event.at, "group": event.group, "sentence": event.sentence}


def _sentence(event: Event) -> bytes:
    return b"id: %d\n" % event.id + _frame("said", event_row(event))


def _frame(kind: str, data: Mapping[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
