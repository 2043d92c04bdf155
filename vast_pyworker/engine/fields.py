"""What heads of either direction share: llhttp's callbacks, line ends, fields and their lists.

Pure; what the fields mean for a message's framing is for ``head`` and ``response_head`` to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

Header = tuple[bytes, bytes]

_FOLDED = re.compile(rb"\r\n[ \t]")
_DIGITS = re.compile(rb"[0-9]{1,18}\Z")

# RFC 9110 7.6.1, with the older names that proxies still send.
HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)


class Seen:
    """Takes llhttp's callbacks for one head: the target or reason, and the headers."""

    __slots__ = ("headers", "reason", "url")

    def __init__(self) -> None:
        self.url = b""
        self.reason = b""
        self.headers: list[Header] = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_status(self, reason: bytes) -> None:
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value.strip(b" \t")))


def check_line_ends(data: bytes) -> None:
    """Raise ValueError for what servers read in different ways: bare CR or LF, NUL, folding."""
    ends = data.count(b"\r\n")
    if data.count(b"\n") != ends or data.count(b"\r") != ends:
        raise ValueError("A line ends in a bare CR or LF; end header lines in CR LF")
    if b"\0" in data:
        raise ValueError("A header holds a NUL byte")
    if _FOLDED.search(data):
        raise ValueError("A header is folded over two lines, which HTTP/1.1 no longer allows")


def merged(headers: Iterable[Header]) -> dict[bytes, bytes]:
    """By lower-case name; values of a repeated name are joined by commas."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        key = name.lower()
        fields[key] = fields[key] + b"," + value if key in fields else value
    return fields


def tokens(value: bytes | None) -> list[bytes]:
    """The parts of a comma-separated list, in lower case."""
    return [part.strip().lower() for part in value.split(b",")] if value else []


def length(value: bytes) -> int | None:
    """A Content-Length; None where it is anything but one plain number."""
    return int(value) if _DIGITS.match(value) else None


def keeps_alive(fields: dict[bytes, bytes], minor: int) -> bool:
    """Whether the sender of these fields wants the connection to last."""
    wishes = tokens(fields.get(b"connection"))
    if b"close" in wishes:
        return False
    return minor == 1 or b"keep-alive" in wishes


class Head(Protocol):
    """A head that can be completed by the few headers in which like messages differ."""

    def varied(self: H, varying: tuple[Header, ...]) -> H | None: ...


H = TypeVar("H", bound=Head)


def read_apart(
    data: bytes, varying: re.Pattern[bytes], read: Callable[[bytes], H], refusal: type[Exception]
) -> H:
    """``read(data)``, but the lines that ``varying`` finds are put into a copy of the others' head.

    So ``read`` may remember what it has read. What it refuses without them it is given whole, to
    say what is wrong; so is what they would change the meaning of.
    """
    common, count = varying.subn(b"", data)
    if count:
        try:
            head = read(common).varied(tuple(varying.findall(data)))
        except refusal:
            head = None
        if head is not None:
            return head
    return read(data)


def with_varying(
    fields: dict[bytes, bytes], chunked: bool, varying: tuple[Header, ...]
) -> tuple[dict[bytes, bytes], int | None] | None:
    """``fields`` with these more, and the Content-Length then; None where they are not plain.

    Plain are: one of each name, a length that is one and stands beside no coding, and no
    ``Connection`` that could name any of them.
    """
    more = fields | {name.lower(): value for name, value in varying}
    announced = more.get(b"content-length")
    size = None if announced is None else length(announced)
    is_known = announced is None or (size is not None and not chunked)
    if not (is_known and len(more) == len(fields) + len(varying) and lists_nothing(fields)):
        return None
    return more, size


def lists_nothing(fields: dict[bytes, bytes]) -> bool:
    """Whether ``Connection`` names no header that is for the next hop alone."""
    return all(wish in (b"keep-alive", b"close") for wish in tokens(fields.get(b"connection")))


def end_to_end(headers: Iterable[Header], fields: dict[bytes, bytes]) -> list[Header]:
    """The headers that are not for the next hop alone, including what ``Connection`` names.

    A length is kept whatever ``Connection`` says: without it the message would have no end.
    """
    dropped = HOP_BY_HOP.union(tokens(fields.get(b"connection"))) - {b"content-length"}
    return [(name, value) for name, value in headers if name.lower() not in dropped]
