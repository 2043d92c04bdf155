"""A backend's routes and the worker's own, as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from vast_pyworker.worker.openapi import built_in_method, summary_of
from vast_pyworker.worker.traffic.forwarding import Forward

from .loading import Handler, Loaded


@dataclass(frozen=True)
class Route:
    """One route. ``kind`` is handler (the backend's code), forward (no code) or worker (ours).

    ``signed`` is None where the handler decides by itself.
    """

    method: str
    path: str
    kind: str
    summary: str = ""
    signed: bool | None = None
    upstream: str = ""
    concurrency: int | None = None
    max_queue: int | None = None
    max_queue_time: float | None = None

    @property
    def limits(self) -> str:
        """The limits that were given, as one phrase; empty where the worker's own hold."""
        given = {
            "concurrency": self.concurrency,
            "queue": self.max_queue,
            "wait_s": self.max_queue_time,
        }
        return ", ".join(f"{name} {value:g}" for name, value in given.items() if value is not None)


def routes_of(loaded: Loaded, built_in: Mapping[str, str]) -> list[Route]:
    """The backend's routes in its own order, then those of ``built_in`` that it does not claim."""
    own = [
        _route(method, f"/{endpoint}", handler)
        for method, endpoints in loaded.flask_dict.items()
        for endpoint, handler in endpoints.items()
    ]
    claimed = {(route.method, route.path) for route in own}
    ours = [Route(built_in_method(path), path, "worker", text) for path, text in built_in.items()]
    return own + [route for route in ours if (route.method, route.path) not in claimed]


def document(route: Route) -> dict[str, object]:
    """The route as JSON values, without what is not known or not given."""
    return {name: value for name, value in asdict(route).items() if value not in (None, "")}


def _route(method: str, path: str, handler: Handler) -> Route:
    if not isinstance(handler, Forward):
        return Route(method, path, "handler", summary_of(handler))
    return Route(
        method,
        path,
        "forward",
        summary_of(handler),
        handler.signed,
        f"{handler.method} {handler.path}",
        handler.concurrency,
        handler.max_queue,
        handler.max_queue_time,
    )
