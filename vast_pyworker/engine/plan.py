"""What to relay and where to: an address, a target, headers, waits. Values only; nothing is sent.

``RelayPlan`` is made once per route and used for every request of it; what differs between two
requests (body, request id) is given to ``render``.
"""

from __future__ import annotations

import re
import ssl
from typing import Protocol
from urllib.parse import quote, urlsplit

import msgspec

from vast_pyworker.errors import BackendError, SettingError
from vast_pyworker.model import Outcome

from .fields import Header, end_to_end
from .head import RequestHead
from .limits import FOREVER, Timeouts

# Replaced or meaningless on the way to the model server. Authorization and the keys of auth_data
# are the worker's own business; an encoded answer could not be read for its usage.
_NOT_FORWARDED = frozenset(
    (
        b"accept-encoding",
        b"authorization",
        b"content-length",
        b"cookie",
        b"expect",
        b"host",
        b"x-request-id",
    )
)

_TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
_LINE_ENDS = re.compile(rb"[\r\n\0]")
_TARGET_CHARACTERS = "/?[]@!$&'()*+,;=:%~"


class Origin:
    """Address of a server to relay to, from ``http://``, ``https://`` or ``unix:`` (a socket path).

    ``prefix`` is the path of the url, put before every target. Compared by identity.
    """

    __slots__ = ("host", "host_header", "port", "prefix", "tls", "unix_path", "url")

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.url = url
        self.tls = ssl.create_default_context() if parts.scheme == "https" else None
        self.unix_path = url.partition(":")[2] if parts.scheme == "unix" else None
        try:
            port = parts.port
        except ValueError as exc:
            raise SettingError(f"{url!r} has a port that is not a number; correct it.") from exc
        if self.unix_path is None and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise SettingError(f"{url!r} is no address of a server; use http://HOST:PORT.")
        if self.unix_path is None and not (url.isascii() and url.isprintable()):
            raise SettingError(f"{url!r} has characters that no url has; escape them.")
        self.host = parts.hostname or "localhost"
        self.port = port or (443 if self.tls else 80)
        self.prefix = "" if self.unix_path else parts.path.rstrip("/")
        name = f"[{self.host}]" if ":" in self.host else self.host
        self.host_header = f"{name}:{self.port}" if port else name

    def __str__(self) -> str:
        return self.url


class RelayEnd(msgspec.Struct, frozen=True, gc=False):
    """How a relayed request ended.

    ``status`` is the model server's, None where it gave none; ``tail`` the last bytes of its
    answer's body (at most a few pieces), empty unless the plan keeps it; ``error`` one sentence
    where the outcome is failed.
    """

    outcome: Outcome
    status: int | None
    tail: bytes = b""
    error: str = ""


class RelayObserver(Protocol):
    """Who is told how a relayed request goes; every call is on the loop and must not block.

    ``on_head`` comes at most once, with the first bytes of an answer that comes in pieces;
    ``on_progress`` at most four times a second while bytes flow; ``on_end`` exactly once and last.
    """

    def on_head(self, status: int) -> None: ...

    def on_progress(self) -> None: ...

    def on_end(self, end: RelayEnd) -> None: ...


def with_query(target: str, query: str) -> str:
    """``target`` with the client's query where it has none of its own.

    Vast's client puts its key into every query as ``api_key``; a model server would log it.
    """
    if "?" in target or not query:
        return target
    if "api_key=" in query:
        query = "&".join(part for part in query.split("&") if not part.startswith("api_key="))
    return f"{target}?{query}" if query else target


class RelayPlan:
    """How requests of one route are relayed.

    ``target`` is the path on the model server, escaped here where it must be; a query of the client
    is added where ``target`` has none. ``headers`` are set in place of the client's of the same
    name. ``shared`` plans outlive the request and may be remembered beside a head. Raises
    BackendError for a method or header that would not stay within its line.
    """

    __slots__ = (
        "_set",
        "first_byte_s",
        "headers",
        "keep_tail",
        "method",
        "origin",
        "shared",
        "target",
        "timeouts",
        "total_s",
    )

    def __init__(
        self,
        origin: Origin,
        target: str,
        *,
        method: str = "POST",
        headers: tuple[Header, ...] = (),
        timeouts: Timeouts | None = None,
        keep_tail: bool = False,
        shared: bool = True,
    ) -> None:
        self.origin = origin
        for name, value in ((method.encode(), b""), *headers):
            if not _TOKEN.match(name) or _LINE_ENDS.search(value):
                raise BackendError(f"{name!r} or its value cannot be sent by HTTP; correct it.")
        self.target = quote(target if target.startswith("/") else "/" + target, _TARGET_CHARACTERS)
        self.method = method
        self.headers = headers
        self.timeouts = timeouts or Timeouts()
        self.first_byte_s = self.timeouts.first_byte_s or FOREVER
        self.total_s = self.timeouts.total_s or FOREVER
        self.keep_tail = keep_tail
        self.shared = shared
        self._set = _NOT_FORWARDED.union(name.lower() for name, _ in headers)

    def render(self, head: RequestHead, body: bytes | msgspec.Raw, request_id: bytes) -> bytes:
        """The request as it goes to the model server."""
        known, prefix = head.latest
        if known is not self:
            prefix = self._prefix(head)
        if not body and self.method in ("GET", "HEAD", "OPTIONS", "DELETE"):
            return b"".join((prefix, request_id, b"\r\n\r\n"))
        length = b"\r\nContent-Length: %d\r\n\r\n" % len(body)
        return b"".join((prefix, request_id, length, body))

    def _prefix(self, head: RequestHead) -> bytes:
        """What requests with this very head have in common: all up to their id."""
        block: bytes | None = head.memo.get(self)
        if block is None:
            block = self._block(head)
            if self.shared:
                head.memo[self] = block
        for name, value in head.varying:
            if name.lower() not in self._set:
                block = b"".join((block, name, b": ", value, b"\r\n"))
        prefix = block + b"X-Request-ID: "
        if self.shared:
            head.latest = (self, prefix)
        return prefix

    def _block(self, head: RequestHead) -> bytes:
        """What requests with a head like this have in common, but for the headers that vary."""
        target = with_query(self.origin.prefix + self.target, head.query)
        lines = [
            f"{self.method} {target} HTTP/1.1".encode("latin-1"),
            b"Host: " + self.origin.host_header.encode("latin-1"),
        ]
        common = head.headers[: len(head.headers) - len(head.varying)]
        kept = [h for h in end_to_end(common, head.fields) if h[0].lower() not in self._set]
        lines += [b"%b: %b" % header for header in (*kept, *self.headers)]
        if head.upgrade is not None:
            lines += [b"Connection: upgrade", b"Upgrade: " + head.upgrade]
        return b"\r\n".join(lines) + b"\r\n"
