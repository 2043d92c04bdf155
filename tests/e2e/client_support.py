"""What a client of a worker does in tests: one connection, read as far as the test wants."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

LIMIT_S = 30.0


@dataclass(frozen=True)
class Answer:
    """A whole answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Call:
    """One request on a connection of its own; ``leave`` closes it, whatever has come."""

    def __init__(
        self,
        port: int,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
        if tls is not None:
            self._connection = http.client.HTTPSConnection(
                "127.0.0.1", port, timeout=LIMIT_S, context=tls
            )
        self._connection.request(method, path, body or None, dict(headers))
        self._answer: http.client.HTTPResponse | None = None

    @property
    def answer(self) -> http.client.HTTPResponse:
        """The head of the answer, waited for."""
        if self._answer is None:
            self._answer = self._connection.getresponse()
        return self._answer

    def read_until(self, mark: bytes) -> bytes:
        """What comes up to and with ``mark``."""
        got = b""
        while mark not in got:
            piece = self.answer.read1(65536)
            if not piece:
                raise AssertionError(f"the answer ended without {mark!r}: {got!r}")
            got += piece
        return got

    def read(self) -> Answer:
        """The whole answer; http.client.IncompleteRead where it is cut."""
        try:
            body = self.answer.read()
        finally:
            self.leave()
        headers = {name.lower(): value for name, value in self.answer.getheaders()}
        return Answer(self.answer.status, headers, body)

    def finish(self) -> None:
        """Take what still comes, if anything does, and close."""
        with suppress(OSError, http.client.HTTPException):
            self.answer.read()
        self.leave()

    def leave(self) -> None:
        if self._answer is not None:
            self._answer.close()
        self._connection.close()
