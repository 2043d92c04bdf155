"""What the engine puts up with: sizes, counts and waits. All in one place, all bounded.

Nothing here acts; the numbers are enforced where the bytes are.
"""

from __future__ import annotations

from dataclasses import dataclass

HEAD_BYTES = 32 * 1024
REQUEST_LINE_BYTES = 8 * 1024
HEADER_COUNT = 100
REMEMBERED = 512
CHUNK_LINE_BYTES = 1024
CHUNK_DIGITS = 15
TRAILER_BYTES = 8 * 1024
PIPELINE_BYTES = 64 * 1024
MEMORY_BODY_BYTES = 1024 * 1024
TAIL_PIECES = 8
FOREVER = float("inf")


@dataclass(frozen=True)
class Limits:
    """Bounds of one server; waits in seconds, sizes in bytes.

    ``comment_s`` after a relayed stream of events has fallen silent its client gets a comment.
    """

    body_bytes: int = 64 * 1024 * 1024
    connections: int = 4096
    head_s: float = 10.0
    body_idle_s: float = 30.0
    idle_s: float = 65.0
    stalled_write_s: float = 60.0
    comment_s: float = 15.0
    wsgi_queue: int = 1024


@dataclass(frozen=True)
class Timeouts:
    """Waits of one relayed request, in seconds; 0 means no limit.

    ``connect_s`` until the model server accepts; ``first_byte_s`` from there to the first byte of
    the answer; ``silence_s`` between two pieces of it; ``total_s`` for all of it.
    """

    connect_s: float = 5.0
    first_byte_s: float = 600.0
    silence_s: float = 120.0
    total_s: float = 0.0
