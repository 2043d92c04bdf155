"""What people tell the controller to do: scale, drain, hold, release, drop.

A command is a wish like any other: written down with who gave it, never above ``[limits]``, and
carried out by the next tick. What a person holds is let go of first. Who may command is settled
before (``access``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import fmean
from typing import Any

from vast_pyworker.controller.deciding import by_group
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.controller.loop import Loop
from vast_pyworker.controller.remembering import forget_deleted
from vast_pyworker.controller.spending import budget_of
from vast_pyworker.errors import Refused
from vast_pyworker.model import Action, ActionKind, Desired, Group, Intent, Member

from .desk import Desk
from .overlay import Overlay

DROPPED_WEIGHT = 1.0


class NotThere(Refused):
    """404: there is no such group or instance."""

    status = 404


class NotNow(Refused):
    """409: as things stand it is not done."""

    status = 409


class OverLimits(NotNow):
    """409: it would go above ``[limits]``; the body says so with ``limits``."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, body={"error": sentence, "refused_by": "limits"})


class Commands:
    """Used from any thread. ``wake`` asks for a tick soon."""

    def __init__(
        self,
        loop: Loop,
        desk: Desk,
        ledger: Ledger,
        *,
        wake: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        self._loop = loop
        self._desk = desk
        self._ledger = ledger
        self._wake = wake
        self._now = now

    def scale(self, name: str, count: int | None, who: str) -> dict[str, Any]:
        """Hold a group at ``count`` instances; None gives it back to its policy."""
        group = self._group(name)
        if count is not None:
            self._check_room(group, count)
        sentence = (
            f"Group {name} is given back to its policy by {who}."
            if count is None
            else f"Group {name} is held at {count} by {who}."
        )
        self._edit("scale", name, sentence, who, lambda overlay: _pinned(overlay, name, count))
        forget_deleted(group, self._ledger)
        return {"group": name, "pinned": count, "said": sentence}

    def renew(self, name: str, who: str, *, cancel: bool = False) -> int:
        """Replace each member of a group by a new one, one after another; how many there are."""
        self._group(name)
        sentence = (
            f"Group {name} is no longer renewed, says {who}."
            if cancel
            else f"Group {name} is renewed, one instance after another, says {who}."
        )
        at = self._now()
        self._edit("renew", name, sentence, who, lambda old: _renewed(old, name, at, cancel))
        return len(by_group(self._loop.fleet.members).get(name, ()))

    def empty(self, name: str, who: str) -> int:
        """End a group: all of it is drained; how many members that are."""
        self._group(name)
        sentence = f"Group {name} is drained and ends, says {who}."
        self._edit(
            "empty", name, sentence, who,
            lambda old: replace(_pinned(old, name, None), emptied=old.emptied | {name}),
        )  # fmt: skip
        return len(by_group(self._loop.fleet.members).get(name, ()))

    def drain(self, ident: str, who: str, seconds: float | None = None) -> dict[str, Any]:
        """No new requests, the ones it has are finished (within ``seconds``, the group's deadline
        otherwise), then it is destroyed."""
        intent = self._free(ident)
        group = self._loop.wishes.groups.get(intent.group)
        known = group.deadlines.drain_s if group else 0.0
        drain_s = known if seconds is None else seconds
        self._end(intent, ActionKind.DRAIN, who, f"drained by {who}", drain_s)
        return _told(intent, f"Instance {_name(intent)} is drained, then destroyed.")

    def drop(self, ident: str, who: str, reason: str = "") -> dict[str, Any]:
        """Destroy it now, and remember its machine as one to avoid."""
        intent = self._free(ident)
        why = f"dropped by {who}" + (f": {reason}" if reason else "")
        self._end(intent, ActionKind.DESTROY, who, why, 0.0)
        if intent.machine_id is not None and intent.host_id is not None:
            self._ledger.reputation.strike(
                machine_id=intent.machine_id, host_id=intent.host_id, weight=DROPPED_WEIGHT,
                at=self._now(), why=why,
            )  # fmt: skip
        return _told(intent, f"Instance {_name(intent)} is destroyed.")

    def hold(self, ident: str, who: str, held: bool) -> dict[str, Any]:
        """Have nothing done to it until it is released."""
        intent, verb = self.find(ident), "hold" if held else "release"
        at = self._now()
        row = self._ledger.journal.begin(
            verb, group=intent.group, intent_id=intent.id, who=who, reason=f"{verb} by {who}", at=at
        )
        self._ledger.intents.change(intent.id, held=held)
        self._ledger.journal.end(row, "done", at)
        done = "is held: nothing is done to it until it is released" if held else "is released"
        sentence = f"Instance {_name(intent)} {done}, says {who}."
        self._ledger.journal.say(at, intent.group, sentence)
        self._wake()
        return _told(intent, sentence)

    def find(self, ident: str) -> Intent:
        """The open intent of an instance; NotThere (404) where there is none."""
        found = self.look(ident)
        if found is None:
            raise NotThere(f"There is no instance {ident[:64]} of this fleet.")
        return found

    def look(self, ident: str) -> Intent | None:
        """The open intent of an instance, by the instance's number or by its own id."""
        opened = self._ledger.intents.open()
        if not (ident.isascii() and ident.isdigit() and len(ident) < 19):
            return opened.get(ident)
        number = int(ident)
        return next((each for each in opened.values() if each.instance_id == number), None)

    # --- within ---

    def _group(self, name: str) -> Group:
        found = self._desk.wishes().groups.get(name)
        if found is None:
            known = ", ".join(self._desk.wishes().groups) or "none"
            raise NotThere(f"There is no group {name[:64]}; there are: {known}.")
        return found

    def _free(self, ident: str) -> Intent:
        intent = self.find(ident)
        if intent.held:
            raise NotNow(f"Instance {_name(intent)} is held by a person; release it first.")
        return intent

    def _check_room(self, group: Group, count: int) -> None:
        """OverLimits where that many cannot be paid for as things stand."""
        limits = self._desk.file.limits
        if count > limits.instances:
            raise OverLimits(
                f"{count} instances are more than limits.instances allows: {limits.instances}."
            )
        opened = self._ledger.intents.open()
        have = sum(each.group == group.name and _stays(each) for each in opened.values())
        if count <= have:
            return
        budget = budget_of(limits, opened.values(), self._ledger.spend, self._now())
        price = _likely_price(group, self._loop.fleet.members)
        verdict = budget.verdict(price, count - have - 1)
        if not verdict.allowed:
            raise OverLimits(f"{count} instances of {group.name} are too many: {verdict.sentence}")

    def _edit(
        self,
        verb: str,
        name: str,
        sentence: str,
        who: str,
        change: Callable[[Overlay], Overlay],
    ) -> None:
        at = self._now()
        row = self._ledger.journal.begin(
            verb, group=name, intent_id=None, who=who, reason=sentence, at=at
        )
        self._desk.edit(change)
        self._ledger.journal.end(row, "done", at)
        self._ledger.journal.say(at, name, sentence)
        self._wake()

    def _end(self, intent: Intent, kind: ActionKind, who: str, why: str, drain_s: float) -> None:
        action = Action(kind, intent.group, why, intent.id, intent.instance_id)
        self._loop.doing.desire(action, drain_s=drain_s, who=who)
        self._ledger.journal.say(
            self._now(), intent.group, f"Instance {_name(intent)} is {why}."
        )  # fmt: skip
        self._wake()


def _likely_price(group: Group, members: tuple[Member, ...]) -> float:
    """What one more will cost: as those there are, or the most that the group allows."""
    known = [each.usd_per_hour for each in members if each.intent.group == group.name]
    return min(fmean(known), group.max_usd_per_hour) if known else group.max_usd_per_hour


def _stays(intent: Intent) -> bool:
    return intent.desired is not Desired.DESTROY


def _name(intent: Intent) -> str:
    return str(intent.instance_id or intent.id)


def _told(intent: Intent, sentence: str) -> dict[str, Any]:
    return {
        "id": intent.instance_id, "intent": intent.id, "group": intent.group, "said": sentence,
    }  # fmt: skip


def _pinned(overlay: Overlay, name: str, count: int | None) -> Overlay:
    others = {each: n for each, n in overlay.pins.items() if each != name}
    pins = others if count is None else {**others, name: count}
    return replace(overlay, pins=pins, emptied=overlay.emptied - {name})


def _renewed(overlay: Overlay, name: str, at: float, cancel: bool) -> Overlay:
    others = {each: since for each, since in overlay.renewed.items() if each != name}
    return replace(overlay, renewed=others if cancel else {**others, name: at})
