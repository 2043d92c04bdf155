"""What becomes of the instances when the controller ends: left, stopped or destroyed, by group.

What is to end is a wish in the ledger first, drained, then told to the provider until it is so or
the time is over. What is not done by then stays a wish: the next start goes on with it, and until
then it is billed. Nothing is rented here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from vast_pyworker.errors import ProviderError
from vast_pyworker.model import Action, ActionKind, Desired, Intent, Member, OnShutdown, Stage

from . import labels, spending
from .api.parts import Parts
from .converging import Converging
from .executors import Executor
from .observing.members import Evidence, merge
from .observing.tracks import Track
from .publishing import places_of
from .traffic.ears import Ears

WHO = "shutdown"
_EVERY_S = 1.0
_KINDS = {OnShutdown.STOP: ActionKind.STOP, OnShutdown.DESTROY: ActionKind.DESTROY}
_WANTED = {OnShutdown.STOP: Desired.STOP, OnShutdown.DESTROY: Desired.DESTROY}


@dataclass(frozen=True)
class Deadline:
    """``total_s`` for all of it; requests have the first ``drain_share`` of that to finish."""

    total_s: float
    drain_share: float = 0.5


class Farewell:
    """``run`` is called when the loop ticks no more; ``hurry`` ends it at once."""

    def __init__(
        self,
        parts: Parts,
        ears: Ears,
        executor: Executor,
        *,
        token_of: Callable[[str], str],
        say: Callable[[str], None],
        hurry: threading.Event,
    ) -> None:
        self._parts = parts
        self._ears = ears
        self._token_of = token_of
        self._say = say
        self._hurry = hurry
        self._tracks: Mapping[str, Track] = {}
        self._converging = Converging(
            parts.provider, parts.ledger, executor, now=parts.now,
            deleted=lambda intents: None,
        )  # fmt: skip

    def run(self, deadline: Deadline) -> bool:
        """Whether all is as the groups want it at the end."""
        self._desire(deadline)
        left = self._leaving()
        until = self._parts.mono() + deadline.total_s
        said = -1
        while left and not self._hurry.is_set() and self._parts.mono() < until:
            if len(left) != said:
                said = len(left)
                self._say(f"{said} instances are to end before the controller does.")
            left = self._round()
            if left:
                self._hurry.wait(_EVERY_S)
        self._tell_end(left)
        return not left

    def _desire(self, deadline: Deadline) -> None:
        groups = self._parts.loop.wishes.groups
        for intent in self._parts.ledger.intents.open().values():
            group = groups.get(intent.group)
            kind = _KINDS.get(group.on_shutdown) if group else None
            if group is None or kind is None or intent.held or _is_so(intent, group.on_shutdown):
                continue
            drain_s = min(group.deadlines.drain_s, deadline.total_s * deadline.drain_share)
            action = Action(
                kind, intent.group, f"the controller ends, and on_shutdown is {group.on_shutdown}",
                intent.id, intent.instance_id,
            )  # fmt: skip
            self._parts.loop.doing.desire(action, drain_s=drain_s, who=WHO)

    def _leaving(self) -> list[Intent]:
        """Those that somebody wants to end, and of which it is not known that they have."""
        return [
            each for each in self._parts.ledger.intents.open().values()
            if each.desired is not Desired.RUN and not each.held and self._is_ours(each)
        ]  # fmt: skip

    def _is_ours(self, intent: Intent) -> bool:
        group = self._parts.loop.wishes.groups.get(intent.group)
        return group is not None and group.on_shutdown is not OnShutdown.LEAVE

    def _round(self) -> list[Intent]:
        """Look, tell, and look who is left."""
        now = self._parts.now()
        wishes = self._parts.loop.wishes
        try:
            listed = self._parts.provider.instances(labels.prefix_of(wishes.fleet))
        except ProviderError as exc:
            self._say(f"The provider could not be read, and is asked again: {exc}")
            return self._leaving()
        evidence = Evidence(
            instances={each.id: each for each in listed},
            heard=self._ears.hearings(self._parts.mono()),
            tracks=self._tracks,
            lease_s={name: group.deadlines.lease_s for name, group in wishes.groups.items()},
        )
        members, self._tracks = merge(self._parts.ledger.intents.open().values(), evidence, now)
        self._pay(members, now)
        self._ears.publish(places_of(members, wishes.groups, self._token_of))
        ours = [each for each in members if self._is_ours(each.intent)]
        for sentence in self._converging.run(ours):
            self._say(sentence)
        self._converging.look_for(ours, self._missed, lambda _: False)
        standing = {each.intent.id for each in ours if each.stage is Stage.COLD}
        return [each for each in self._leaving() if each.id not in standing]

    def _pay(self, members: Sequence[Member], now: float) -> None:
        spend = self._parts.ledger.spend
        since = spend.last_at()
        charges = spending.charges_between(members, now if since is None else since, now)
        spend.accrue(charges, now)

    def _missed(self, intent_id: str) -> int:
        track = self._tracks.get(intent_id)
        return track.missed if track else 0

    def _tell_end(self, left: Iterable[Intent]) -> None:
        names = [str(each.instance_id or each.id) for each in left]
        if names:
            self._say(
                f"{len(names)} instances have not ended, and are billed: {', '.join(names[:20])}. "
                "The next start of the controller goes on with them."
            )


def _is_so(intent: Intent, how: OnShutdown) -> bool:
    """One that is to be destroyed is not only stopped."""
    return intent.desired in (_WANTED[how], Desired.DESTROY)
