"""What Vast's own clients ask beside ``/route/``: workers, logs, updates, certificates, the user.

Shapes are those that the official client 1.9.1 reads; transient trouble is never a 5xx.
"""

from __future__ import annotations

from typing import Any

from flask import Response

from vast_pyworker.controller.access import Right
from vast_pyworker.controller.ledger.journal import Event
from vast_pyworker.controller.overlay import ENDPOINT, GROUP

from .asking import Asked
from .door import Route
from .endpoints import endpoint_names
from .parts import Parts
from .refusals import Absent, BadAsk

USER_ID = 1
_LINES = 200
_ID = {"id": "The number of the endpoint or group.", "api_key": "A key, if not in the header."}


def routes(parts: Parts) -> list[Route]:
    views = Views(parts)
    of_group = ("workergroup", "autogroup")
    found = [
        Route("POST", "/get_endpoint_workers/", views.endpoint_workers,
              "The workers of an endpoint, a bare list.", fields=_ID),
        Route("POST", "/get_endpoint_logs/", views.endpoint_logs,
              "What was said of an endpoint, as info0, info1, trace and debug.", fields=_ID),
        Route("POST", "/update_workers/", views.update_workers,
              "Replace the workers of a group, one after another.", Right.OPERATE,
              {"workergroup_id": "The group's number.", "cancel_update": "True takes it back."}),
        Route("GET", "/static/jvastai_root.cer", views.certificates,
              "The certificates that clients are to trust, PEM.", None,
              answers="application/x-pem-file"),
        Route("GET", "/api/v0/users/current", views.user, "Whose key this is."),
    ]  # fmt: skip
    for kind in of_group:
        found += [
            Route("POST", f"/get_{kind}_workers/", views.group_workers,
                  "The workers of a group, a bare list.", fields=_ID),
            Route("POST", f"/get_{kind}_logs/", views.group_logs,
                  "What was said of a group, as info0, info1, trace and debug.", fields=_ID),
        ]  # fmt: skip
    return found


class Views:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def endpoint_workers(self, asked: Asked) -> Any:
        return self._parts.board.endpoint_workers(self._endpoint(asked))

    def group_workers(self, asked: Asked) -> Any:
        name = self._group(asked, "id")
        group = self._parts.desk.wishes().groups[name]
        ours = {
            each.intent.instance_id
            for each in self._parts.loop.fleet.members
            if each.intent.group == name
        }
        rows = self._parts.board.endpoint_workers(group.endpoint)
        return [row for row in rows if row["id"] in ours]

    def endpoint_logs(self, asked: Asked) -> dict[str, str]:
        endpoint = self._endpoint(asked)
        groups = self._parts.desk.wishes().groups.values()
        return self._logs([each.name for each in groups if each.endpoint == endpoint], asked)

    def group_logs(self, asked: Asked) -> dict[str, str]:
        return self._logs([self._group(asked, "id")], asked)

    def update_workers(self, asked: Asked) -> dict[str, Any]:
        name = self._group(asked, "workergroup_id")
        cancel = asked.body.get("cancel_update") is True
        count = self._parts.commands.renew(name, asked.who, cancel=cancel)
        if cancel:
            return {"success": True, "cancelled": True}
        return {"success": True, "workers_to_update": count}

    def certificates(self, asked: Asked) -> Response:
        return Response(self._parts.certificates(), content_type="application/x-pem-file")

    def user(self, asked: Asked) -> dict[str, Any]:
        assert asked.caller is not None and asked.caller.key is not None
        return {
            "id": USER_ID,
            "username": asked.caller.key.name,
            "email": "",
            "credit": None,
            "balance": None,
        }

    def _endpoint(self, asked: Asked) -> str:
        named = asked.text("endpoint")
        names = endpoint_names(self._parts)
        if named is None:
            number = asked.number("id", least=1, whole=True)
            if number is None:
                raise BadAsk("The body needs the endpoint's number as `id`.")
            named = self._parts.desk.overlay.name_of(ENDPOINT, int(number))
        if named not in names:
            raise Absent("There is no such endpoint.")
        return named

    def _group(self, asked: Asked, field: str) -> str:
        number = asked.number(field, least=1, whole=True)
        if number is None:
            raise BadAsk(f"The body needs the group's number as `{field}`.")
        name = self._parts.desk.overlay.name_of(GROUP, int(number))
        if name is None or name not in self._parts.desk.wishes().groups:
            raise Absent("There is no such group.")
        return name

    def _logs(self, groups: list[str], asked: Asked) -> dict[str, str]:
        """Decisions at ``info0``, all sentences at ``info1``, with their inputs below."""
        tail = asked.number("tail", least=1, whole=True) or _LINES
        journal = self._parts.ledger.journal
        found = [each for name in groups for each in journal.decisions(name, _LINES)]
        events = sorted(found, key=lambda each: each.id)[-int(tail) :]
        return {
            "info0": _lines([each for each in events if each.inputs is not None]),
            "info1": _lines(events),
            "trace": _lines(events, inputs=True),
            "debug": _lines(events, inputs=True),
        }


def _lines(events: list[Event], *, inputs: bool = False) -> str:
    return "".join(
        f"{each.at:.0f} {each.group}: {each.sentence}"
        + (f" {dict(each.inputs)}" if inputs and each.inputs else "")
        + "\n"
        for each in events
    )
