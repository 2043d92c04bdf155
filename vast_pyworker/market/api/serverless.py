"""Calls about serverless endpoints and worker groups, the latter under both of their names.

The autoscaler's own calls are answered truly: in this market nothing scales by itself, so an
endpoint has no workers and no log.
"""

from __future__ import annotations

from typing import Any

from vast_pyworker.market.calls.asking import Asked, number_of
from vast_pyworker.market.refusal import MarketRefusal, invalid

from .door import Route
from .parts import Parts

_NOT_A_NUMBER = "id must be an integer"


def routes(parts: Parts) -> list[Route]:
    """Those under /api/v0."""
    calls = ServerlessCalls(parts)
    path = "/endptjobs/"
    return [
        Route("GET", path, "endpoints", calls.endpoints),
        Route("GET", f"{path}<ident>/", "endpoints", calls.endpoint, limit="endpoint"),
        Route("POST", path, "endpoint_create", calls.create_endpoint),
        Route("PUT", f"{path}<ident>/", "endpoint_update", calls.update_endpoint),
        Route("DELETE", f"{path}<ident>/", "endpoint_delete", calls.delete_endpoint),
        *_group_routes(calls, "/autojobs/", ""),
        *_group_routes(calls, "/workergroups/", "workergroups_"),
    ]


def _group_routes(calls: ServerlessCalls, path: str, limit: str) -> list[Route]:
    """One family under one of its names; the public one has limits of its own."""
    one = f"{path}<ident>/"
    kinds = ("list", "create", "update", "delete") if limit else ("", "", "", "")
    limits = [limit + kind for kind in kinds]
    return [
        Route("GET", path, "workergroups", calls.groups, limit=limits[0]),
        Route("POST", path, "workergroup_create", calls.create_group, limit=limits[1]),
        Route("PUT", one, "workergroup_update", calls.update_group, limit=limits[2]),
        Route("DELETE", one, "workergroup_delete", calls.delete_group, limit=limits[3]),
    ]


def autoscaler_routes(parts: Parts) -> list[Route]:
    """Those without a prefix, which the real service has on another host."""
    calls = ServerlessCalls(parts)
    return [
        Route("POST", "/get_endpoint_logs/", "other", calls.endpoint_logs),
        Route("POST", "/get_endpoint_workers/", "other", calls.endpoint_workers),
        Route("POST", "/get_autogroup_logs/", "other", calls.group_logs),
        Route("POST", "/get_workergroup_logs/", "other", calls.group_logs),
        Route("POST", "/get_workergroup_workers/", "other", calls.group_workers),
        Route("POST", "/update_workers/", "other", calls.update_workers),
    ]


def _endpoint_id(ident: str) -> int:
    return number_of(ident, invalid("Invalid endpoint job ID"))


def _group_id(ident: str) -> int:
    return number_of(ident, invalid(_NOT_A_NUMBER))


class ServerlessCalls:
    """The views."""

    def __init__(self, parts: Parts) -> None:
        self._serverless = parts.serverless
        self._templates = parts.templates
        self._now = parts.now

    def endpoints(self, asked: Asked) -> dict[str, Any]:
        return {"success": True, "results": self._serverless.endpoints(asked.account_id)}

    def endpoint(self, asked: Asked, ident: str) -> dict[str, Any]:
        number = _endpoint_id(ident)
        return {"success": True, "result": self._serverless.endpoint(asked.account_id, number)}

    def create_endpoint(self, asked: Asked) -> dict[str, Any]:
        number = self._serverless.create_endpoint(asked.account_id, asked.body, self._now())
        return {"success": True, "result": number}

    def update_endpoint(self, asked: Asked, ident: str) -> dict[str, Any]:
        self._serverless.update_endpoint(asked.account_id, _endpoint_id(ident), asked.body)
        return {"success": True}

    def delete_endpoint(self, asked: Asked, ident: str) -> dict[str, Any]:
        self._serverless.delete_endpoint(asked.account_id, _endpoint_id(ident))
        return {"success": True}

    def groups(self, asked: Asked) -> dict[str, Any]:
        return {"success": True, "results": self._serverless.groups(asked.account_id)}

    def create_group(self, asked: Asked) -> dict[str, Any]:
        self._check_template(asked)
        number = self._serverless.create_group(asked.account_id, asked.body, self._now())
        return {"success": True, "id": number}

    def update_group(self, asked: Asked, ident: str) -> dict[str, Any]:
        self._check_template(asked)
        self._serverless.update_group(asked.account_id, _group_id(ident), asked.body)
        return {"success": True}

    def delete_group(self, asked: Asked, ident: str) -> dict[str, Any]:
        self._serverless.delete_group(asked.account_id, _group_id(ident))
        return {"success": True}

    def endpoint_workers(self, asked: Asked) -> list[Any]:
        self._of_the_body(asked, "id")
        return []

    def endpoint_logs(self, asked: Asked) -> dict[str, str]:
        self._of_the_body(asked, "id")
        return _no_logs()

    def group_workers(self, asked: Asked) -> list[Any]:
        self._group_of_the_body(asked, "id")
        return []

    def group_logs(self, asked: Asked) -> dict[str, str]:
        self._group_of_the_body(asked, "id")
        return _no_logs()

    def update_workers(self, asked: Asked) -> dict[str, Any]:
        self._group_of_the_body(asked, "workergroup_id")
        return {"success": True, "workers_to_update": 0}

    def _of_the_body(self, asked: Asked, name: str) -> None:
        number = asked.body.get(name)
        if type(number) is not int:
            raise MarketRefusal(400, "", f"{name} must be an integer", shape="error_msg")
        try:
            self._serverless.endpoint(asked.account_id, number)
        except MarketRefusal as refusal:
            raise MarketRefusal(400, "", refusal.msg, shape="error_msg") from refusal

    def _group_of_the_body(self, asked: Asked, name: str) -> None:
        number = asked.body.get(name)
        known = type(number) is int and self._serverless.group(asked.account_id, number)
        if not known:
            text = f"{name} is not the number of a workergroup"
            raise MarketRefusal(400, "", text, shape="error_msg")

    def _check_template(self, asked: Asked) -> None:
        """MarketRefusal(400) for a template that is named and does not exist."""
        body = asked.body
        hash_id, number = body.get("template_hash"), body.get("template_id")
        if hash_id is None and number is None:
            return
        right = isinstance(hash_id, str | None) and (number is None or type(number) is int)
        if not right or not self._templates.known(asked.account_id, number, hash_id):
            text = f"Template {number if hash_id is None else hash_id} not found."
            raise invalid(text)


def _no_logs() -> dict[str, str]:
    return dict.fromkeys(("info0", "info1", "trace", "debug"), "")
