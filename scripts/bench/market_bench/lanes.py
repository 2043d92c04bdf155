"""The load: a few connections, on each one request at a time, as plain as can be.

A turn sends on every connection and then reads every answer, so that the server always has work
and the load is cheap. What it does not: HTTP beyond a status and a stated length.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from relay_bench.errors import BenchError

LANES = 8
TIMEOUT_S = 30.0
KEY = "market"
_CHUNK_BYTES = 2**18

# Given the number of a lane and the answer to its last request, the next request.
Script = Callable[[int, bytes], bytes]


@dataclass(frozen=True)
class Load:
    """``p50_us`` and ``p99_us`` are from sending to the whole answer, with LANES at once."""

    requests: int
    seconds: float
    p50_us: float
    p99_us: float

    @property
    def per_s(self) -> float:
        return self.requests / self.seconds


def request(method: str, path: str, body: object = None) -> bytes:
    """One request as bytes, with the market's key."""
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


class Lanes:
    """Connections to a port of 127.0.0.1. A context."""

    def __init__(self, port: int, count: int = LANES) -> None:
        self._port, self._count = port, count
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Lanes:
        for _ in range(self._count):
            made = socket.create_connection(("127.0.0.1", self._port), timeout=TIMEOUT_S)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.append(made)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in self._sockets:
            each.close()

    def ask(self, sent: bytes) -> bytes:
        """One request on the first connection; the body of its answer."""
        self._sockets[0].sendall(sent)
        return answer_on(self._sockets[0])

    def load(self, script: Script, seconds: float, cycle: int = 1) -> Load:
        """Turns until the time is over, at least one, and a multiple of ``cycle``."""
        last = [b""] * self._count
        took_us: list[float] = []
        begun = time.perf_counter()
        turns = 0
        while turns % cycle or not turns or time.perf_counter() - begun < seconds:
            turns += 1
            sent: list[float] = []
            for lane, each in enumerate(self._sockets):
                sent.append(time.perf_counter())
                each.sendall(script(lane, last[lane]))
            for lane, each in enumerate(self._sockets):
                last[lane] = answer_on(each)
                took_us.append((time.perf_counter() - sent[lane]) * 1e6)
        return _summed(took_us, time.perf_counter() - begun)


def answer_on(connection: socket.socket) -> bytes:
    """The body of the next answer; BenchError for any but a 200."""
    data = bytearray()
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += _received(connection)
    head = bytes(data[:end]).lower()
    if b" 200 " not in head.split(b"\r\n", 1)[0]:
        raise BenchError(f"the server answered {bytes(data[:300])!r}")
    _, found, rest = head.partition(b"\r\ncontent-length:")
    if not found:
        raise BenchError("the server did not say how long its answer is")
    wanted = end + 4 + int(rest.split(b"\r\n", 1)[0])
    while len(data) < wanted:
        data += _received(connection)
    return bytes(data[end + 4 : wanted])


def _received(connection: socket.socket) -> bytes:
    part = connection.recv(_CHUNK_BYTES)
    if not part:
        raise BenchError("the server closed a connection; look for the reason in its output")
    return part


def _summed(took_us: list[float], seconds: float) -> Load:
    ordered = sorted(took_us)
    last = len(ordered) - 1
    return Load(len(ordered), seconds, ordered[last // 2], ordered[last * 99 // 100])
