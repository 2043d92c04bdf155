"""More: first those that drain are taken back, then stopped ones started, then new ones rented.

Each rent is judged by the budget, and all by the pace. Where the launch failed on several hosts the
fault is in the template, and the line stands still.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vast_pyworker.model import Action, ActionKind, Bounds, Desired, Group, Member, Stage

from .aims import Aim
from .context import Context
from .deadlines import FAILED_HOSTS, STARTED
from .overdue import age, too_dear
from .pace import up_allowed, waits
from .roster import OWN_HAND, Roster, act, can_start


@dataclass(frozen=True)
class Steps:
    """Actions, and sentences on what was wanted and is not done."""

    actions: tuple[Action, ...] = ()
    held_back: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Gap:
    """How many are missing, those to serve before those to replace and those to stand by."""

    serve: int
    replace: int
    stand_by: int

    @property
    def count(self) -> int:
        return self.serve + self.replace + self.stand_by

    def reasons(self, aim: Aim) -> list[str]:
        return (
            [f"{aim.hot} wanted: {aim.reason}"] * self.serve
            + ["to replace one that is old or ends soon"] * self.replace
            + [f"to stand by, {aim.cold} cold wanted"] * self.stand_by
        )


def rise(group: Group, bounds: Bounds, aim: Aim, roster: Roster, context: Context) -> Steps:
    """What is to be added now."""
    have = len(roster.hot) + context.renting
    kept = _returning(roster, group, bounds, context.now)[: max(0, aim.running - have)]
    startable = [each for each in roster.cold if can_start(each, bounds.max_usd_per_hour)]
    startable = sorted(set_apart(startable, kept), key=_start_price)
    started = startable[: max(0, aim.running - have - len(kept))]
    gap = _gap(aim, have + len(kept) + len(started), _cold_left(roster, kept, started))
    below_min = max(0, min(bounds.min_instances, aim.hot) - have - len(kept))
    wanted = len(started) + gap.count
    allowed = up_allowed(group.pace, wanted, below_min, context.last_up_at, context.now)
    starts = [
        act(ActionKind.START, each, f"{STARTED}: {aim.hot} wanted") for each in started[:allowed]
    ]
    rents = _rents(group, bounds, gap.reasons(aim)[: allowed - len(starts)], context)
    keeps = [act(ActionKind.KEEP, each, f"{aim.hot} wanted again") for each in kept]
    slow = (waits(group.pace, "up", wanted - allowed),) if allowed < wanted else ()
    return Steps((*keeps, *starts, *rents.actions), slow + rents.held_back)


def set_apart(members: Sequence[Member], others: Sequence[Member]) -> list[Member]:
    """``members`` that are not among ``others``."""
    ids = {each.intent.id for each in others}
    return [each for each in members if each.intent.id not in ids]


def _gap(aim: Aim, hot: int, cold: int) -> _Gap:
    """Those beyond what is to run are on their way into the cold pool."""
    serve = max(0, aim.hot - hot)
    both = max(0, aim.running - hot)
    stand_by = max(0, aim.cold - cold - max(0, hot - aim.running))
    return _Gap(serve, both - serve, stand_by)


def _cold_left(roster: Roster, kept: Sequence[Member], started: Sequence[Member]) -> int:
    return len(set_apart(set_apart(roster.cold, kept), started))


def _start_price(member: Member) -> tuple[float, str]:
    return (member.usd_per_hour, member.intent.id)


def _returning(roster: Roster, group: Group, bounds: Bounds, now: float) -> list[Member]:
    """Those on their way out or to rest that may as well stay, the cheapest first."""
    found = [
        each
        for each in (*roster.leaving, *roster.cold)
        if _on_its_way(each)
        and _is_well(each, group)
        and not too_dear(each, bounds.max_usd_per_hour)
        and not age(each, group, now)
    ]
    return sorted(found, key=_start_price)


def _on_its_way(member: Member) -> bool:
    """Drained or stopped by a plan, not by a person, and not so far that it is lost."""
    resting = member.intent.desired is Desired.STOP and member.stage is Stage.STOPPING
    return (
        (member.stage is Stage.DRAINING or resting)
        and member.intent.set_by == OWN_HAND
        and not member.intent.held
    )


def _is_well(member: Member, group: Group) -> bool:
    silent_s, report = member.silent_s, member.report
    speaks = silent_s is not None and silent_s <= group.deadlines.lease_s
    return speaks and (report is None or not report.error_msg)


def _rents(group: Group, bounds: Bounds, reasons: Sequence[str], context: Context) -> Steps:
    if not reasons or context.renting:  # one order at a time
        return Steps()
    if context.paused:
        return Steps((), (f"{len(reasons)} not rented: {context.paused}",))
    if len(context.failed_hosts) >= FAILED_HOSTS:
        told = _line_stands(group, context)
        return Steps((Action(ActionKind.ALERT, group.name, told),), (told,))
    cap = bounds.max_usd_per_hour
    actions: list[Action] = []
    for reason in reasons:
        verdict = context.may_rent(cap, len(actions))
        if not verdict.allowed:
            said = verdict.sentence or "The budget allows no more."
            return Steps(tuple(actions), (said,))
        actions.append(Action(ActionKind.RENT, group.name, reason, usd_per_hour=cap))
    return Steps(tuple(actions))


def _line_stands(group: Group, context: Context) -> str:
    return (
        f"Nothing is rented: {group.name} did not become ready on {len(context.failed_hosts)} "
        "different hosts, so its template or launch is at fault; mend it."
    )
