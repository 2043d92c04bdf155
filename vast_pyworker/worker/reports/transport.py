"""Calls to the autoscaler: one HTTP exchange, and a list of addresses tried in order.

What is here: what counts as delivered, time limits, and for each address its own back-off, so that
a dead one costs one bounded attempt now and then and never mutes the worker. What is not: what is
said (``wire``) and when (``reporter``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import requests

from vast_pyworker.errors import ReportError
from vast_pyworker.wire import EXTENDED_HEADER

EXTENDED = EXTENDED_HEADER.lower()
CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 7.0
MAX_ANSWER_BYTES = 64 * 1024
FIRST_BACKOFF_S = 1.0
LONGEST_BACKOFF_S = 60.0


@dataclass(frozen=True)
class Answer:
    """A 2xx answer; header names are lower case. The body of a POST's answer is not read."""

    headers: Mapping[str, str]
    body: bytes = b""


Post = Callable[[str, Mapping[str, Any]], Answer]  # url, JSON object; ReportError if not taken
Get = Callable[[str], Answer]


def post(url: str, body: Mapping[str, Any]) -> Answer:
    """POST a JSON object; ReportError unless the answer is 2xx within the time limits."""
    encoded = msgspec.json.encode(body)
    return _exchange("POST", url, lambda reply: b"", encoded)


def get(url: str) -> Answer:
    """GET at most ``MAX_ANSWER_BYTES``; ReportError unless 2xx within the time limits."""
    return _exchange("GET", url, _read)


def _read(reply: requests.Response) -> bytes:
    read = b""
    for piece in reply.iter_content(MAX_ANSWER_BYTES):
        read += piece
        if len(read) > MAX_ANSWER_BYTES:
            raise ReportError(f"{reply.url} answers more than {MAX_ANSWER_BYTES} bytes.")
    return read


def _exchange(
    method: str, url: str, read: Callable[[requests.Response], bytes], body: bytes | None = None
) -> Answer:
    headers = {"Content-Type": "application/json", "Connection": "close"}
    try:
        with requests.request(
            method,
            url,
            data=body,
            headers=headers,
            timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
            allow_redirects=False,  # the body carries a token that is for this address alone
            stream=True,
        ) as reply:
            if not 200 <= reply.status_code < 300:
                raise ReportError(f"{url} answered {reply.status_code}; see that it is up.")
            return Answer({k.lower(): v for k, v in reply.headers.items()}, read(reply))
    except (requests.RequestException, OSError) as exc:
        raise ReportError(f"{url} cannot be reached ({type(exc).__name__}); is it up?") from exc


@dataclass
class Address:
    """One autoscaler address and how it has been doing. Times are of the caller's clock."""

    url: str
    extended: bool = False
    failures: int = 0
    retry_at: float = 0.0
    problem: str = ""

    def succeeded(self, extended: bool) -> None:
        self.extended = extended
        self.failures = 0
        self.retry_at = 0.0
        self.problem = ""

    def failed(self, now: float, problem: str) -> None:
        """Back off: 1, 2, 4, ... seconds, a minute at most."""
        self.failures += 1
        doubled = FIRST_BACKOFF_S * 2.0 ** min(self.failures - 1, 10)
        self.retry_at = now + min(doubled, LONGEST_BACKOFF_S)
        self.problem = problem


@dataclass
class Addresses:
    """A list of addresses, of which the first that takes a message has it; for one thread.

    Addresses in back-off are passed over. Where all are, the one whose back-off ends first is
    tried all the same; a caller who can wait asks ``ready`` first.
    """

    urls: Sequence[str]
    post: Post
    now: Callable[[], float]
    all: tuple[Address, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.all = tuple(Address(url.rstrip("/")) for url in self.urls)

    def ready(self) -> bool:
        """Whether any address is out of back-off."""
        now = self.now()
        return any(address.retry_at <= now for address in self.all)

    def deliver(
        self, path: str, body_for: Callable[[Address], Mapping[str, Any]]
    ) -> Address | None:
        """POST to each candidate in order until one takes it; None where none did."""
        for address in self._candidates():
            try:
                answer = self.post(address.url + path, body_for(address))
            except ReportError as exc:
                address.failed(self.now(), str(exc))
                continue
            address.succeeded(answer.headers.get(EXTENDED) == "1")
            return address
        return None

    def problems(self) -> str:
        """What is wrong with those that failed last, in one line; empty when nothing is."""
        return " ".join(address.problem for address in self.all if address.problem)

    def _candidates(self) -> list[Address]:
        now = self.now()
        willing = [address for address in self.all if address.retry_at <= now]
        return willing or sorted(self.all, key=lambda address: address.retry_at)[:1]
