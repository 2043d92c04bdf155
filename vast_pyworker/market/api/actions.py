"""Calls that change instances, one or many, and those that ask one for its log or a command."""

from __future__ import annotations

from typing import Any

from flask import request

from vast_pyworker.market.calls.asking import Asked
from vast_pyworker.market.refusal import MarketRefusal, invalid

from .door import Route
from .instances import READ, instance_id
from .parts import Parts
from .renting import template_in
from .results import url_of

WRITE = "instance_write"


def routes(parts: Parts) -> list[Route]:
    calls = ActionCalls(parts)
    one = "/instances/<ident>/"
    return [
        Route("PUT", one, change_name, calls.change, WRITE, "change", own_instance=True),
        Route("DELETE", one, "destroy", calls.destroy, WRITE, own_instance=True),
        Route("PUT", "/instances/", "bulk_state", calls.change_many, WRITE),
        Route("DELETE", "/instances/", "bulk_destroy", calls.destroy_many, WRITE,
              bad_body=bad_bulk),
        Route("PUT", "/instances/reboot/<ident>/", "reboot", calls.reboot, WRITE),
        Route("PUT", "/instances/recycle/<ident>/", "recycle", calls.recycle, WRITE),
        Route("PUT", "/instances/bid_price/<ident>/", "bid", calls.change_bid, WRITE),
        Route("PUT", "/instances/prepay/<ident>/", "other", calls.prepay, WRITE, "prepay"),
        Route("PUT", "/instances/update_template/<ident>/", "other", calls.update_template, WRITE,
              "update_template"),
        Route("PUT", "/instances/request_logs/<ident>/", "logs", calls.logs, READ),
        Route("PUT", "/instances/command/<ident>/", "execute", calls.execute, WRITE,
              bad_body=bad_command),
    ]  # fmt: skip


def change_name(body: dict[str, Any]) -> str:
    """Start, stop and label are one call; its body says which."""
    if "state" not in body:
        return "label"
    return "start" if body["state"] == "running" else "stop"


def bad_bulk() -> MarketRefusal:
    return invalid("invalid request format")


def bad_command() -> MarketRefusal:
    return MarketRefusal(483, "invalid_args", "Invalid json_body")


class ActionCalls:
    """The views; what may be done, and what comes of it, is the market's."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._market = parts.market

    def change(self, asked: Asked, ident: str) -> dict[str, Any]:
        """State, label, or both: a label that is refused changes no state."""
        number, body = instance_id(ident), asked.body
        if "label" in body:
            _only_for_owners(asked)
            answer = self._market.set_label(asked.account_id, number, body["label"])
            if "state" not in body:
                return answer
        return self._market.set_state(asked.account_id, number, body.get("state"))

    def change_many(self, asked: Asked) -> dict[str, Any]:
        ids, state = asked.body.get("ids"), asked.body.get("state")
        return self._market.set_state_many(asked.account_id, ids, state)

    def destroy(self, asked: Asked, ident: str) -> dict[str, Any]:
        return self._market.destroy(asked.account_id, instance_id(ident))

    def destroy_many(self, asked: Asked) -> dict[str, Any]:
        return self._market.destroy_many(asked.account_id, asked.body.get("instance_ids"))

    def reboot(self, asked: Asked, ident: str) -> dict[str, Any]:
        return self._market.reboot(asked.account_id, instance_id(ident))

    def recycle(self, asked: Asked, ident: str) -> dict[str, Any]:
        return self._market.recycle(asked.account_id, instance_id(ident))

    def change_bid(self, asked: Asked, ident: str) -> dict[str, Any]:
        number = instance_id(ident)
        return self._market.change_bid(asked.account_id, number, asked.body.get("price"))

    def prepay(self, asked: Asked, ident: str) -> dict[str, Any]:
        number = instance_id(ident)
        return self._market.prepay(asked.account_id, number, asked.body.get("amount"))

    def update_template(self, asked: Asked, ident: str) -> dict[str, Any]:
        number, body = instance_id(ident), asked.body
        template = template_in(self._parts, asked, body)
        return self._market.update_template(asked.account_id, number, body, template=template)

    def logs(self, asked: Asked, ident: str) -> dict[str, Any]:
        body = asked.body
        text = self._market.logs(
            asked.account_id,
            instance_id(ident),
            tail=body.get("tail"),
            filter=body.get("filter"),
            daemon=body.get("daemon_logs") in ("true", True),
        )
        msg = "Log request sent, wait a few seconds and then view the result_url"
        return {"success": True, "result_url": self._kept(text), "msg": msg}

    def execute(self, asked: Asked, ident: str) -> dict[str, Any]:
        number = instance_id(ident)
        text = self._market.execute(asked.account_id, number, asked.body.get("command"))
        return {
            "success": True,
            "writeable_path": f"/var/lib/docker/instance_{number}",
            "result_url": self._kept(text),
            "msg": "Command is executing, wait a few seconds and then view the result_url",
        }

    def _kept(self, text: str) -> str:
        return url_of(request.host_url, self._parts.results.put(text))


def _only_for_owners(asked: Asked) -> None:
    if asked.caller is not None and asked.caller.key.instance_id is not None:
        raise MarketRefusal(403, "not_authorized", "The key of an instance may not label it.")
