"""Where logs and the output of commands are fetched: plain text, without a key."""

from __future__ import annotations

from flask import Response

from vast_pyworker.market.calls import shapes
from vast_pyworker.market.calls.asking import Asked

from .door import Route
from .parts import Parts

_PATH = "/instance_results/"


def routes(parts: Parts) -> list[Route]:
    """Those without a prefix."""
    return [Route("GET", f"{_PATH}<name>.log", "result", ResultCalls(parts).fetch, public=True)]


def url_of(base: str, name: str) -> str:
    """The whole URL of a result; ``base`` is how the client reached the market."""
    return f"{base.rstrip('/')}{_PATH}{name}.log"


class ResultCalls:
    """The view."""

    def __init__(self, parts: Parts) -> None:
        self._results = parts.results

    def fetch(self, asked: Asked, name: str) -> Response:
        """404 until it is there: who asks is expected to ask again."""
        found = self._results.fetch(name)
        return shapes.text("Not Found", 404) if found is None else shapes.text(found)
