"""``/api/v0/autojobs/``, also ``/workergroups/``: groups as Vast's clients make and change them.

A group that is made here is laid over groups.toml and kept in the ledger; one of the file can have
its query and template changed in the file alone. Deleting a group drains it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vast_pyworker.controller.access import Right
from vast_pyworker.controller.made_groups import launch_of, query_of
from vast_pyworker.controller.overlay import ENDPOINT, GROUP, MadeGroup, Overlay
from vast_pyworker.errors import Invalid
from vast_pyworker.model import Group

from .asking import Asked
from .door import Route
from .endpoints import edit, endpoint_names
from .parts import Parts
from .refusals import Absent, BadAsk

PATHS = ("/api/v0/autojobs", "/api/v0/workergroups")
FIELDS = ("template_hash", "template_id", "search_params", "launch_args", "gpu_ram")
_TOLD = {
    "endpoint_name": "The endpoint it serves, or `endpoint_id`.",
    "template_hash": "What is started; or an image in launch_args.",
    "search_params": "Which offers are taken.",
    "launch_args": "As of `create instance`.",
}


def routes(parts: Parts) -> list[Route]:
    views = Views(parts)
    operate = Right.OPERATE
    found = []
    for path in PATHS:
        found += [
            Route("GET", f"{path}/", views.all, "Every group of workers."),
            Route("POST", f"{path}/", views.create, "A new group of workers.", operate, _TOLD),
            Route("PUT", f"{path}/<int:number>/", views.change, "Change a group that was made so.",
                  operate, _TOLD),
            Route("DELETE", f"{path}/<int:number>/", views.delete, "Drain and end a group.",
                  operate),
        ]  # fmt: skip
    return found


class Views:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def all(self, asked: Asked) -> dict[str, Any]:
        emptied = self._parts.desk.overlay.emptied
        groups = self._parts.desk.wishes().groups.values()
        rows = [self._row(each) for each in groups if each.name not in emptied]
        return {"success": True, "results": rows}

    def create(self, asked: Asked) -> dict[str, Any]:
        endpoint = self._endpoint(asked)
        fields = _sent(asked)
        launch_of(fields)
        query_of(fields.get("search_params"))
        taken = self._parts.desk.wishes().groups
        name = next(each for each in _names(endpoint) if each not in taken)
        made = MadeGroup(endpoint, self._parts.now(), fields)

        def added(old: Overlay) -> Overlay:
            return replace(old, groups={**old.groups, name: made})

        edit(self._parts, asked, f"Group {name} of endpoint {endpoint} is made", added)
        return {"success": True, "id": self._parts.desk.overlay.number(GROUP, name)}

    def change(self, asked: Asked, number: int) -> dict[str, Any]:
        name = self._name(number)
        made = self._parts.desk.overlay.groups.get(name)
        if made is None:
            raise BadAsk(f"Group {name} stands in groups.toml: change it there.")
        fields = {**made.fields, **_sent(asked)}
        launch_of(fields)
        query_of(fields.get("search_params"))

        def changed(old: Overlay) -> Overlay:
            return replace(old, groups={**old.groups, name: replace(made, fields=fields)})

        edit(self._parts, asked, f"Group {name} is changed", changed)
        return {"success": True, "id": number}

    def delete(self, asked: Asked, number: int) -> dict[str, Any]:
        name = self._name(number)
        count = self._parts.commands.empty(name, asked.who)
        return {
            "success": True,
            "deleted_workers": count,
            "msg": f"{count} workers of {name} are drained and then destroyed.",
        }

    def _row(self, group: Group) -> dict[str, Any]:
        overlay = self._parts.desk.overlay
        made = overlay.groups.get(group.name)
        return {
            "id": overlay.number(GROUP, group.name),
            "name": group.name,
            "endpoint_id": overlay.number(ENDPOINT, group.endpoint),
            "endpoint_name": group.endpoint,
            "template_hash": group.launch.template_hash,
            "search_params": group.query,
            "launch_args": (made.fields.get("launch_args") if made else None) or "",
            "gpu_ram": made.fields.get("gpu_ram") if made else None,
            "created_at": made.created_at if made else 0.0,
            "user_id": 1,
        }

    def _endpoint(self, asked: Asked) -> str:
        name = asked.text("endpoint_name")
        if name is None:
            number = asked.number("endpoint_id", least=1, whole=True)
            if number is None:
                raise Invalid("A group needs endpoint_name or endpoint_id.")
            name = self._parts.desk.overlay.name_of(ENDPOINT, int(number))
        if name is None or name not in endpoint_names(self._parts):
            raise Absent("There is no such endpoint; make it first.")
        return name

    def _name(self, number: int) -> str:
        overlay = self._parts.desk.overlay
        name = overlay.name_of(GROUP, number)
        known = self._parts.desk.wishes().groups
        if name is None or name not in known or name in overlay.emptied:
            raise Absent(f"There is no group {number}.")
        return name


def _sent(asked: Asked) -> dict[str, Any]:
    sent = {name: asked.body[name] for name in FIELDS if asked.body.get(name) is not None}
    for name in ("template_hash", "launch_args"):
        if name in sent and not isinstance(sent[name], str):
            raise Invalid(f"{name} has to be a text.")
    return sent


def _names(endpoint: str) -> Any:
    """``demo``, then ``demo-2``: names that no group has yet are taken from these."""
    yield endpoint
    number = 2
    while True:
        yield f"{endpoint}-{number}"
        number += 1
