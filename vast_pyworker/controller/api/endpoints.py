"""``/api/v0/endptjobs/``: endpoints as Vast's clients list, make, change and delete them.

An endpoint is the name that groups serve under. What a call sets is laid over groups.toml, within
its limits, and kept in the ledger; deleting drains the endpoint's groups.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from vast_pyworker.controller.access import Right
from vast_pyworker.controller.made_groups import POLICY_FIELDS, checked
from vast_pyworker.controller.overlay import (
    ACTIVE,
    ENDPOINT,
    STOPPED,
    SUSPENDED,
    MadeEndpoint,
    Overlay,
)
from vast_pyworker.errors import Invalid
from vast_pyworker.model import Group

from .asking import Asked
from .door import Route
from .parts import Parts
from .refusals import Absent, BadAsk

PATH = "/api/v0/endptjobs"
USER_ID = 1
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,255}\Z")
_FIELDS = dict.fromkeys(POLICY_FIELDS, "A parameter of the policy `vast`.") | {
    "endpoint_name": "Letters, digits, _ and -.",
    "endpoint_state": "active, suspended or stopped.",
}


def routes(parts: Parts) -> list[Route]:
    views = Views(parts)
    operate = Right.OPERATE
    return [
        Route("GET", f"{PATH}/", views.all, "Every endpoint; by its own key that one.",
              clients=True),
        Route("POST", f"{PATH}/", views.create, "A new endpoint.", operate, _FIELDS),
        Route("GET", f"{PATH}/<int:number>/", views.one, "One endpoint.", clients=True),
        Route("PUT", f"{PATH}/<int:number>/", views.change, "Change an endpoint.", operate,
              _FIELDS),
        Route("DELETE", f"{PATH}/<int:number>/", views.delete, "Drain and end an endpoint.",
              operate),
    ]  # fmt: skip


class Views:
    """The key of an endpoint is told to who may operate, and to nobody else.

    Vast's client lists the endpoints with the key that its user gave it: who has the key of an
    endpoint finds that one, with the same key, and hears of no other."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def all(self, asked: Asked) -> dict[str, Any]:
        names = endpoint_names(self._parts)
        rows = [self._row(name, asked) for name in names if asked.endpoint in (None, name)]
        return {"success": True, "results": rows}

    def one(self, asked: Asked, number: int) -> dict[str, Any]:
        name = self._name(number)
        if asked.endpoint not in (None, name):
            raise Absent(f"There is no endpoint {number}.")
        return {"success": True, "result": self._row(name, asked)}

    def create(self, asked: Asked) -> dict[str, Any]:
        name = asked.text("endpoint_name") or ""
        if not _NAME.match(name):
            raise Invalid("endpoint_name needs 1 to 255 letters, digits, _ or -.")
        if name in endpoint_names(self._parts):
            raise BadAsk(f"There is an endpoint {name} already.")
        made = MadeEndpoint(self._parts.now(), _sent(asked), made=True)
        self._edit(asked, f"Endpoint {name} is made", lambda old: _with(old, name, made))
        return {"success": True, "result": self._parts.desk.overlay.number(ENDPOINT, name)}

    def change(self, asked: Asked, number: int) -> dict[str, Any]:
        name = self._name(number)
        sent = _sent(asked)
        before = self._parts.desk.overlay.endpoints.get(name)
        known = before or MadeEndpoint(self._parts.now())
        made = replace(known, fields={**known.fields, **sent})
        state = sent.get("endpoint_state")

        def changed(old: Overlay) -> Overlay:
            return self._in_state(_with(old, name, made), name, state)

        self._edit(asked, f"Endpoint {name} is changed ({_told(sent)})", changed)
        return {"success": True, "result": self._row(name, asked)}

    def delete(self, asked: Asked, number: int) -> dict[str, Any]:
        name = self._name(number)
        groups = [each.name for each in self._groups(name)]
        count = sum(self._parts.commands.empty(each, asked.who) for each in groups)

        def without(old: Overlay) -> Overlay:
            left = {each: made for each, made in old.endpoints.items() if each != name}
            return replace(old, endpoints=left)

        self._edit(asked, f"Endpoint {name} is deleted", without)
        return {
            "success": True,
            "deleted_workers": count,
            "failed_workers": 0,
            "msg": f"{count} workers of {name} are drained and then destroyed.",
        }

    # --- within ---

    def _row(self, name: str, asked: Asked) -> dict[str, Any]:
        overlay = self._parts.desk.overlay
        said = overlay.endpoints.get(name)
        if asked.endpoint is not None:
            return self._own_row(name, asked.key, said)
        operates = asked.caller is not None and asked.caller.may(Right.OPERATE)
        options = next((each.policy_options for each in self._groups(name)), {})
        shown = {each: options[each] for each in POLICY_FIELDS if each in options}
        fields = said.fields if said else {}
        return {
            **self._own_row(name, self._parts.endpoint_key(name) if operates else "", said),
            **shown,
            **{each: value for each, value in fields.items() if each in POLICY_FIELDS},
        }

    def _own_row(self, name: str, key: str, said: MadeEndpoint | None) -> dict[str, Any]:
        """What Vast's client needs of an endpoint."""
        return {
            "id": self._parts.desk.overlay.number(ENDPOINT, name),
            "endpoint_name": name,
            "api_key": key,
            "user_id": USER_ID,
            "created_at": said.created_at if said else 0.0,
            "endpoint_state": (said.fields.get("endpoint_state") if said else None) or ACTIVE,
        }

    def _name(self, number: int) -> str:
        name = self._parts.desk.overlay.name_of(ENDPOINT, number)
        if name is None or name not in endpoint_names(self._parts):
            raise Absent(f"There is no endpoint {number}.")
        return name

    def _groups(self, endpoint: str) -> list[Group]:
        groups = self._parts.desk.wishes().groups.values()
        return [each for each in groups if each.endpoint == endpoint]

    def _in_state(self, overlay: Overlay, endpoint: str, state: str | None) -> Overlay:
        """``suspended`` pins each group to what it has; any other state lets go of that."""
        if state is None:
            return overlay
        names = [each.name for each in self._groups(endpoint)]
        pins = {name: count for name, count in overlay.pins.items() if name not in names}
        if state == SUSPENDED:
            members = self._parts.loop.fleet.members
            pins |= {name: sum(each.intent.group == name for each in members) for name in names}
        return replace(overlay, pins=pins)

    def _edit(self, asked: Asked, what: str, change: Callable[[Overlay], Overlay]) -> None:
        edit(self._parts, asked, what, change)


