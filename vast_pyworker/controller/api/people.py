"""What people and scripts may look at: groups, members, decisions, spend, events, keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flask import Response, request

from vast_pyworker.controller import showing
from vast_pyworker.controller.budget import window_starts
from vast_pyworker.controller.events import event_row
from vast_pyworker.controller.ledger.charges import MICRO
from vast_pyworker.controller.ledger.journal import Event
from vast_pyworker.engine.environ import HANDLER

from .asking import Asked
from .door import Route
from .endpoints import endpoint_names
from .money import money, spent_today
from .parts import Parts
from .refusals import Absent, BadAsk, Busy

MOST_ROWS = 1000
_DAYS = 31


def routes(parts: Parts) -> list[Route]:
    views = Views(parts)
    return [
        Route("GET", "/livez", views.livez, "Whether this process answers.", None),
        Route("GET", "/groups", views.groups, "Every group: wanted, ready, load, cost."),
        Route("GET", "/groups/<name>", views.group, "One group and its last decision's inputs."),
        Route("GET", "/members", views.members, "Every instance with all that is known of it.",
              query={"group": "Those of one group."}),
        Route("GET", "/members/<ident>", views.member, "One instance, and what was done to it."),
        Route("GET", "/decisions", views.decisions, "Sentences, the newest first.",
              query={"group": "Those about one group.", "limit": "How many; 50 if not said."}),
        Route("GET", "/spend", views.spend, "Dollars spent by window, hour, group, instance.",
              query={"days": "How many days of hours; 1 if not said."}),
        Route("GET", "/strangers", views.strangers, "Who reports and is not believed."),
        Route("GET", "/queues/<endpoint>", views.queue, "Who waits for a worker."),
        Route(
            "GET", "/events", views.events, "Sentences and ticks as they come, server-sent.",
            query={"after": "Begin after the event of this number, as Last-Event-ID does."},
            answers="text/event-stream",
        ),
    ]  # fmt: skip


class Views:
    """All of them read what the last tick left, or the ledger."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def livez(self, asked: Asked) -> dict[str, Any]:
        return {"status": "ok"}

    def groups(self, asked: Asked) -> dict[str, Any]:
        parts = self._parts
        rows = showing.group_rows(
            parts.loop.fleet, parts.loop.wishes, parts.desk.overlay.pins, spent_today(parts)
        )
        ticks = parts.ticks
        return {
            "fleet": parts.loop.wishes.fleet,
            **showing.totals(parts.loop.fleet),
            "limits": asdict(parts.loop.wishes.limits),
            "ticks": {"count": ticks.count, "failed": ticks.failed, "failure": ticks.failure},
            "groups": rows,
        }

    def group(self, asked: Asked, name: str) -> dict[str, Any]:
        rows = self.groups(asked)["groups"]
        found = next((each for each in rows if each["name"] == name), None)
        if found is None:
            there = ", ".join(each["name"] for each in rows) or "none"
            raise Absent(f"There is no group {name[:64]}; there are: {there}.")
        last = self._parts.ledger.journal.last(name)
        return {**found, "decision": None if last is None else decision_row(last)}

    def members(self, asked: Asked) -> dict[str, Any]:
        group = asked.query.get("group")
        fleet = self._parts.loop.fleet
        if group is not None:
            self._known(group, any(each.intent.group == group for each in fleet.members))
        spent = self._parts.ledger.spend.by_instance()
        rows = [
            showing.member_row(each, fleet.at, spent.get(each.intent.instance_id or 0))
            for each in fleet.members
            if group in (None, each.intent.group)
        ]
        return {"at": fleet.at, "members": rows}

    def member(self, asked: Asked, ident: str) -> dict[str, Any]:
        parts = self._parts
        intent = parts.commands.find(ident)
        spent = parts.ledger.spend.by_intent(intent.id)
        fleet = parts.loop.fleet
        row = next(
            (
                showing.member_row(each, fleet.at, spent)
                for each in fleet.members
                if each.intent.id == intent.id
            ),
            {"id": intent.instance_id, "intent": intent.id, "group": intent.group},
        )
        deeds = parts.ledger.journal.actions(intent_id=intent.id, limit=MOST_ROWS)
        return {**row, "actions": [asdict(each) for each in deeds]}

    def decisions(self, asked: Asked) -> dict[str, Any]:
        limit, group = asked.limit(50, MOST_ROWS), asked.query.get("group")
        found = self._parts.ledger.journal.decisions(group, limit)
        if group is not None:
            self._known(group, bool(found))
        return {"decisions": [decision_row(each) for each in found]}

    def spend(self, asked: Asked) -> dict[str, Any]:
        parts = self._parts
        days = min(max(asked.query_number("days", 1), 1), _DAYS)
        since = window_starts(parts.now())[0] - (days - 1) * 86400.0
        hours = [
            {"hour": each.hour, "group": each.group, "kind": each.kind,
             "usd": each.micro_usd / MICRO}
            for each in parts.ledger.spend.hours(since)
        ]  # fmt: skip
        spent = parts.ledger.spend.by_instance()
        ours = {each.intent.instance_id for each in parts.loop.fleet.members}
        return {
            **money(parts),
            "since": since,
            "hours": hours,
            "instances": {str(k): v / MICRO for k, v in spent.items() if k in ours},
        }

    def _known(self, group: str, remembered: bool) -> None:
        """Absent for a group that nobody wishes, and of which nothing is left either."""
        groups = self._parts.desk.wishes().groups
        if group not in groups and not remembered:
            there = ", ".join(sorted(groups)) or "none"
            raise Absent(f"There is no group {group[:64]}; there are: {there}.")

    def strangers(self, asked: Asked) -> dict[str, Any]:
        return {"strangers": [_plain(each) for each in self._parts.board.strangers()]}

    def queue(self, asked: Asked, endpoint: str) -> dict[str, Any]:
        if endpoint not in endpoint_names(self._parts):
            raise Absent(f"There is no endpoint {endpoint[:64]}.")
        return {"endpoint": endpoint, "waiting": self._parts.board.queue(endpoint)}

    def events(self, asked: Asked) -> Response:
        after = request.headers.get("Last-Event-ID") or asked.query.get("after")
        if after is not None and not (after.isascii() and after.isdigit() and len(after) < 19):
            raise BadAsk("Last-Event-ID is the number of an event.")
        opened = Response(b"", content_type="text/event-stream")
        if request.method == "HEAD":
            return opened
        handler = self._parts.events.open(None if after is None else int(after))
        if handler is None:
            raise Busy("As many read the events as may; try again later.", retry_after_s=10.0)
        request.environ[HANDLER] = handler
        return opened


def decision_row(event: Event) -> dict[str, Any]:
    return {**event_row(event), "inputs": event.inputs}


def _plain(stranger: Any) -> Mapping[str, Any]:
    return {**asdict(stranger), "state": str(stranger.state)}
