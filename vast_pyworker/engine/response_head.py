"""Heads of the model server's answers: bytes to a checked value, or BadResponse.

The same strictness as for requests: an answer that two parsers could end at different places is
not passed on. Pure. A head once read is remembered, because answers of one kind differ in a few
lines only: those (length, date, id) are read apart and put into a copy of the head they go with.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import httptools

from vast_pyworker.errors import BadResponse

from .fields import (
    Header,
    Seen,
    check_line_ends,
    keeps_alive,
    length,
    merged,
    read_apart,
    with_varying,
)
from .limits import HEAD_BYTES, REMEMBERED

_VARYING = re.compile(
    rb"\r\n(content-length|x-request-id|date): ?([!-~](?:[ -~]{0,126}[!-~])?)(?=\r\n)",
    re.IGNORECASE,
)


class ResponseHead:
    """A checked response head. ``content_length`` is None and ``chunked`` False: ends by close.

    ``whole`` is the length of a body after which the connection stays open, -1 for any other.
    ``memo`` may hold what callers derive from the headers that like answers have in common;
    ``latest`` is the last thing derived from all of this one's, and what it was derived for.
    """

    __slots__ = (
        "chunked",
        "content_length",
        "fields",
        "has_id",
        "headers",
        "keep_alive",
        "latest",
        "memo",
        "minor",
        "status",
        "status_line",
        "varying",
        "whole",
    )

    def __init__(self, status: int, reason: bytes, minor: int, headers: tuple[Header, ...]) -> None:
        self.status = status
        self.status_line = b"HTTP/1.1 %d %b\r\n" % (status, reason)
        self.minor = minor
        self.headers = headers
        self.fields = merged(headers)
        self.content_length, self.chunked = _response_framing(self.fields)
        self.keep_alive = keeps_alive(self.fields, minor)
        self.whole = _whole_length(self)
        self.has_id = b"x-request-id" in self.fields
        self.varying: tuple[Header, ...] = ()
        self.memo: dict[object, Any] = {}
        self.latest: tuple[object, bytes] = (None, b"")

    def varied(self, varying: tuple[Header, ...]) -> ResponseHead | None:
        """A copy with these headers more; None where they change what the head means.

        ``memo`` is shared: it holds what the headers in common say, and ``varying`` the rest.
        """
        completed = with_varying(self.fields, self.chunked, varying)
        if completed is None:
            return None
        fields, size = completed
        copy = ResponseHead.__new__(ResponseHead)
        copy.status, copy.status_line, copy.minor = self.status, self.status_line, self.minor
        copy.headers, copy.fields = (*self.headers, *varying), fields
        copy.content_length, copy.chunked = size, self.chunked
        copy.keep_alive = self.keep_alive
        copy.whole = _whole_length(copy)
        copy.has_id = b"x-request-id" in fields
        copy.varying = varying
        copy.memo = self.memo
        copy.latest = (None, b"")
        return copy


def parse_response_head(data: bytes) -> ResponseHead:
    """Read a head that ends in an empty line; raise BadResponse."""
    return read_apart(data, _VARYING, _read_head, BadResponse)


@lru_cache(REMEMBERED)
def _read_head(data: bytes) -> ResponseHead:
    if len(data) > HEAD_BYTES:
        raise BadResponse(f"The model server's headers are larger than {HEAD_BYTES} bytes.")
    seen = Seen()
    parser = httptools.HttpResponseParser(seen)
    try:
        check_line_ends(data)
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass  # 101: the caller looks at the status
    except (httptools.HttpParserError, ValueError) as exc:
        raise BadResponse(f"The model server's answer is not HTTP/1.1: {exc}.") from exc
    version, status = parser.get_http_version(), parser.get_status_code()
    if version not in ("1.0", "1.1") or status < 100 or not data.startswith(b"HTTP/"):
        raise BadResponse(f"The model server's answer is not HTTP/1.1: HTTP/{version} {status}.")
    return ResponseHead(status, seen.reason, int(version[-1]), tuple(seen.headers))


def _response_framing(fields: dict[bytes, bytes]) -> tuple[int | None, bool]:
    coding = fields.get(b"transfer-encoding")
    announced = fields.get(b"content-length")
    if coding is not None:
        if coding.lower() != b"chunked" or announced is not None:
            raise BadResponse("The model server's Transfer-Encoding cannot be relayed safely.")
        return None, True
    if announced is None:
        return None, False
    size = length(announced)
    if size is None:
        raise BadResponse("The model server's Content-Length is not one plain number.")
    return size, False


def _whole_length(head: ResponseHead) -> int:
    has_body = head.status >= 200 and head.status not in (204, 304)
    return head.content_length or -1 if has_body and head.keep_alive else -1
