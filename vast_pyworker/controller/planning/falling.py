"""Fewer: those that may go are drained, stopped into the cold pool, or destroyed where they stand.

No more of those that serve go than are ready beyond what is wanted: nothing goes on the account of
what is missing, held or still loading.
"""

from __future__ import annotations

from collections.abc import Sequence

from vast_pyworker.model import Action, ActionKind, Bounds, Group, Stage

from .aims import Aim
from .context import Context
from .pace import down_allowed, waits
from .rising import Steps, set_apart
from .roster import Roster, act, end, is_ready
from .victims import farewell, resting, surplus_cold, victims
from .words import dollars

_MISSING = Stage.MISSING  # as an attribute of an Enum it is slow to read
_ADD = (ActionKind.KEEP, ActionKind.START, ActionKind.RENT)


def fall(
    group: Group,
    bounds: Bounds,
    aim: Aim,
    roster: Roster,
    context: Context,
    added: Sequence[Action],
) -> Steps:
    """What is to be taken away now; ``added`` is what is begun at the same time."""
    wanted = [*_hot(aim, roster), *_cold(aim, roster, context, added)]
    above_max = len(roster.hot) - bounds.max_instances
    allowed = down_allowed(group.pace, len(wanted), above_max, context.last_down_at, context.now)
    slow = (waits(group.pace, "down", len(wanted) - allowed),) if allowed < len(wanted) else ()
    return Steps(tuple(wanted[:allowed]), (*_held(context, roster), *slow))


def _held(context: Context, roster: Roster) -> tuple[str, ...]:
    """What a person holds is not ended when the money is, and a person has to know."""
    held = sum(each.intent.held for each in (*roster.hot, *roster.cold)) if context.spent else 0
    return (f"{held} held by a person, and billed on.",) if held else ()


def _hot(aim: Aim, roster: Roster) -> list[Action]:
    """As many as the cold pool still takes are stopped, when they are ready; the rest goes."""
    here = [each for each in roster.hot if each.stage is not _MISSING]
    surplus = max(0, len(here) - aim.running)
    room = max(0, aim.cold - len(roster.cold))
    spare = sum(map(is_ready, here)) - aim.hot
    going = victims(here, surplus - room, spare)
    staying = set_apart(here, going)
    spare -= sum(map(is_ready, going))
    stopped = resting(staying, min(surplus - len(going), room, spare))
    return [
        *(end(each, farewell(each)) for each in going),
        *(act(ActionKind.STOP, each, f"to stand by: {farewell(each)}") for each in stopped),
    ]


def _cold(aim: Aim, roster: Roster, context: Context, added: Sequence[Action]) -> list[Action]:
    """Not those that are started now, nor those that will be when the pace allows."""
    taken = {each.intent_id for each in added}
    left = [each for each in roster.cold if each.intent.id not in taken]
    coming = sum(each.kind in _ADD for each in added)
    lacking = max(0, aim.running - len(roster.hot) - context.renting - coming)
    return [
        act(ActionKind.DESTROY, each, f"cold, and not needed, {dollars(each.usd_per_hour)} running")
        for each in surplus_cold(left, len(left) - aim.cold - lacking)
    ]
