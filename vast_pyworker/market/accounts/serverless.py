"""Endpoints and the worker groups under them, as the account's settings; nothing here scales.

In an update a field that is null or left out stays as it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from vast_pyworker.market.refusal import MarketRefusal, invalid

from .serverless_fields import ENDPOINT, GROUP, Row, given_in, query_of

_FIRST_ENDPOINT_ID = 1001
_FIRST_GROUP_ID = 5001
_NO_ENDPOINT = "Please assign your workergroup to a valid endpoint identifier"


class Serverless:
    """All endpoints and worker groups; safe from several threads. ``new_key``: text of a key."""

    def __init__(self, new_key: Callable[[], str]) -> None:
        self._new_key = new_key
        self._lock = threading.RLock()
        self._endpoints: dict[int, Row] = {}
        self._groups: dict[int, Row] = {}
        self._next_endpoint_id = _FIRST_ENDPOINT_ID
        self._next_group_id = _FIRST_GROUP_ID

    def endpoints(self, account_id: int) -> list[Row]:
        """The account's endpoints; MarketRefusal(400) where there are none, as the real one."""
        with self._lock:
            rows = [dict(e) for e in self._endpoints.values() if e["user_id"] == account_id]
        if not rows:
            text = f"No endpoints for user {account_id} found."
            raise invalid(text)
        return rows

    def endpoint(self, account_id: int, endpoint_id: int) -> Row:
        with self._lock:
            found = self._own(self._endpoints, account_id, endpoint_id)
            if found is None:
                text = f"Endpoint job {endpoint_id} not found"
                raise MarketRefusal(404, "not_found", text)
            return dict(found)

    def create_endpoint(self, account_id: int, body: Mapping[str, Any], now: float) -> int:
        """The new endpoint's number."""
        given = given_in(body, (*ENDPOINT, "endpoint_name"))
        with self._lock:
            ident = self._next_endpoint_id
            name = given.pop("endpoint_name", None) or f"endpoint-{ident}"
            self._check_name(account_id, name, None)
            self._next_endpoint_id += 1
            self._endpoints[ident] = {
                "id": ident,
                **ENDPOINT,
                **given,
                "endpoint_name": name,
                "api_key": self._new_key(),
                "user_id": account_id,
                "created_at": now,
                "auto_delete_in_seconds": None,
                "auto_delete_due_24h": False,
            }
            return ident

    def update_endpoint(self, account_id: int, endpoint_id: int, body: Mapping[str, Any]) -> None:
        given = given_in(body, (*ENDPOINT, "endpoint_name"))
        with self._lock:
            found = self._own(self._endpoints, account_id, endpoint_id)
            if found is None:
                text = f"Endpoint {endpoint_id} for user {account_id} not found."
                raise invalid(text)
            if "endpoint_name" in given:
                self._check_name(account_id, given["endpoint_name"], endpoint_id)
            found.update(given)
            for group in self._groups.values():
                if group["endpoint_id"] == endpoint_id:
                    group["endpoint_name"] = found["endpoint_name"]

    def delete_endpoint(self, account_id: int, endpoint_id: int) -> list[int]:
        """The numbers of the groups that went with it."""
        with self._lock:
            if self._own(self._endpoints, account_id, endpoint_id) is None:
                text = f"Endpoint {endpoint_id} for user {account_id} not found."
                raise MarketRefusal(404, "not_found", text)
            del self._endpoints[endpoint_id]
            gone = [i for i, group in self._groups.items() if group["endpoint_id"] == endpoint_id]
            for ident in gone:
                del self._groups[ident]
            return gone

    def groups(self, account_id: int) -> list[Row]:
        with self._lock:
            return [dict(g) for g in self._groups.values() if g["user_id"] == account_id]

    def create_group(self, account_id: int, body: Mapping[str, Any], now: float) -> int:
        """The new group's number. It needs an endpoint, and a template or search parameters."""
        given = given_in(body, GROUP)
        query = query_of(body.get("search_params"))
        if not (given.get("template_hash") or given.get("template_id") or query):
            raise invalid("search_params or a template is required.")
        with self._lock:
            endpoint = self._named(account_id, body)
            ident = self._next_group_id
            self._next_group_id += 1
            self._groups[ident] = {
                "id": ident,
                **GROUP,
                **given,
                "search_query": query or {},
                "endpoint_name": endpoint["endpoint_name"],
                "endpoint_id": endpoint["id"],
                "api_key": self._new_key(),
                "created_at": now,
                "user_id": account_id,
            }
            return ident

    def update_group(self, account_id: int, group_id: int, body: Mapping[str, Any]) -> None:
        given = given_in(body, GROUP)
        query = query_of(body.get("search_params"))
        if query is not None:
            given["search_query"] = query
        with self._lock:
            found = self._own(self._groups, account_id, group_id)
            if found is None:
                raise invalid("No autojob by that id is available.")
            endpoint = self._named(account_id, body)
            given.update(endpoint_id=endpoint["id"], endpoint_name=endpoint["endpoint_name"])
            found.update(given)

    def delete_group(self, account_id: int, group_id: int) -> None:
        """Its instances, if any, are left alone, as by the real service."""
        with self._lock:
            if self._own(self._groups, account_id, group_id) is None:
                raise MarketRefusal(404, "not_found", "No autojob by that id is available.")
            del self._groups[group_id]

    def group(self, account_id: int, group_id: int) -> Row | None:
        with self._lock:
            found = self._own(self._groups, account_id, group_id)
            return None if found is None else dict(found)

    def state(self) -> dict[str, Any]:
        """Everything here as JSON values, for ``restore``."""
        with self._lock:
            return {
                "endpoints": [dict(row) for row in self._endpoints.values()],
                "groups": [dict(row) for row in self._groups.values()],
                "next_endpoint_id": self._next_endpoint_id,
                "next_group_id": self._next_group_id,
            }

    def restore(self, state: Mapping[str, Any]) -> None:
        with self._lock:
            self._endpoints = {row["id"]: dict(row) for row in state["endpoints"]}
            self._groups = {row["id"]: dict(row) for row in state["groups"]}
            self._next_endpoint_id = state["next_endpoint_id"]
            self._next_group_id = state["next_group_id"]

    def _own(self, rows: Mapping[int, Row], account_id: int, ident: int) -> Row | None:
        found = rows.get(ident)
        return found if found is not None and found["user_id"] == account_id else None

    def _named(self, account_id: int, body: Mapping[str, Any]) -> Row:
        """The endpoint that a group names, by number or by name."""
        for row in self._endpoints.values():
            if row["user_id"] == account_id and (
                row["id"] == body.get("endpoint_id")
                or (
                    body.get("endpoint_id") is None
                    and row["endpoint_name"] == body.get("endpoint_name")
                )
            ):
                return row
        raise invalid(_NO_ENDPOINT)

    def _check_name(self, account_id: int, name: str, own_id: int | None) -> None:
        for row in self._endpoints.values():
            if (row["user_id"], row["endpoint_name"]) == (account_id, name) and row["id"] != own_id:
                raise invalid(f"An endpoint named {name} already exists for this account.")
