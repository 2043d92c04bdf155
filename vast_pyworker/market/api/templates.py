"""Calls about templates: search, create, update (old and new), delete."""

from __future__ import annotations

from typing import Any

from vast_pyworker.market.accounts.templates import CONTENT
from vast_pyworker.market.calls.asking import Asked
from vast_pyworker.market.offers import filters
from vast_pyworker.market.offers.columns import FLAG, NUMBER, TEXT, Column
from vast_pyworker.market.refusal import MarketRefusal, invalid

from .door import Route
from .parts import Parts

READ, WRITE = "user_read", "user_write"
_KINDS = {bool: FLAG, int: NUMBER}
_NUMBERS = ("id", "creator_id", "created_at", "count_created")
COLUMNS = {
    **{name: Column(name, NUMBER) for name in _NUMBERS},
    "hash_id": Column("hash_id", TEXT),
    **{name: Column(name, _KINDS.get(types[0], TEXT)) for name, (types, _) in CONTENT.items()},
}


def routes(parts: Parts) -> list[Route]:
    """Those under /api/v0."""
    calls = TemplateCalls(parts)
    path = "/template/"
    return [
        Route("GET", path, "templates", calls.search, READ),
        Route("POST", path, "template_create", calls.create, WRITE),
        Route("PUT", path, "template_update", calls.update_old, WRITE),
        Route("DELETE", path, "template_delete", calls.delete, WRITE),
    ]


def v1_routes(parts: Parts) -> list[Route]:
    """Those under /api/v1."""
    calls = TemplateCalls(parts)
    return [
        Route("GET", "/template/", "templates", calls.search, READ),
        Route("PUT", "/template/", "template_update", calls.update, WRITE),
    ]


class TemplateCalls:
    """The views."""

    def __init__(self, parts: Parts) -> None:
        self._templates = parts.templates
        self._now = parts.now

    def search(self, asked: Asked) -> dict[str, Any]:
        """200 with success false where none is found."""
        conditions = filters.check(asked.json_of("select_filters", {}), COLUMNS)
        rows = self._templates.visible_to(asked.account_id)
        found: list[Any] = [row for row in rows if filters.matches(row, conditions)]
        by = asked.json_of("order_by", None)
        if by is not None:
            found = list(filters.order(found, by, COLUMNS))
        if not found:
            return {"success": False, "msg": "No templates found"}
        found = [_columns(row, asked.json_of("select_cols", ["*"])) for row in found]
        return {"success": True, "templates_found": len(found), "templates": found}

    def create(self, asked: Asked) -> dict[str, Any]:
        row, is_new = self._templates.create(asked.account_id, asked.body, self._now())
        if not is_new:
            msg = f"Existing Template Found: {row['id']}"
            return {"success": False, "msg": msg, "template": row}
        msg = f"Template Created Successfully! New Template ID: {row['id']}"
        return {"success": True, "msg": msg, "template": row}

    def update(self, asked: Asked) -> dict[str, Any]:
        """PUT v1: the number and the present hash are both needed."""
        body = _unwrapped(asked.body)
        number, hash_id = body.get("id"), body.get("hash_id")
        if type(number) is not int or not isinstance(hash_id, str):
            text = "Missing hash_id or template id."
            raise invalid(text)
        row, changed = self._templates.update(asked.account_id, number, hash_id, body)
        msg = "Created an Edited Copy" if changed else "No Edits made"
        return {"success": True, "hash_id": row["hash_id"], "msg": msg, "template": row}

    def update_old(self, asked: Asked) -> dict[str, Any]:
        """PUT v0: by the hash alone."""
        body = _unwrapped(asked.body)
        hash_id = body.get("hash_id")
        number = (
            self._templates.id_of(asked.account_id, hash_id) if isinstance(hash_id, str) else None
        )
        if number is None:
            text = f"Unable to Update Template. None found for given Hash ID: {hash_id}"
            raise invalid(text)
        row, _ = self._templates.update(asked.account_id, number, str(hash_id), body)
        msg = f"Template {row['id']} Updated Successfully"
        return {"success": True, "hash_id": row["hash_id"], "msg": msg, "template": row}

    def delete(self, asked: Asked) -> dict[str, Any]:
        number, hash_id = asked.body.get("template_id"), asked.body.get("hash_id")
        if isinstance(hash_id, str):
            number = self._templates.id_of(asked.account_id, hash_id)
        if number is None:
            raise MarketRefusal(400, "", "Invalid Template ID or User ID", shape="msg")
        if type(number) is not int:
            raise MarketRefusal(400, "", "Template ID must be integer", shape="msg")
        self._templates.delete(asked.account_id, number)
        return {"success": True, "msg": f"Template {number} Deleted Successfully"}


def _unwrapped(body: dict[str, Any]) -> dict[str, Any]:
    """The fields, whether they come bare or under ``template``."""
    inner = body.get("template")
    return (
        {**inner, **{k: v for k, v in body.items() if k != "template"}}
        if (isinstance(inner, dict))
        else body
    )


def _columns(row: dict[str, Any], names: Any) -> dict[str, Any]:
    """The columns asked for; unknown ones are null."""
    if not isinstance(names, list) or "*" in names:
        return row
    return {name: row.get(name) for name in names if isinstance(name, str)}
