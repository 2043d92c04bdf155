"""One request and its answer, on a session: within limits, and clear about what was sent.

What it does: send, follow redirects that stay on the same scheme, host and port, read a bounded
body in bounded time. What it does not: wait, retry, or read what the answer says.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
import urllib3.exceptions

MAX_BODY_BYTES = 64 * 2**20
_REDIRECTS = (301, 302, 307, 308)  # 303 is no redirect of the request: it was carried out
_MOST_REDIRECTS = 3
_PORTS = {"http": 80, "https": 443}
_CHUNK_BYTES = 2**16


class Sign(Protocol):
    """Adds to a request who is asking."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest: ...


@dataclass(frozen=True)
class Outgoing:
    """A request. ``sign`` is never None: without one, a ``.netrc`` would be read."""

    method: str
    url: str
    sign: Sign
    query: Mapping[str, str] | None = None
    body: bytes | None = None


@dataclass(frozen=True)
class Received:
    """An answer that was read to its end. ``headers`` find names in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Failed:
    """No answer. ``sent`` False: no connection was made, so the provider knows nothing of it."""

    sent: bool
    reason: str


@dataclass(frozen=True)
class Timeouts:
    """Seconds: to connect, without a byte from the server, for all tries and waits of a call."""

    connect_s: float = 10.0
    read_s: float = 60.0
    total_s: float = 120.0


def exchange(
    session: requests.Session,
    outgoing: Outgoing,
    timeouts: Timeouts,
    *,
    max_body_bytes: int = MAX_BODY_BYTES,
    redirects: int = _MOST_REDIRECTS,
    now: Callable[[], float] = time.monotonic,
) -> Received | Failed:
    """Send once. Redirects to anywhere else, or too many, come back as they are: 3xx."""
    for _ in range(redirects + 1):
        received = _send(session, outgoing, timeouts, max_body_bytes, now)
        onward = _onward(outgoing.url, received)
        if onward is None or isinstance(received, Failed):
            return received
        outgoing = replace(outgoing, url=onward, query=None)
    return received


def same_place(one: str, other: str) -> bool:
    """Whether a key that is meant for ``one`` may be shown to ``other``."""
    return _origin(urlsplit(one)) == _origin(urlsplit(other))


def _send(
    session: requests.Session,
    outgoing: Outgoing,
    timeouts: Timeouts,
    max_body_bytes: int,
    now: Callable[[], float],
) -> Received | Failed:
    until = now() + 2 * timeouts.read_s
    try:
        response = session.request(
            outgoing.method,
            outgoing.url,
            params=outgoing.query,
            data=outgoing.body,
            headers={"Content-Type": "application/json"} if outgoing.body is not None else None,
            auth=outgoing.sign,
            timeout=(timeouts.connect_s, timeouts.read_s),
            allow_redirects=False,
            stream=True,
        )
        with response:
            body = _body(response, max_body_bytes, until, now)
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        return Failed(sent=not _never_sent(error), reason=_reason(error))
    if isinstance(body, Failed):
        return body
    return Received(response.status_code, response.headers, body)


def _body(
    response: requests.Response, limit: int, until: float, now: Callable[[], float]
) -> bytes | Failed:
    """By single reads of the socket, so that a server that drips is noticed."""
    read = getattr(response.raw, "read1", response.raw.read)  # old urllib3 has no read1
    parts: list[bytes] = []
    size = 0
    while part := read(_CHUNK_BYTES, decode_content=True):
        parts.append(part)
        size += len(part)
        if size > limit:
            return Failed(sent=True, reason=f"the answer is longer than {limit} bytes")
        if now() > until:
            return Failed(sent=True, reason="the answer came too slowly")
    return b"".join(parts)


def _onward(url: str, received: Received | Failed) -> str | None:
    if isinstance(received, Failed) or received.status not in _REDIRECTS:
        return None
    onward = urljoin(url, received.headers.get("Location") or "")
    return onward if onward != url and same_place(url, onward) else None


def _origin(parts: SplitResult) -> tuple[Any, ...]:
    try:
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        port = None
    return parts.scheme, parts.hostname, port, parts.username, parts.password


def _never_sent(error: BaseException) -> bool:
    """Whether it failed before there was a connection that could carry the request."""
    return any(
        isinstance(
            each,
            urllib3.exceptions.NewConnectionError
            | urllib3.exceptions.ConnectTimeoutError
            | requests.exceptions.InvalidURL
            | ssl.SSLCertVerificationError,
        )
        for each in _chain(error)
    )


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what it was made of: requests and urllib3 wrap each other's."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and each not in found:
            found.append(each)
            waiting += [getattr(each, "reason", None), each.__cause__, *each.args]
    return found


def _reason(error: BaseException) -> str:
    """A few words, without addresses: what the error's own text holds is not ours to repeat."""
    chain = _chain(error)
    for each in reversed(chain):
        if isinstance(each, OSError) and each.strerror:
            return each.strerror.lower()
    if any(isinstance(each, urllib3.exceptions.TimeoutError) for each in chain):
        return "timed out"
    if any(isinstance(each, urllib3.exceptions.NameResolutionError) for each in chain):
        return "its name is not known"
    return {
        "IncompleteRead": "the answer broke off",
        "RemoteDisconnected": "the connection was closed without an answer",
    }.get(type(chain[-1]).__name__, type(chain[-1]).__name__)
