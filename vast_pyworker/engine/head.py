"""Heads of HTTP/1.1 requests: bytes to a checked value, or one sentence why not.

llhttp (by httptools) reads the tokens; the rules below refuse what lets two servers disagree about
where a message ends: bare CR or LF, NUL, folded lines, a length beside a transfer coding, lengths
that are not plain digits, codings other than one final ``chunked``. Bodies are not read here.

Pure. A head once read is remembered, because clients repeat theirs but for a few lines: those,
the length and the ids of a request, are read apart and put into a copy of the head they go with.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

import httptools

from vast_pyworker.errors import BadRequest

from .fields import (
    Header,
    Seen,
    check_line_ends,
    keeps_alive,
    length,
    merged,
    read_apart,
    tokens,
    with_varying,
)
from .limits import HEAD_BYTES, HEADER_COUNT, REMEMBERED, REQUEST_LINE_BYTES

_AUTHORITY = re.compile(rb"[^/?#]*")
_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+;=:%\[\]-]*\Z")
_CODING = re.compile(rb"\r\ntransfer-encoding:([^\r]*)", re.IGNORECASE)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}\Z")
_VARYING = re.compile(
    rb"\r\n(content-length|x-request-id|traceparent|tracestate): ?([!-~]{1,256})(?=\r\n)",
    re.IGNORECASE,
)


class RequestHead:
    """A checked request head. ``headers`` keeps names as sent; ``fields`` is keyed in lower case.

    ``path`` is the raw path without the query, ``route`` the method and the path,
    ``content_length`` is None where none was sent,
    ``length`` is that of the body that follows, -1 where only its chunks tell,
    ``request_id`` None where no usable X-Request-ID was. ``authorization`` (text) and
    ``content_type`` are the headers of that name, None where there is none.
    ``closes``: the connection ends with the answer, as with HTTP/1.0. ``upgrade`` is ``websocket``
    or None.
    Instances are shared between requests with equal heads: nobody changes them, but ``memo`` may
    hold what callers derive from the headers that like requests have in common; ``latest`` is the
    last thing derived from all of this one's, and what it was derived for; ``handler`` is who
    answers it, and whose handler that is.
    """

    __slots__ = (
        "authorization",
        "chunked",
        "closes",
        "content_length",
        "content_type",
        "expects_continue",
        "fields",
        "handler",
        "headers",
        "latest",
        "length",
        "memo",
        "method",
        "minor",
        "path",
        "query",
        "request_id",
        "route",
        "target",
        "upgrade",
        "varying",
    )

    def __init__(self, method: str, target: bytes, minor: int, headers: tuple[Header, ...]) -> None:
        self.method = method
        self.target = _origin_form(method, target).decode("latin-1")
        self.path, _, self.query = self.target.partition("?")
        self.route = (method, self.path)
        self.minor = minor
        self.headers = headers
        self.fields = merged(headers)
        self.content_length, self.chunked = _request_framing(headers, self.fields, minor)
        self.length = -1 if self.chunked else self.content_length or 0
        self.closes = minor == 0 or not keeps_alive(self.fields, minor)
        self.expects_continue = _expects_continue(self.fields, minor)
        self.upgrade = self._upgrade()
        self.request_id = _request_id(self.fields)
        authorization = self.fields.get(b"authorization")
        self.authorization = None if authorization is None else authorization.decode("latin-1")
        self.content_type = self.fields.get(b"content-type")
        self.varying: tuple[Header, ...] = ()
        self.memo: dict[object, Any] = {}
        self.latest: tuple[object, bytes] = (None, b"")
        self.handler: tuple[object, Any] = (None, None)

    def varied(self, varying: tuple[Header, ...]) -> RequestHead | None:
        """A copy with these headers more; None where they change what the head means.

        ``memo`` is shared: it holds what the headers in common say, and ``varying`` the rest.
        """
        completed = with_varying(self.fields, self.chunked, varying)
        if completed is None or self.upgrade is not None:
            return None
        fields, size = completed
        copy = RequestHead.__new__(RequestHead)
        copy.method, copy.minor, copy.target = self.method, self.minor, self.target
        copy.path, copy.query, copy.route = self.path, self.query, self.route
        copy.headers, copy.fields = (*self.headers, *varying), fields
        copy.content_length, copy.chunked = size, self.chunked
        copy.length = -1 if self.chunked else size or 0
        copy.closes, copy.expects_continue = self.closes, self.expects_continue
        copy.upgrade = None
        copy.request_id = _request_id(fields)
        copy.authorization, copy.content_type = self.authorization, self.content_type
        copy.varying = varying
        copy.memo = self.memo
        copy.latest = (None, b"")
        copy.handler = self.handler
        return copy

    def _upgrade(self) -> bytes | None:
        """The protocol to switch to: a WebSocket, or None.

        Anything else is not asked for on: ``h2c`` would carry requests past every check made here.
        """
        if self.method != "GET" or self.minor == 0 or self.chunked or self.content_length:
            return None
        wanted = b"upgrade" in tokens(self.fields.get(b"connection"))
        return b"websocket" if wanted and tokens(self.get(b"upgrade")) == [b"websocket"] else None

    def get(self, name: bytes) -> bytes | None:
        """Value of the header, joined by commas where sent more than once; None where absent."""
        return self.fields.get(name)

    @property
    def decoded_path(self) -> str:
        """The path with percent escapes undone, as WSGI wants it: bytes in latin-1."""
        return unquote_to_bytes(self.path).decode("latin-1")


def check_unfinished_head(data: bytes) -> None:
    """Raise BadRequest as soon as a head that is still arriving cannot become a good one."""
    if len(data) > HEAD_BYTES:
        raise BadRequest(431, f"Headers are larger than {HEAD_BYTES} bytes; send fewer.")
    line_end = data.find(b"\r\n", 0, REQUEST_LINE_BYTES + 2)
    if line_end < 0 and len(data) > REQUEST_LINE_BYTES + 1:
        raise BadRequest(414, f"The request line is longer than {REQUEST_LINE_BYTES} bytes.")
    body = data[:-1] if data.endswith(b"\r") else data
    try:
        check_line_ends(body)
    except ValueError as exc:
        raise BadRequest(400, f"{exc}.") from exc


def parse_request_head(data: bytes) -> RequestHead:
    """Read a head that ends in an empty line; raise BadRequest with the status to answer."""
    return read_apart(data, _VARYING, _read_head, BadRequest)


@lru_cache(REMEMBERED)
def _read_head(data: bytes) -> RequestHead:
    check_unfinished_head(data)
    seen = Seen()
    parser = httptools.HttpRequestParser(seen)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass  # CONNECT or Upgrade: what follows is not ours to read yet
    except httptools.HttpParserError as exc:
        raise _refusal(data, exc) from exc
    method = parser.get_method().decode("latin-1")
    version = parser.get_http_version()
    if version not in ("1.0", "1.1"):
        raise BadRequest(505, f"HTTP/{version} is not spoken here; use HTTP/1.1.")
    if not data.startswith(b"%b %b HTTP/1." % (parser.get_method(), seen.url)):
        raise BadRequest(400, "The request line is not METHOD, one space, target, one space, HTTP.")
    if len(seen.headers) > HEADER_COUNT:
        raise BadRequest(431, f"More than {HEADER_COUNT} headers; send fewer.")
    return RequestHead(method, seen.url, int(version[-1]), tuple(seen.headers))


def _refusal(data: bytes, exc: Exception) -> BadRequest:
    """Tell what llhttp refused, where the framing headers are to blame."""
    coding = _CODING.search(data)
    if coding is not None:
        if b"\r\ncontent-length:" in data.lower():
            return BadRequest(400, "Content-Length and Transfer-Encoding came together; send one.")
        if "Transfer-Encoding" in str(exc) and b"chunked" not in coding[1].lower():
            return BadRequest(501, "The only transfer coding known here is chunked.")
    return BadRequest(400, f"The request is not HTTP/1.1: {str(exc) or type(exc).__name__}.")


def _origin_form(method: str, target: bytes) -> bytes:
    if method == "CONNECT":
        raise BadRequest(405, "CONNECT is not served here.")
    if target.startswith(b"/") or (target == b"*" and method == "OPTIONS"):
        return target.partition(b"#")[0]
    scheme, mark, rest = target.partition(b"://")
    if mark and scheme.lower() in (b"http", b"https"):
        path = _AUTHORITY.sub(b"", rest, count=1).partition(b"#")[0]
        return path if path.startswith(b"/") else b"/" + path
    raise BadRequest(400, "The request target is neither a path nor an absolute URL.")


def _check_host(headers: tuple[Header, ...], minor: int) -> None:
    hosts = [value for name, value in headers if name.lower() == b"host"]
    if len(hosts) > 1 or (minor == 1 and not hosts):
        raise BadRequest(400, "An HTTP/1.1 request needs exactly one Host header.")
    if hosts and not _HOST.match(hosts[0]):
        raise BadRequest(400, "The Host header is not a name and a port.")


def _request_framing(
    headers: tuple[Header, ...], fields: dict[bytes, bytes], minor: int
) -> tuple[int | None, bool]:
    _check_host(headers, minor)
    coding = fields.get(b"transfer-encoding")
    announced = fields.get(b"content-length")
    if coding is None:
        size = None if announced is None else length(announced)
        if size is None and announced is not None:
            raise BadRequest(400, "Content-Length is not one plain number.")
        return size, False
    if announced is not None:
        raise BadRequest(400, "Content-Length and Transfer-Encoding came together; send one.")
    if minor == 0:
        raise BadRequest(400, "Transfer-Encoding needs HTTP/1.1.")
    if coding.lower() != b"chunked":
        raise BadRequest(501, "The only transfer coding known here is chunked.")
    return None, True


def _expects_continue(fields: dict[bytes, bytes], minor: int) -> bool:
    expected = fields.get(b"expect")
    if expected is None or minor == 0:
        return False
    if expected.lower() != b"100-continue":
        raise BadRequest(417, "The only expectation met here is 100-continue.")
    return True


def _request_id(fields: dict[bytes, bytes]) -> bytes | None:
    """What the client calls the request, if that can be passed on and logged as it is."""
    sent = fields.get(b"x-request-id")
    return sent if sent and _REQUEST_ID.match(sent) else None
