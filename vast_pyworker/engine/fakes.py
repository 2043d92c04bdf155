"""The other ends of a connection, for tests: a model server that follows a script, a raw client.

Plain sockets and threads on purpose: whatever can be sent can be sent here, right or wrong.
Nothing here is used to serve.
"""

from __future__ import annotations

import queue
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from .framing import ChunkDecoder

WAIT_S = 10.0
Address = tuple[str, int] | str


@dataclass(frozen=True)
class Message:
    """A request or an answer as it came: first line, headers by lower-case name, body."""

    first: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    head: bytes

    @property
    def status(self) -> int:
        return int(self.first.split(" ")[1])

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def get(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)


class Wire:
    """One end of a connection, with what was read and not yet used."""

    def __init__(self, sock: socket.socket, wait_s: float = WAIT_S) -> None:
        sock.settimeout(wait_s)
        if sock.family != socket.AF_UNIX:  # what is sent in pieces is to arrive in pieces
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self._buffer = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read_some(self) -> bytes:
        """What is there, at least a byte; empty at the end."""
        data, self._buffer = self._buffer, b""
        return data or self.sock.recv(65536)

    def read_until(self, mark: bytes) -> bytes:
        """Up to and with ``mark``; raises EOFError where the other side closes before it."""
        while mark not in self._buffer:
            self._fill()
        data, _, self._buffer = self._buffer.partition(mark)
        return data + mark

    def read_exactly(self, size: int) -> bytes:
        pieces = [self._buffer[:size]]
        self._buffer = self._buffer[size:]
        left = size - len(pieces[0])
        while left:
            piece = self.sock.recv(min(left, 1 << 20))
            if not piece:
                raise EOFError(f"closed {left} bytes before the end")
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def read_to_end(self) -> bytes:
        """Everything until the other side closes; raises ConnectionResetError if it resets."""
        pieces = []
        while piece := self.read_some():
            pieces.append(piece)
        return b"".join(pieces)

    def read_message(self, *, no_body: bool = False) -> Message:
        """A whole request or answer; interim answers are returned like others."""
        head = self.read_until(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        pairs = (line.partition(":") for line in lines)
        headers = tuple((name.lower(), value.strip()) for name, _, value in pairs)
        message = Message(first, headers, b"", head)
        if no_body or self._is_bodiless(message):
            return message
        return Message(first, headers, self._read_body(message), head)

    def _is_bodiless(self, message: Message) -> bool:
        if not message.first.startswith("HTTP/"):
            return not (message.get("content-length") or message.get("transfer-encoding"))
        return message.status < 200 or message.status in (204, 304)

    def _read_body(self, message: Message) -> bytes:
        if message.get("transfer-encoding") == "chunked":
            return self.read_chunked()
        length = message.get("content-length")
        return self.read_to_end() if length is None else self.read_exactly(int(length))

    def read_chunked(self) -> bytes:
        decoder, pieces = ChunkDecoder(), []
        while not decoder.ended:
            if not self._buffer:
                self._fill()
            pieces.append(decoder.feed(self._buffer))
            self._buffer = decoder.excess
        return b"".join(pieces)

    def _fill(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(f"closed after {self._buffer[:200]!r}")
        self._buffer += data

    def gone(self, wait_s: float = WAIT_S) -> bool:
        """Whether the other side closes or resets within ``wait_s``; what it sends is dropped."""
        self.sock.settimeout(wait_s)
        try:
            while self.sock.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        finally:
            self.sock.settimeout(WAIT_S)
        return True

    def end_sending(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close so that the other side sees a reset, not an end."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        with suppress(OSError):
            self.sock.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def connect(address: Address, *, tls: ssl.SSLContext | None = None, wait_s: float = WAIT_S) -> Wire:
    """A client's end of a new connection to ``address`` (host and port, or a socket's path)."""
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(address)
    else:
        sock = socket.create_connection(address, wait_s)
    return Wire(sock if tls is None else tls.wrap_socket(sock, server_hostname="localhost"), wait_s)


Script = Callable[[Wire, Message], None]


class ScriptedServer:
    """Calls ``script(wire, request)`` for every request, in a thread per connection.

    ``requests`` are those received, in order; ``opened`` counts connections. The script ends a
    connection by closing the wire; otherwise the next request is read from it.
    """

    def __init__(
        self,
        script: Script,
        *,
        sock: socket.socket | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.script = script
        self.requests: queue.Queue[Message] = queue.Queue()
        self.opened = 0
        self._given = sock
        self._tls = tls
        self._wires: list[Wire] = []
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        self._sock = self._given or socket.create_server(("127.0.0.1", 0))
        self._sock.listen(128)
        name = self._sock.getsockname()
        self.address: Address = name if isinstance(name, str) else (name[0], name[1])
        self._spawn(self._accept)

    @property
    def url(self) -> str:
        if isinstance(self.address, str):
            return f"unix:{self.address}"
        host, port = self.address
        return f"{'https' if self._tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    def stop(self) -> None:
        """Close everything and wait for the threads."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        for wire in tuple(self._wires):
            with suppress(OSError):
                wire.sock.shutdown(socket.SHUT_RDWR)
            wire.close()
        for thread in tuple(self._threads):
            thread.join(WAIT_S)

    def __enter__(self) -> ScriptedServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name="scripted-server", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            self.opened += 1
            self._spawn(self._talk, sock)

    def _talk(self, sock: socket.socket) -> None:
        try:
            wire = Wire(sock if self._tls is None else self._tls.wrap_socket(sock, True))
        except OSError:
            sock.close()
            return
        self._wires.append(wire)
        with wire, suppress(OSError, EOFError, ValueError):
            while wire.sock.fileno() >= 0:
                request = wire.read_message()
                self.requests.put(request)
                self.script(wire, request)


def whole(body: bytes, *, status: str = "200 OK", kind: str = "application/json") -> bytes:
    """An answer with a Content-Length."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
