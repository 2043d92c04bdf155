"""One client connection, without what comes over it: addresses, waits, and how it ends.

A client that keeps us waiting, for its bytes or by not taking ours, is cut. What it asks for is
the business of ``client``, which builds on this.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .server import Server

FOREVER = float("inf")
_LINGER_S = 2.0


class Connection(asyncio.Protocol):
    """Base of ``ClientConnection``: the transport, its addresses and its waits."""

    __slots__ = (
        "_deadline",
        "_ending",
        "_stalled_at",
        "_waiting_for",
        "peer",
        "peer_port",
        "scheme",
        "server",
        "transport",
        "tunnel",
        "write_paused",
    )

    transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self.server = server
        self.peer = ""
        self.peer_port = 0
        self.scheme = "http"
        self.tunnel: Callable[[bytes], None] | None = None
        self.write_paused = False
        self._ending = False
        self._waiting_for = "request"
        self._deadline = FOREVER
        self._stalled_at = FOREVER

    @property
    def unsent(self) -> int:
        """Bytes of answers that the client has not taken yet."""
        return self.transport.get_write_buffer_size()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        name = transport.get_extra_info("peername")
        if isinstance(name, tuple):
            self.peer, self.peer_port = str(name[0]), int(name[1])
        if transport.get_extra_info("sslcontext") is not None:
            self.scheme = "https"

    def close(self) -> None:
        """End the connection after what was written; a client that does not take it is cut."""
        self._ending = True
        self._stalled_at = self.server.now + self.server.limits.stalled_write_s
        self.transport.close()

    def reset_on_close(self) -> None:
        """Let the client see a reset and not an end. A Unix socket has none."""
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def linger(self) -> None:
        """Close so that the answer survives: a reset would overtake it where bytes are unread."""
        self._ending = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._wait("close", _LINGER_S)

    def _wait(self, what: str, seconds: float) -> None:
        self._waiting_for = what
        self._deadline = self.server.now + seconds

    def check(self, now: float) -> None:
        """Called four times a second: cut who keeps us waiting, on either side."""
        if now >= self._stalled_at:
            self.transport.abort()
        if now >= self._deadline:
            self._deadline = FOREVER
            self._waited_too_long(self._waiting_for)

    def _waited_too_long(self, what: str) -> None:
        self.close()

    def _writable(self, writable: bool) -> None:
        """What was written piles up, or has been taken."""

    def pause_writing(self) -> None:
        self.write_paused = True
        self._stalled_at = self.server.now + self.server.limits.stalled_write_s
        self._writable(False)

    def resume_writing(self) -> None:
        self.write_paused = False
        if not self.transport.is_closing():
            self._stalled_at = FOREVER
        self._writable(True)

    def pause_reading(self, paused: bool) -> None:
        if paused:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()