def endpoint_names(parts: Parts) -> list[str]:
    """Every endpoint: those that groups serve, and those that were made and have no group yet."""
    overlay = parts.desk.overlay
    served = [
        each.endpoint
        for each in parts.desk.wishes().groups.values()
        if each.name not in overlay.emptied
    ]
    made = [name for name, each in overlay.endpoints.items() if each.made]
    return list(dict.fromkeys([*served, *made]))


def edit(parts: Parts, asked: Asked, what: str, change: Callable[[Overlay], Overlay]) -> None:
    """Put a change in force and in the journal, with who asked for it."""
    at, journal = parts.now(), parts.ledger.journal
    sentence = f"{what}, says {asked.who}."
    row = journal.begin(
        "edit", group=None, intent_id=None, who=asked.who, reason=sentence, at=at
    )  # fmt: skip
    try:
        parts.desk.edit(change)
    except Invalid as exc:
        journal.end(row, str(exc), parts.now())
        raise
    journal.end(row, "done", parts.now())
    journal.say(at, None, sentence)
    parts.wake()


def _sent(asked: Asked) -> dict[str, Any]:
    """The fields that were set; null leaves one alone."""
    sent = {name: asked.body[name] for name in POLICY_FIELDS if asked.body.get(name) is not None}
    checked(sent)
    state = asked.text("endpoint_state")
    if state is not None:
        if state not in (ACTIVE, SUSPENDED, STOPPED):
            raise Invalid(f"endpoint_state has to be {ACTIVE}, {SUSPENDED} or {STOPPED}.")
        sent["endpoint_state"] = state
    return sent


def _with(overlay: Overlay, name: str, made: MadeEndpoint) -> Overlay:
    return replace(overlay, endpoints={**overlay.endpoints, name: made})


def _told(sent: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sent.items()) or "nothing set"
