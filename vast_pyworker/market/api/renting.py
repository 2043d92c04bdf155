"""Calls about offers: search them, rent one, rent many, search and rent in one; GPU names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vast_pyworker.market.calls.asking import Asked, number_of
from vast_pyworker.market.refusal import MarketRefusal, invalid
from vast_pyworker.market.supply.gpus import MODELS

from .door import Route
from .parts import Parts

_BY_NAME = sorted(MODELS, key=lambda model: model.name)


def routes(parts: Parts) -> list[Route]:
    calls = RentingCalls(parts)
    write = "instance_write"
    return [
        Route("POST", "/bundles/", "search", calls.search, public=True, bad_body=bad_query),
        Route("GET", "/bundles/", "search", calls.search_get, public=True, limit="search_get"),
        Route("PUT", "/search/asks/", "search", calls.search, public=True, bad_body=bad_query),
        Route("GET", "/gpu_names/unique/", "other", gpu_names, public=True),
        Route("GET", "/gpu_types/", "other", gpu_types, public=True),
        Route("PUT", "/asks/<ident>/", "create", calls.create, scope=write),
        Route("POST", "/asks/bulk/", "bulk_create", calls.bulk_create, scope=write),
        Route("PUT", "/launch_instance/", "launch", calls.launch, scope=write),
    ]


def bad_query() -> MarketRefusal:
    return MarketRefusal(400, "invalid_request", "Invalid json body", shape="bare")


def gpu_names(asked: Asked) -> dict[str, Any]:
    return {"gpu_names": [model.name for model in _BY_NAME]}


def gpu_types(asked: Asked) -> dict[str, Any]:
    rows = [{"canonical_name": m.name, "gpu_ram_mb": m.ram_mb[0]} for m in _BY_NAME]
    return {"gpu_types": rows}


class RentingCalls:
    """The views; templates and ssh keys are looked up here, the renting is the market's."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def search(self, asked: Asked) -> dict[str, Any]:
        return {"offers": self._parts.market.search(asked.body)}

    def search_get(self, asked: Asked) -> dict[str, Any]:
        query = asked.json_of("q", {})
        columns = asked.json_of("select_cols", ["*"])
        return {"offers": self._parts.market.search({"select_cols": columns, "q": query})}

    def create(self, asked: Asked, ident: str) -> dict[str, Any]:
        text = "'id' is required and must be a valid offer ID"
        ask_id = number_of(ident, invalid(text))
        return self._parts.market.create(
            asked.account_id, ask_id, asked.body, **self._with(asked, asked.body)
        )

    def bulk_create(self, asked: Asked) -> dict[str, Any]:
        given = self._with(asked, asked.body)
        return self._parts.market.bulk_create(asked.account_id, asked.body, **given)

    def launch(self, asked: Asked) -> dict[str, Any]:
        given = self._with(asked, asked.body)
        return self._parts.market.launch(asked.account_id, asked.body, **given)

    def _with(self, asked: Asked, body: Mapping[str, Any]) -> dict[str, Any]:
        """The template that the body names, and the account's keys."""
        keys = [row["key"] for row in self._parts.ssh_keys.of(asked.account_id)]
        return {"template": template_in(self._parts, asked, body), "ssh_keys": keys}


def template_in(parts: Parts, asked: Asked, body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The row of the template that ``body`` names; None where it names none.

    MarketRefusal(400) where there is no such template.
    """
    hash_id, number = body.get("template_hash_id"), body.get("template_id")
    if hash_id is None and number is None:
        return None
    named = isinstance(hash_id, str) or (hash_id is None and type(number) is int)
    found = parts.templates.used(asked.account_id, number, hash_id) if named else None
    if found is None:
        text = f"Template {number if hash_id is None else hash_id} not found."
        raise MarketRefusal(400, "invalid_template", text)
    return found.row()
