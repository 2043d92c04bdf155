"""A request's body while it arrives: counted against the limit, in memory first, then on disk.

Handlers get it whole, so that a slow upload never holds a thread or a place at the model server.
"""

from __future__ import annotations

import tempfile
from typing import IO

from vast_pyworker.errors import BadRequest

from .framing import ChunkDecoder
from .head import RequestHead
from .limits import MEMORY_BODY_BYTES


class BodyCollector:
    """Fed until ``complete``; then ``file`` holds the body and ``excess`` what came after it."""

    __slots__ = ("_decoder", "_left", "_limit", "_size", "complete", "excess", "file", "head")

    def __init__(self, head: RequestHead, limit: int) -> None:
        """Raise BadRequest (413) at once where the announced length is over the limit."""
        if head.content_length is not None and head.content_length > limit:
            raise too_large(limit)
        self.head = head
        self._limit = limit
        self._decoder = ChunkDecoder() if head.chunked else None
        self._left = head.content_length or 0
        self._size = 0
        self.complete = False
        self.excess = b""
        self.file: IO[bytes] = tempfile.SpooledTemporaryFile(MEMORY_BODY_BYTES)  # noqa: SIM115

    def feed(self, data: bytes) -> None:
        """Take a piece; raise BadRequest for broken chunks (400) or too many bytes (413)."""
        if self._decoder is None:
            piece = data[: self._left]
            self._left -= len(piece)
            self._store(piece)
            self.complete = not self._left
            self.excess = data[len(piece) :]
            return
        try:
            self._store(self._decoder.feed(data))
        except ValueError as exc:
            raise BadRequest(400, f"The request's chunks are broken: {exc}.") from exc
        self.complete = self._decoder.ended
        self.excess = self._decoder.excess

    def _store(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise too_large(self._limit)
        self.file.write(piece)

    def body(self) -> IO[bytes] | bytes:
        """The body: bytes where small, else a file at its beginning."""
        self.file.seek(0)
        if self._size > MEMORY_BODY_BYTES:
            return self.file
        data = self.file.read()
        self.file.close()
        return data

    def discard(self) -> None:
        self.file.close()


def too_large(limit: int) -> BadRequest:
    return BadRequest(413, f"The body is larger than {limit} bytes, the most accepted here.")
