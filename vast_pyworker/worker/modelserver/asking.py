"""One question to a server on this machine, over TCP, TLS or a Unix socket.

Without a pool, redirects or proxies from the environment: a question about health must be about
this server, on a connection of its own. Socket errors come out as they are, because which one it
was is the answer. The time allowed is for all of it, however slowly the server drips.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any, cast
from urllib.parse import urlsplit

MAX_BODY_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Address:
    """Where to ask. ``socket_path`` is set for a Unix socket; then host and port mean nothing."""

    host: str
    port: int
    target: str
    tls: bool = False
    socket_path: str = ""


def address_of(url: str) -> Address:
    """Read ``http://``, ``https://`` or ``unix:/path/of/socket``, the last with ``:/target``."""
    if url.startswith("unix:"):
        path, _, target = url.removeprefix("unix:").partition(":")
        return Address("localhost", 80, target or "/", socket_path=path)
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(parts.hostname or "127.0.0.1", parts.port or (443 if tls else 80), target, tls)


def connect(address: Address, timeout_s: float) -> socket.socket:
    """A connection; raises OSError, TimeoutError among them."""
    if not address.socket_path:
        plain = socket.create_connection((address.host, address.port), timeout_s)
        return _with_tls(plain, address.host) if address.tls else plain
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        connection.connect(address.socket_path)
    except OSError:
        connection.close()
        raise
    return connection


def ask(address: Address, timeout_s: float) -> int:
    """The status of one GET; raises OSError or HTTPException. The body is left unread."""
    with _exchange(address, timeout_s) as response:
        return response.status


def post_json(address: Address, body: bytes, timeout_s: float) -> int:
    """The status of one POST of a JSON text; raises as ``ask``."""
    with _exchange(address, timeout_s, body) as response:
        return response.status


def fetch(address: Address, timeout_s: float) -> bytes:
    """The body of one GET that was answered with 200, at most 4 MiB of it; raises as ``ask``."""
    with _exchange(address, timeout_s) as response:
        if response.status != 200:
            raise ConnectionError(f"its status is {response.status}")
        return response.read(MAX_BODY_BYTES)


@contextmanager
def _exchange(
    address: Address, timeout_s: float, body: bytes | None = None
) -> Iterator[HTTPResponse]:
    """A GET, or with a body a POST, and its answer."""
    method = "GET" if body is None else "POST"
    head = [
        f"{method} {address.target} HTTP/1.1",
        f"Host: {address.host}:{address.port}",
        *("Accept: */*", "Connection: close"),
    ]
    if body is not None:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    # In one piece: a server that is quick has answered and closed before there is a second one.
    request = "\r\n".join([*head, "", ""]).encode("latin-1", "replace") + (body or b"")
    until = time.monotonic() + timeout_s
    with connect(address, timeout_s) as connection:
        connection.sendall(request)
        response = HTTPResponse(cast(socket.socket, _Reader(connection, until)), method=method)
        with response:
            response.begin()
            yield response


class _Reader(io.RawIOBase):
    """Reads from a socket that must all be over at ``until``; what HTTPResponse needs of one."""

    def __init__(self, connection: socket.socket, until: float) -> None:
        self._connection = connection
        self._until = until

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the server answers too slowly")
        self._connection.settimeout(left_s)
        return self._connection.recv_into(buffer)


def _with_tls(plain: socket.socket, host: str) -> socket.socket:
    """TLS without verification: the server is on this machine, its certificate home-made."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except OSError:
        plain.close()
        raise
