"""Commands of people and scripts, and the keys they come with."""

from __future__ import annotations

from typing import Any

from flask import Response

from vast_pyworker.controller.access import Right
from vast_pyworker.controller.ledger.keys import Key
from vast_pyworker.errors import Invalid

from .asking import Asked
from .door import Route
from .parts import Parts
from .refusals import Absent, BadAsk

MOST_INSTANCES = 100_000
LONGEST_DRAIN_S = 86_400.0
TEXT = "text/plain; charset=utf-8"


def routes(parts: Parts) -> list[Route]:
    views = Views(parts)
    operate, admin = Right.OPERATE, Right.ADMIN
    return [
        Route(
            "POST", "/groups/<name>/scale", views.scale, "Hold a group at a number of instances.",
            operate, {"instances": "How many; null gives the group back to its policy."},
        ),
        Route(
            "POST", "/groups/<name>/renew", views.renew, "Replace all of a group, one by one.",
            operate, {"cancel": "True takes it back."},
        ),
        Route(
            "POST", "/instances/<ident>/drain", views.drain,
            "No new requests; then destroyed.",
            operate, {"seconds": "How long requests may take to finish."},
        ),
        Route("POST", "/instances/<ident>/hold", views.hold, "Have nothing done to it.", operate),
        Route("POST", "/instances/<ident>/release", views.release, "End the hold.", operate),
        Route(
            "POST", "/instances/<ident>/drop", views.drop, "Destroy it now; avoid its machine.",
            operate, {"reason": "Why, for the journal."},
        ),
        Route(
            "GET", "/instances/<ident>/logs", views.logs, "The instance's own output.", operate,
            query={"tail": "How many lines of its end; 200 if not said."},
            answers="text/plain",
        ),
        Route("POST", "/reload", views.reload, "Read groups.toml again.", admin),
        Route("GET", "/keys", views.keys, "Every valid key, none of them in full.", admin),
        Route(
            "POST", "/keys", views.create_key, "A new key, shown this once.", admin,
            {"name": "Whose it is.", "right": "read, operate, admin or route.",
             "endpoint": "For which endpoint it routes."},
        ),
        Route("DELETE", "/keys/<key_id>", views.revoke_key, "Make a key worthless.", admin),
    ]  # fmt: skip


class Views:
    """Every one of them is in the journal with who asked."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._commands = parts.commands

    def scale(self, asked: Asked, name: str) -> dict[str, Any]:
        if "instances" not in asked.body:
            raise Invalid("The body needs `instances`: a number, or null for the policy.")
        count = asked.number("instances", most=MOST_INSTANCES, whole=True)
        return self._commands.scale(name, None if count is None else int(count), asked.who)

    def renew(self, asked: Asked, name: str) -> dict[str, Any]:
        cancel = asked.body.get("cancel") is True
        return {"group": name, "instances": self._commands.renew(name, asked.who, cancel=cancel)}

    def drain(self, asked: Asked, ident: str) -> dict[str, Any]:
        seconds = asked.number("seconds", most=LONGEST_DRAIN_S)
        return self._commands.drain(ident, asked.who, seconds)

    def hold(self, asked: Asked, ident: str) -> dict[str, Any]:
        return self._commands.hold(ident, asked.who, True)

    def release(self, asked: Asked, ident: str) -> dict[str, Any]:
        return self._commands.hold(ident, asked.who, False)

    def drop(self, asked: Asked, ident: str) -> dict[str, Any]:
        return self._commands.drop(ident, asked.who, asked.text("reason", 500) or "")

    def logs(self, asked: Asked, ident: str) -> Response:
        intent = self._commands.find(ident)
        if intent.instance_id is None:
            raise Absent("It is not known yet which instance that is.")
        tail = asked.query_number("tail", 200)
        return Response(
            self._parts.provider.logs(intent.instance_id, min(tail, 10_000)), content_type=TEXT
        )

    def reload(self, asked: Asked) -> dict[str, Any]:
        return {"said": reload(self._parts, asked.who)}

    def keys(self, asked: Asked) -> dict[str, Any]:
        return {"keys": [_key_row(each) for each in self._parts.access.keys.list()]}

    def create_key(self, asked: Asked) -> dict[str, Any]:
        name, right = asked.text("name") or "", asked.text("right") or ""
        known = ", ".join(map(str, Right))
        if right not in [str(each) for each in Right]:
            raise Invalid(f"right has to be one of {known}.")
        try:
            text, key = self._parts.access.keys.create(
                name or "unnamed", Right(right), at=self._parts.now(),
                endpoint=asked.text("endpoint"),
            )  # fmt: skip
        except ValueError as exc:
            raise Invalid(str(exc)) from None
        self._say(f"Key {key.id} ({key.name}) may {key.right}, says {asked.who}.")
        return {**_key_row(key), "key": text}

    def revoke_key(self, asked: Asked, key_id: str) -> dict[str, Any]:
        own = asked.caller.key if asked.caller else None
        if own is not None and own.id == key_id:
            raise BadAsk("A key does not revoke itself; do it with another one.")
        if not self._parts.access.keys.revoke(key_id, self._parts.now()):
            raise Absent(f"There is no valid key {key_id[:64]}.")
        self._say(f"Key {key_id} is revoked, says {asked.who}.")
        return {"id": key_id, "revoked": True}

    def _say(self, sentence: str) -> None:
        self._parts.ledger.journal.say(self._parts.now(), None, sentence)


def reload(parts: Parts, who: str) -> str:
    """Read groups.toml again; the sentence that says what came of it, which is in the journal."""
    sentence = parts.desk.reload()
    parts.ledger.journal.say(parts.now(), None, sentence)
    parts.wake()
    return sentence


def _key_row(key: Key) -> dict[str, Any]:
    return {
        "id": key.id, "name": key.name, "right": str(key.right), "endpoint": key.endpoint,
        "created_at": key.created_at,
    }  # fmt: skip
