"""Calls that read instances: the list, old and new, what it can be filtered by, and one by id."""

from __future__ import annotations

from typing import Any

from vast_pyworker.market.calls.asking import Asked, number_of
from vast_pyworker.market.refusal import MarketRefusal, invalid

from .door import Route
from .parts import Parts

READ = "instance_read"
_GONE = "/api/v0/instances/ is deprecated. Use /api/v1/instances/ instead."


def routes(parts: Parts) -> list[Route]:
    """Those under /api/v0."""
    calls = InstanceCalls(parts)
    return [
        Route("GET", "/instances/", "list", calls.old_list, scope=READ, limit="list_v0"),
        Route("GET", "/instances/filters/", "other", calls.filters, scope=READ),
        Route("GET", "/instances/<ident>/", "show", calls.show, scope=READ, own_instance=True),
    ]


def v1_routes(parts: Parts) -> list[Route]:
    """Those under /api/v1."""
    return [Route("GET", "/instances/", "list", InstanceCalls(parts).list, scope=READ)]


def instance_id(ident: str) -> int:
    """The number in the path of an instance; MarketRefusal(400) where it is none."""
    return number_of(ident, invalid("invalid instance_id"))


class InstanceCalls:
    """The views."""

    def __init__(self, parts: Parts) -> None:
        self._market = parts.market

    def list(self, asked: Asked) -> dict[str, Any]:
        return self._market.list_instances(
            asked.account_id,
            select_filters=asked.json_of("select_filters", {}),
            order_by=asked.json_of("order_by", None),
            limit=asked.json_of("limit", None),
            after_token=asked.query.get("after_token") or None,
            select_cols=asked.json_of("select_cols", None),
        )

    def old_list(self, asked: Asked) -> dict[str, Any]:
        """Withdrawn for every account, as the real one is by now."""
        asked.account  # noqa: B018  a call without a key is told so first
        raise MarketRefusal(410, "deprecated_endpoint", _GONE)

    def filters(self, asked: Asked) -> dict[str, Any]:
        return {"filters": self._market.instance_filters(asked.account_id)}

    def show(self, asked: Asked, ident: str) -> dict[str, Any]:
        """Null and not 404 for what is unknown, gone or another's."""
        return {"instances": self._market.show(asked.account_id, instance_id(ident))}
