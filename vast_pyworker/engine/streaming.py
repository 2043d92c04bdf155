"""The common piece of a stream: one whole chunk, passed on as it is, in as few steps as can be.

A language model sends a chunk for each token, so this is where a busy worker spends its time. All
that is not such a piece (several chunks, parts of one, the last one, an end) is ``relaying``'s.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from .framing import FIRST_LINES, REMEMBERED_BYTES, ChunkedBody

if TYPE_CHECKING:
    from .relaying import Relaying
    from .upstream import UpstreamConnection

_CR, _LF = b"\r\n"


class ChunkStream(asyncio.Protocol):
    """In a connection's place while an answer in chunks comes for a client that takes chunks.

    ``write`` is the client's transport's; ``tail`` keeps the last pieces where somebody reads them.
    """

    __slots__ = ("_body", "_connection", "_relaying", "_tail", "_write")

    def __init__(
        self,
        relaying: Relaying,
        connection: UpstreamConnection,
        body: ChunkedBody,
        write: Callable[[bytes], None],
        tail: deque[bytes] | None,
    ) -> None:
        self._relaying = relaying
        self._connection = connection
        self._body = body
        self._write = write
        self._tail = tail
        connection.transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        body = self._body
        size = len(data)
        line = FIRST_LINES[size] if size <= REMEMBERED_BYTES else None
        if (
            line is not None
            and body.at_boundary
            and data[: len(line)] == line
            and data[-1] == _LF
            and data[-2] == _CR
        ):
            if self._tail is not None:
                self._tail.append(data)
            body.latest = data
            body.sent += size
            write = self._write  # called as an attribute it would be taken for a method first
            write(data)
        else:
            self._relaying.feed(data)
            if body.ended:
                self._connection.transport.set_protocol(self._connection)

    def eof_received(self) -> None:
        self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()
