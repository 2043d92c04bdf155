"""Where a message's body ends: by length, by chunks, or by close. Pure, incremental, strict.

A ``Body`` is fed pieces as they arrive and gives back what goes to the client, framed for the
client. The common piece, whole chunks to a client that takes chunks, comes back as the same
object. What leaves is always cut at a chunk's end, so that an error frame can follow at any time.
Any split of the same bytes gives the same payload.
"""

from __future__ import annotations

import re
from functools import lru_cache

from vast_pyworker.errors import BadResponse

from .limits import CHUNK_DIGITS, CHUNK_LINE_BYTES, TRAILER_BYTES

LAST_CHUNK = b"0\r\n\r\n"

_HEX = re.compile(rb"[0-9A-Fa-f]+\Z")
_CHUNK_LINES = re.compile(rb"\r\n[0-9A-Fa-f]{1,15}\r\n")

REMEMBERED_BYTES = 4096
FIRST_LINES: list[bytes | None] = [None] * (REMEMBERED_BYTES + 1)
"""How chunks begin, by the bytes of the whole chunk: streams repeat sizes, and servers their way of
spelling them, so that mostly a comparison tells that a chunk is whole and plain."""

# What a decoder expects next.
_SIZE, _PAYLOAD, _PAYLOAD_END, _TRAILER = range(4)


def chunk(data: bytes) -> bytes:
    """One chunk around ``data``, which must not be empty."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def chunk_size(line: bytes) -> int:
    """Size in a chunk's first line, extensions left out; raise ValueError for anything odd."""
    digits = line.partition(b";")[0].rstrip(b" \t")
    if len(digits) > CHUNK_DIGITS or not _HEX.match(digits):
        raise ValueError("a chunk's size is not a plain hexadecimal number")
    return int(digits, 16)


@lru_cache(1024)
def _plain_size(line: bytes) -> int:
    """Size in a chunk's first line that is nothing else; -1 where it is. Streams repeat sizes."""
    return int(line, 16) if len(line) <= CHUNK_DIGITS and _HEX.match(line) else -1


def payload_of(pieces: bytes, chunked: bool) -> bytes:
    """What is in the last bytes of a body; of chunks, whose beginning is not known, about that."""
    return _CHUNK_LINES.sub(b"", pieces) if chunked else pieces


class ChunkDecoder:
    """Chunked bytes in, payload out.

    ``feed`` returns the payload in ``data``. After the last chunk ``ended`` is True and ``excess``
    holds the bytes that came after it. Raises ValueError for framing that is not exact. The time
    it takes grows with the bytes, however small the chunks are.
    """

    __slots__ = ("_left", "_line", "_part", "_trailers", "ended", "excess")

    def __init__(self) -> None:
        self._line = b""
        self._left = 0
        self._part = _SIZE
        self._trailers = 0
        self.ended = False
        self.excess = b""

    @property
    def at_boundary(self) -> bool:
        """Whether a new chunk would begin with the next byte."""
        return self._part == _SIZE and not self._line

    def feed(self, data: bytes) -> bytes:
        out: list[bytes] = []
        at, size = 0, len(data)
        while at < size and not self.ended:
            part = self._part
            if part == _PAYLOAD:
                piece = data[at : at + self._left]
                out.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._part = _PAYLOAD_END
            elif part == _PAYLOAD_END:
                at = self._payload_end(data, at)
            else:
                at = self._framing_line(data, at)
        if self.ended:
            self.excess = data[at:]
        return out[0] if len(out) == 1 else b"".join(out)

    def _payload_end(self, data: bytes, at: int) -> int:
        seen = self._line + data[at : at + 2 - len(self._line)]
        if not b"\r\n".startswith(seen):
            raise ValueError("a chunk is longer than its size says")
        at += len(seen) - len(self._line)
        if len(seen) == 2:
            self._line = b""
            self._part = _SIZE
        else:
            self._line = seen
        return at

    def _framing_line(self, data: bytes, at: int) -> int:
        """Take a size or trailer line from ``at``; return where it ends."""
        window = CHUNK_LINE_BYTES + 1 - len(self._line)
        end = data.find(b"\n", at, at + window)
        if end < 0:
            self._line += data[at : at + window]
            if len(self._line) > CHUNK_LINE_BYTES:
                raise ValueError("a chunk's first line is too long")
            return len(data)
        line = self._line + data[at : end + 1]
        self._line = b""
        if line[-2:] != b"\r\n" or b"\r" in line[:-2]:
            raise ValueError("a chunk's line ends in a bare CR or LF")
        if self._part == _SIZE:
            self._left = chunk_size(line[:-2])
            self._part = _PAYLOAD if self._left else _TRAILER
        else:
            self._take_trailer(line)
        return end + 1

    def _take_trailer(self, line: bytes) -> None:
        self._trailers += len(line)
        if self._trailers > TRAILER_BYTES:
            raise ValueError("the trailers are too long")
        self.ended = line == b"\r\n"


