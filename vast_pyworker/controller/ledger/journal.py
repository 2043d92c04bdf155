"""What was done, by whom and why, and every sentence that was said with what it was decided from.

It is history: it survives the end of the process at any point, and the last seconds of it may go
with the machine's power. What must not go, the wishes themselves, is in ``intents``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row, Select, delete, func, select, update

from vast_pyworker.model import Intent

from . import schema
from .database import Database
from .remarks import Remarks

EVENTS_KEPT = 50_000
PRUNED_EVERY = 1_000
_EVENTS, _ACTIONS = schema.events, schema.actions


@dataclass(frozen=True)
class Event:
    """One sentence. ``inputs`` is what it was decided from, None for what is no decision."""

    id: int
    at: float
    group: str | None
    sentence: str
    inputs: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Deed:
    """One action. ``before`` and ``after`` are what its intent said; ``outcome`` is None until it
    is known; ``opening`` counts the openings of the ledger, so each controller has its own."""

    id: int
    opening: int
    kind: str
    group: str | None
    intent_id: str | None
    who: str
    reason: str
    began_at: float
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    outcome: str | None
    ended_at: float | None


class Journal:
    """Used from any thread. ``intent`` looks up one that is open."""

    def __init__(
        self, database: Database, opening: int, intent: Callable[[str], Intent | None]
    ) -> None:
        self._database = database
        self._opening = opening
        self._intent = intent
        self._under_way: dict[int, str] = {}
        self._latest: dict[str | None, Event | None] = {}
        self._remarks = Remarks()
        self._said = 0

    # --- actions ---

    def begin(
        self,
        kind: str,
        *,
        group: str | None,
        intent_id: str | None,
        who: str,
        reason: str,
        at: float,
    ) -> int:
        """An action that is about to be taken; the number to end it with."""
        row = {
            "opening": self._opening, "kind": kind, "group": group, "intent_id": intent_id,
            "who": who, "reason": reason, "began_at": at, "before": self._state_of(intent_id),
        }  # fmt: skip
        with self._database.lock:
            with self._database.write(durable=False) as transaction:
                number = transaction.insert(_ACTIONS, row)
            if intent_id is not None:
                self._under_way[number] = intent_id
        return number

    def end(self, action_id: int, outcome: str, at: float) -> None:
        """What came of it."""
        with self._database.lock:
            after = self._state_of(self._under_way.pop(action_id, None))
            with self._database.write(durable=False) as transaction:
                transaction.execute(
                    update(_ACTIONS)
                    .where(_ACTIONS.c.id == action_id)
                    .values(outcome=outcome, ended_at=at, after=after)
                )

    def unfinished(self) -> list[Deed]:
        """Actions of which nobody knows what came: a controller ended in the middle of them."""
        return self._deeds(select(_ACTIONS).where(_ACTIONS.c.ended_at.is_(None)))

    def actions(
        self, group: str | None = None, *, intent_id: str | None = None, limit: int = 50
    ) -> list[Deed]:
        """The newest first."""
        query = select(_ACTIONS).order_by(_ACTIONS.c.id.desc()).limit(limit)
        if group is not None:
            query = query.where(_ACTIONS.c.group == group)
        if intent_id is not None:
            query = query.where(_ACTIONS.c.intent_id == intent_id)
        return self._deeds(query)

    # --- sentences ---

    def say(
        self, at: float, group: str | None, sentence: str, inputs: Mapping[str, Any] | None = None
    ) -> bool:
        """Whether it is new. What says again what was said last is not written.

        With ``inputs`` it is a decision, and new where it differs from the group's last decision.
        Without it is a remark, and new unless it has been made again and again since.
        """
        with self._database.lock:
            if inputs is None:
                new = self._remarks.is_new(group, sentence, at)
            else:
                last = self.last(group)
                new = last is None or last.sentence != sentence
                if last is not None and not new:
                    self._latest[group] = replace(last, inputs=inputs)
            if new:
                self._write(at, group, sentence, inputs)
            return new

    def last(self, group: str | None) -> Event | None:
        """The group's last decision, with the inputs from which it was made last."""
        with self._database.lock:
            if group not in self._latest:
                query = self._of(group).where(_EVENTS.c.inputs.is_not(None)).limit(1)
                found = self._events(query)
                self._latest[group] = found[0] if found else None
            return self._latest[group]

    def decisions(self, group: str | None = None, limit: int = 50) -> list[Event]:
        """Sentences of one group, or of all, the newest first."""
        query = self._newest() if group is None else self._of(group)
        return self._events(query.limit(limit))

    def events(self, after_id: int = 0, limit: int = 200) -> list[Event]:
        """Sentences after the one with that id, the oldest first."""
        query = select(_EVENTS).where(_EVENTS.c.id > after_id).order_by(_EVENTS.c.id)
        return self._events(query.limit(limit))

    def newest_id(self) -> int:
        """Of the last sentence; 0 where there is none."""
        rows = self._database.read(select(func.max(_EVENTS.c.id)))
        return int(rows[0][0] or 0)

    def _write(
        self, at: float, group: str | None, sentence: str, inputs: Mapping[str, Any] | None
    ) -> None:
        row = {"at": at, "group": group, "sentence": sentence, "inputs": _dumped(inputs)}
        with self._database.write(durable=False) as transaction:
            number = transaction.insert(_EVENTS, row)
            if self._said % PRUNED_EVERY == 0:
                transaction.execute(delete(_EVENTS).where(_EVENTS.c.id <= number - EVENTS_KEPT))
        self._said += 1
        if inputs is not None:
            self._latest[group] = Event(number, at, group, sentence, inputs)
        else:
            self._remarks.made(group, sentence, at)

    def _state_of(self, intent_id: str | None) -> str | None:
        intent = None if intent_id is None else self._intent(intent_id)
        if intent is None:
            return None
        return _dumped(
            {
                "desired": str(intent.desired),
                "instance_id": intent.instance_id,
                "reason": intent.reason,
                "set_by": intent.set_by,
                "held": intent.held,
            }
        )

    def _newest(self) -> Select[Any]:
        return select(_EVENTS).order_by(_EVENTS.c.id.desc())

    def _of(self, group: str | None) -> Select[Any]:
        which = _EVENTS.c.group.is_(None) if group is None else _EVENTS.c.group == group
        return self._newest().where(which)

    def _events(self, query: Select[Any]) -> list[Event]:
        return [
            Event(**{**row._mapping, "inputs": _loaded(row.inputs)})
            for row in self._database.read(query)
        ]

    def _deeds(self, query: Select[Any]) -> list[Deed]:
        return [_deed(row) for row in self._database.read(query)]


def _deed(row: Row[Any]) -> Deed:
    parsed = {"before": _loaded(row.before), "after": _loaded(row.after)}
    return Deed(**{**row._mapping, **parsed})


def _dumped(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value, default=str)


def _loaded(text: str | None) -> Any:
    return None if text is None else json.loads(text)
