"""A server on a real socket that answers as it was told to, and keeps what it was asked: for tests.

It knows no rules; what behaves like the service is ``vast_pyworker.market``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl

from vast_pyworker.engine.running import RunningServer

_REASONS = {200: "OK", 301: "Moved Permanently", 400: "Bad Request", 404: "Not Found"}


@dataclass(frozen=True)
class Asked:
    """A request as it came. ``query`` is decoded, ``body`` the JSON value or None without one."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]

    @property
    def call(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Told:
    """An answer: ``body`` is sent as JSON unless it is bytes."""

    body: Any = field(default_factory=dict)
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


Answer = Told | dict[str, Any] | list[Any] | Callable[[Asked], "Told | dict[str, Any] | list[Any]"]


class FakeVast:
    """``with FakeVast() as vast: vast.on("GET /api/v0/instances/*/", {"instances": None})``.

    The answers of a call are given in turn and the last one from then on. What was told last goes
    first; a call nobody told about is answered 404.
    """

    def __init__(self) -> None:
        self._script: list[tuple[str, list[Answer]]] = []
        self.asked: list[Asked] = []
        self._server = RunningServer(self._serve)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.address[1]}"

    def on(self, call: str, *answers: Answer) -> None:
        """``call`` is a method and a path, in which ``*`` stands for anything."""
        self._script.insert(0, (call, list(answers)))

    def calls(self, pattern: str = "*") -> list[Asked]:
        return [each for each in self.asked if fnmatchcase(each.call, pattern)]

    def __enter__(self) -> FakeVast:
        self._server.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.stop()

    def _serve(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        asked = _asked(environ)
        self.asked.append(asked)
        told = self._told(asked)
        body = told.body if isinstance(told.body, bytes) else json.dumps(told.body).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        status = f"{told.status} {_REASONS.get(told.status, 'Told')}"
        start_response(status, [*headers, *told.headers])
        return [body]

    def _told(self, asked: Asked) -> Told:
        for pattern, answers in self._script:
            if fnmatchcase(asked.call, pattern):
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                answer = answer(asked) if callable(answer) else answer
                return answer if isinstance(answer, Told) else Told(answer)
        return Told({"success": False, "error": "not_found", "msg": f"No {asked.call} here."}, 404)


def _asked(environ: dict[str, Any]) -> Asked:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length) if length else b""
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    return Asked(
        environ["REQUEST_METHOD"],
        environ["PATH_INFO"],
        query,
        json.loads(body) if body else None,
        headers,
    )