class Body:
    """A response body on its way to a client. Base of the three below.

    ``feed`` returns the bytes to send on; ``ended`` says that all of it has come; ``excess`` that
    more than all of it has, so that the connection cannot be used again; ``until_close`` that the
    client knows the end by nothing but our closing. ``close`` tells that the upstream closed and
    returns the closing bytes, or raises BadResponse when it was too early.
    """

    __slots__ = ("ended", "excess", "latest", "sent", "sent_before")

    chunked = False
    until_close = False

    def __init__(self) -> None:
        self.ended = False
        self.excess = False
        # Kept by who sends on what ``feed`` returns: the latest of it, its bytes in all, and how
        # many those were at the last look; here, for a Struct's fields are slow to set.
        self.latest = b""
        self.sent = 0
        self.sent_before = -1

    def feed(self, data: bytes) -> bytes:
        raise NotImplementedError

    def close(self) -> bytes:
        raise BadResponse("The model server closed the connection in the middle of its answer.")


class LengthBody(Body):
    """A body of a known number of bytes."""

    __slots__ = ("_left",)

    def __init__(self, length: int) -> None:
        super().__init__()
        self._left = length
        self.ended = length == 0

    def feed(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left > 0:
            return data
        self.ended = True
        if self._left < 0:
            self.excess = True
            return data[: self._left]
        return data


class ChunkedBody(Body):
    """A chunked body for a client that takes chunks. ``at_boundary``: the next byte begins one."""

    __slots__ = ("_decoder", "at_boundary")

    chunked = True

    def __init__(self) -> None:
        super().__init__()
        self._decoder = ChunkDecoder()
        self.at_boundary = True

    def feed(self, data: bytes) -> bytes:
        if self.at_boundary and self._whole(data):
            return data
        try:
            payload = self._decoder.feed(data)
        except ValueError as exc:
            raise BadResponse(f"The model server's chunks are broken: {exc}.") from exc
        self.at_boundary = self._decoder.at_boundary
        out = chunk(payload) if payload else b""
        if not self._decoder.ended:
            return out
        self.ended = True
        self.excess = bool(self._decoder.excess)
        return out + LAST_CHUNK

    def _whole(self, data: bytes) -> bool:
        """Whether ``data`` is whole plain chunks, so that it can go on as it is."""
        at, size = 0, len(data)
        while at < size:
            end = data.find(b"\r\n", at, at + 18)
            if end < 0:
                return False
            length = _plain_size(data[at:end])
            if length < 0:
                return False
            if not length:  # "00" is the last chunk too
                self.ended = data[at:] == LAST_CHUNK
                return self.ended
            after = end + 4 + length
            if after > size or data[after - 2 : after] != b"\r\n":
                return False
            if not at and after == size <= REMEMBERED_BYTES:
                FIRST_LINES[size] = data[: end + 2]
            at = after
        return True


class UnchunkedBody(Body):
    """A chunked body for a client that does not take chunks (HTTP/1.0)."""

    __slots__ = ("_decoder",)

    until_close = True

    def __init__(self) -> None:
        super().__init__()
        self._decoder = ChunkDecoder()

    def feed(self, data: bytes) -> bytes:
        try:
            payload = self._decoder.feed(data)
        except ValueError as exc:
            raise BadResponse(f"The model server's chunks are broken: {exc}.") from exc
        self.ended = self._decoder.ended
        self.excess = bool(self._decoder.excess)
        return payload


class CloseBody(Body):
    """A body that ends when the upstream closes; sent on in chunks where the client takes them."""

    __slots__ = ("chunked", "until_close")

    def __init__(self, to_chunks: bool) -> None:
        super().__init__()
        self.chunked = to_chunks
        self.until_close = not to_chunks

    def feed(self, data: bytes) -> bytes:
        return chunk(data) if self.chunked else data

    def close(self) -> bytes:
        self.ended = True
        return LAST_CHUNK if self.chunked else b""
