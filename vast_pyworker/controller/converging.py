"""Makes what is wanted of each instance so: starts, stops, destroys, closes what is proven gone.

What goes missing while the brake is on is not looked for: a provider that answers with half a list
may answer a direct look as wrongly. What was proven gone counts for the brake as long as if it were
missing still.

Wishes are in the ledger; a call that fails is made again, later each time, until the provider
itself says that it is done. An instance counts, and costs, until then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from vast_pyworker.controller.executors import Executor
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.controller.planning.brake import WINDOW_S, braked
from vast_pyworker.controller.planning.deadlines import STARTED
from vast_pyworker.errors import ProviderError
from vast_pyworker.model import Desired, Intent, Member, Stage, Trouble
from vast_pyworker.providers.protocol import Provider

FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 300.0
ALERT_AFTER_S = 600.0
LISTS_TO_BE_GONE = 2
LOOKS_PER_TICK = 200
LOOKS_AT_ONCE = 4
_READY = Stage.READY  # as an attribute of an Enum it is slow to read
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
        deleted: Callable[[Sequence[Intent]], None],
        mono: Callable[[], float] | None = None,
    ) -> None:
        self._provider = provider
        self._ledger = ledger
        self._executor = executor
        self._now = now
        self._mono = mono or now
        self._deleted = deleted
        self._attempts: dict[str, Attempt] = {}
        self._looked: dict[str, float] = {}  # by ``mono``
        self._gone: dict[str, list[float]] = {}  # by group: when by ``mono`` they went missing

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
        everyone = list(members)
        absent = [
            each
            for each in everyone
            if each.instance is None
            and missed(each.intent.id) >= LISTS_TO_BE_GONE
            and self._may_be_gone(each)
            and not creating(each.intent.id)
        ]
        if not absent:
            return
        doubted = self._doubted(everyone, absent)
        absent = [
            each
            for each in absent
            if each.stage is not Stage.MISSING or each.intent.group not in doubted
        ]
        # Those looked at longest ago first, so that none keeps the others from their turn.
        absent.sort(key=lambda each: self._looked.get(each.intent.id, float("-inf")))
        mono = self._mono()
        chosen = absent[:LOOKS_PER_TICK]
        for lane in range(min(LOOKS_AT_ONCE, len(chosen))):
            mine = [
                (each.intent, mono - max(self._now() - each.since, 0.0))
                for each in chosen[lane::LOOKS_AT_ONCE]
            ]
            if self._executor.run(f"look {lane}", partial(self._look, mine)):
                self._looked.update({intent.id: mono for intent, _ in mine})

    def gone(self, group: str) -> int:
        """How many of a group went missing within the brake's window and were proven gone since,
        and not by us."""
        if group not in self._gone:
            return 0
        since = self._mono() - WINDOW_S
        return sum(at > since for at in tuple(self._gone[group]))

    def _doubted(self, everyone: Iterable[Member], absent: Iterable[Member]) -> set[str]:
        """Groups of which so many have gone missing that it is not believed."""
        groups = {each.intent.group for each in absent if each.stage is Stage.MISSING}
        own: dict[str, list[Member]] = {name: [] for name in groups}
        for each in everyone if groups else ():
            if each.intent.group in own:
                own[each.intent.group].append(each)
        now = self._now()
        return {name for name, group in own.items() if braked(group, now, self.gone(name))}

    def forget(self, opened: Iterable[str]) -> None:
        """Drop what is remembered of intents that are no longer open."""
        if not self._attempts and not self._looked:
            return
        alive = set(opened)
        self._attempts = {key: each for key, each in self._attempts.items() if key in alive}
        self._looked = {key: at for key, at in self._looked.items() if key in alive}

    def _call_for(self, member: Member) -> tuple[str, Callable[[int], None]] | None:
        if member.stage is _READY:
            return None
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

    def _look(self, absent: Sequence[tuple[Intent, float]]) -> None:
        """Look for each; those that are gone are closed together. Their moments are when they went
        missing."""
        by_us: list[str] = []
        lost: list[tuple[Intent, float]] = []
        try:
            for intent, since in absent:
                try:
                    if not self._is_gone(intent):
                        continue
                except ProviderError:
                    continue  # unknown: looked at again in a later tick
                if intent.desired is Desired.DESTROY or intent.instance_id is None:
                    by_us.append(intent.id)
                else:
                    lost.append((intent, since))
        finally:
            self._close(by_us, lost)

    def _close(self, by_us: Sequence[str], lost: Sequence[tuple[Intent, float]]) -> None:
        why = dict.fromkeys(by_us, "gone")
        why.update((intent.id, "gone, and not by us") for intent, _ in lost)
        if not why:
            return
        since = self._mono() - WINDOW_S
        for intent, at in lost:  # before they are closed, so that no tick counts them nowhere
            known = self._gone.get(intent.group, [])
            self._gone[intent.group] = [each for each in known if each > since] + [at]
        self._ledger.intents.close_all(why, self._now())
        if lost:
            self._deleted([intent for intent, _ in lost])

    def _is_gone(self, intent: Intent) -> bool:
        if intent.instance_id is None:
            return not self._provider.find(intent.label)
        return self._provider.show(intent.instance_id) is None
