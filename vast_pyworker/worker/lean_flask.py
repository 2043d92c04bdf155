"""Flask with what repeats from request to request remembered: bound routes and kinds of views.

Everything Flask does it still does: contexts, hooks, signals, error handlers, sessions. Measured
in ``docs/performance.md``; only worth having because a relayed request costs so little else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask
from flask.wrappers import Request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter, Rule

_AS_FLASK_ASKS = {"return_rule": True}


class KnownAdapter(MapAdapter):
    """A bound route map for one host, method and path, with its match already made."""

    known: tuple[Rule, dict[str, Any]]

    def match(self, *args: Any, **kwargs: Any) -> Any:
        """What ``MapAdapter.match(return_rule=True)`` found; any other question is its business."""
        if args or kwargs != _AS_FLASK_ASKS:
            return super().match(*args, **kwargs)
        rule, arguments = self.known
        return rule, dict(arguments)


class LeanFlask(Flask):
    """Flask that binds and matches a url of a kind it has seen only once."""

    most_remembered = 1024

    def __init__(self, import_name: str, **options: Any) -> None:
        super().__init__(import_name, **options)
        self._adapters: dict[tuple[str, ...], KnownAdapter] = {}
        self._synced: dict[Callable[..., Any], Callable[..., Any]] = {}

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        if request is None:
            return super().create_url_adapter(request)
        environ = request.environ
        key = (
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"],
            environ.get("HTTP_HOST", ""),
            environ["wsgi.url_scheme"],
            environ.get("SCRIPT_NAME", ""),
        )
        known = self._adapters.get(key)
        if known is not None:
            return known
        adapter = super().create_url_adapter(request)
        if adapter is not None and len(self._adapters) < self.most_remembered:
            self._remember(key, adapter)
        return adapter

    def _remember(self, key: tuple[str, ...], adapter: MapAdapter) -> None:
        """Keep the adapter if its url matches a route without variables; others are not kept."""
        rule_and_arguments = _plain_match(adapter)
        if rule_and_arguments is None:
            return
        known = KnownAdapter(
            adapter.map,
            adapter.server_name,
            adapter.script_name,
            adapter.subdomain,
            adapter.url_scheme,
            adapter.path_info,
            adapter.default_method,
        )
        known.known = rule_and_arguments
        self._adapters[key] = known

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """The same function where it is synchronous already; found out once for each view."""
        synced = self._synced.get(func)
        if synced is None:
            synced = super().ensure_sync(func)
            if len(self._synced) < self.most_remembered:
                self._synced[func] = synced
        return synced


def _plain_match(adapter: MapAdapter) -> tuple[Rule, dict[str, Any]] | None:
    try:
        rule, arguments = adapter.match(return_rule=True)
    except HTTPException:  # also a redirect
        return None
    return None if arguments else (rule, {})
