"""Makes what is wanted of each instance so: starts, stops, destroys, closes what is proven gone.

Wishes are in the ledger; a call that fails is made again, later each time, until the provider
itself says that it is done. An instance counts, and costs, until then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

from vast_pyworker.controller.executors import Executor
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.controller.planning.deadlines import STARTED
from vast_pyworker.errors import ProviderError
from vast_pyworker.model import Desired, Intent, Member, Stage, Trouble
from vast_pyworker.providers.protocol import Provider

FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 300.0
ALERT_AFTER_S = 600.0
LISTS_TO_BE_GONE = 2
SETTLED_AFTER_S = 60.0  # a create whose outcome is unknown shows in lists within this time


@dataclass(frozen=True)
class Attempt:
    """How often a call was made for an intent, and when it may be made again, by ``mono``."""

    verb: str
    count: int
    first_at: float
    again_at: float


class Converging:
    """Used from the loop's thread; the calls run on the executor. ``deleted`` hears of instances
    that another hand has ended. ``mono`` is a clock that never jumps (None: ``now`` is one)."""

    def __init__(
        self,
        provider: Provider,
        ledger: Ledger,
        executor: Executor,
        *,
        now: Callable[[], float],
        deleted: Callable[[Intent], None],
        mono: Callable[[], float] | None = None,
    ) -> None:
        self._provider = provider
        self._ledger = ledger
        self._executor = executor
        self._now = now
        self._mono = mono or now
        self._deleted = deleted
        self._attempts: dict[str, Attempt] = {}

    def run(self, members: Iterable[Member]) -> list[str]:
        """Start, stop and destroy what is to be; sentences on what goes wrong. Those held are
        left."""
        said = []
        for member in members:
            touchable = member.instance is not None and not member.intent.held
            call = self._call_for(member) if touchable else None
            if call is not None:
                said += self._make(member, *call)
            elif self._attempts:
                self._attempts.pop(member.intent.id, None)
        return said

    def look_for(
        self,
        members: Iterable[Member],
        missed: Callable[[str], int],
        creating: Callable[[str], bool],
    ) -> None:
        """Prove that what is no longer listed is gone, by a direct look, and close its intent.

        ``missed`` tells in how many complete lists in a row an intent's instance was not seen,
        ``creating`` whether its create is under way, or ended too lately to show in lists.
        """
        for member in members:
            intent = member.intent
            if member.instance is not None or missed(intent.id) < LISTS_TO_BE_GONE:
                continue
            if self._may_be_gone(member) and not creating(intent.id):
                self._executor.run(intent.id, partial(self._look, intent))

    def forget(self, opened: Iterable[str]) -> None:
        """Drop what is remembered of intents that are no longer open."""
        alive = set(opened)
        self._attempts = {key: each for key, each in self._attempts.items() if key in alive}

    def _call_for(self, member: Member) -> tuple[str, Callable[[int], None]] | None:
        if member.stage is Stage.DESTROYING:
            return "destroy", self._provider.destroy
        if member.stage is Stage.STOPPING:
            return "stop", self._provider.stop
        if member.trouble is Trouble.STOPPED and member.intent.reason.startswith(STARTED):
            return "start", self._provider.start  # the call did not come through
        return None

    def _make(self, member: Member, verb: str, call: Callable[[int], None]) -> list[str]:
        intent, mono = member.intent, self._mono()
        attempt = self._attempts.get(intent.id)
        if attempt is None or attempt.verb != verb:
            attempt = Attempt(verb, 0, mono, mono)
        if mono < attempt.again_at:
            return []
        if not self._executor.run(intent.id, partial(self._do, member, verb, call)):
            return []
        wait_s = min(FIRST_WAIT_S * 2**attempt.count, LONGEST_WAIT_S)
        self._attempts[intent.id] = replace(
            attempt, count=attempt.count + 1, again_at=mono + wait_s
        )
        if mono - attempt.first_at < ALERT_AFTER_S:
            return []
        minutes = (mono - attempt.first_at) / 60
        return [
            f"Instance {intent.instance_id} of {intent.group} is still there, and billed, "
            f"{minutes:.0f} minutes after it was first told to {verb}; "
            "look at it in the provider's console."
        ]

    def _do(self, member: Member, verb: str, call: Callable[[int], None]) -> None:
        intent = member.intent
        assert intent.instance_id is not None
        row = self._ledger.journal.begin(
            verb, group=intent.group, intent_id=intent.id, who=intent.set_by, reason=intent.reason,
            at=self._now(),
        )  # fmt: skip
        try:
            call(intent.instance_id)
        except ProviderError as exc:
            self._ledger.journal.end(row, str(exc), self._now())
        else:
            self._ledger.journal.end(row, "accepted", self._now())

    def _may_be_gone(self, member: Member) -> bool:
        """Not one that is so new, or that we know of for so short a time, that lists may lag."""
        if member.intent.instance_id is None:
            return self._now() - member.since >= SETTLED_AFTER_S
        return member.stage is not Stage.ORDERED

    def _look(self, intent: Intent) -> None:
        try:
            gone = self._is_gone(intent)
        except ProviderError:
            return  # unknown: looked at again in the next tick
        if not gone:
            return
        by_us = intent.desired is Desired.DESTROY or intent.instance_id is None
        why = "gone" if by_us else "gone, and not by us"
        self._ledger.intents.close(intent.id, self._now(), why)
        if not by_us:
            self._deleted(intent)

    def _is_gone(self, intent: Intent) -> bool:
        if intent.instance_id is None:
            return not self._provider.find(intent.label)
        return self._provider.show(intent.instance_id) is None
