"""A group's members, sorted by what is wanted of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vast_pyworker.model import Action, ActionKind, Deadlines, Desired, Member, Phase, Stage

NEVER_READY = (Stage.ORDERED, Stage.LOADING, Stage.STARTING, Stage.JOINING, Stage.WARMING)
OWN_HAND = "controller"  # who sets what a plan desires; what a person desired is not taken back
_MAY_SERVE = (Stage.READY, Stage.SUSPECT, Stage.DRAINING, Stage.JOINING, Stage.WARMING)
_READY = Stage.READY  # as an attribute of an Enum it is slow to read
_STARTABLE = (Phase.STOPPED, Phase.EXITED)


@dataclass(frozen=True)
class Roster:
    """Members by what is desired of them.

    ``hot`` run or will, ``cold`` stand still or will, ``leaving`` are to be destroyed.

    Those that leave are no capacity, though they cost until they are gone. ``hot`` holds what is
    missing from the list too, until it is proven gone.
    """

    hot: tuple[Member, ...] = ()
    cold: tuple[Member, ...] = ()
    leaving: tuple[Member, ...] = ()

    def without(self, gone: Iterable[Action]) -> Roster:
        """The roster as it is once these actions are done."""
        ids = {each.intent_id for each in gone if each.kind in _LEAVES}
        if not ids:
            return self
        return Roster(
            tuple(each for each in self.hot if each.intent.id not in ids),
            tuple(each for each in self.cold if each.intent.id not in ids),
            self.leaving + tuple(each for each in self._all if each.intent.id in ids),
        )

    @property
    def _all(self) -> tuple[Member, ...]:
        return self.hot + self.cold


_LEAVES = (ActionKind.DRAIN, ActionKind.DESTROY)


def roster_of(members: Sequence[Member]) -> Roster:
    """Sorted by what is desired of each; in the order of their ids, so that plans are stable."""
    ordered = sorted(members, key=lambda each: (each.intent.created_at, each.intent.id))

    def of(desired: Desired) -> tuple[Member, ...]:
        return tuple(each for each in ordered if each.intent.desired is desired)

    return Roster(of(Desired.RUN), of(Desired.STOP), of(Desired.DESTROY))


def is_ready(member: Member) -> bool:
    return member.stage is _READY


def first_start(member: Member, deadlines: Deadlines) -> bool:
    """Whether it has never served: nothing was ever measured of it, in its first start's time.

    One that is older may only be unheard by a controller that began anew.
    """
    first_s = deadlines.loading_s + deadlines.joining_s + deadlines.ready_s
    return member.perf is None and member.since - member.intent.created_at < first_s


def can_start(member: Member, cap_usd_per_hour: float) -> bool:
    """Whether a cold one may be told to start: it stands, nobody holds it, its price fits."""
    return (
        member.stage is Stage.COLD
        and member.instance is not None
        and member.instance.phase in _STARTABLE
        and not member.intent.held
        and member.usd_per_hour <= cap_usd_per_hour
    )


def act(kind: ActionKind, member: Member, reason: str) -> Action:
    """An action on one member."""
    instance = member.intent.instance_id
    return Action(
        kind, member.intent.group, reason, member.intent.id, instance, member.usd_per_hour
    )


def end(member: Member, reason: str) -> Action:
    """Have one gone: after its requests where it may have some, else at once.

    One that joins may serve already: it may be that only its reports have not come yet.
    """
    serves = member.stage in _MAY_SERVE
    return act(ActionKind.DRAIN if serves else ActionKind.DESTROY, member, reason)
