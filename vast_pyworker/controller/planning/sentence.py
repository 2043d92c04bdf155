"""The one sentence of a tick: what is wanted and why, what there is, what is done about it.

The same text is the operator's log and the tests' oracle. It changes only when its meaning does:
no ages and no clocks in it but where something is done, and loads are rounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from vast_pyworker.model import Action, ActionKind, Member, Plan, Stage

from .words import dollars, listed

_STAGES = (
    Stage.READY, Stage.WARMING, Stage.JOINING, Stage.STARTING, Stage.LOADING, Stage.ORDERED,
    Stage.SUSPECT, Stage.MISSING, Stage.DRAINING, Stage.STOPPING, Stage.COLD, Stage.DESTROYING,
)  # fmt: skip
_VERBS = {
    ActionKind.KEEP: "take back {} from draining",
    ActionKind.START: "start {}",
    ActionKind.RENT: "rent {}",
    ActionKind.REBOOT: "reboot {}",
    ActionKind.STOP: "stop {}",
    ActionKind.DRAIN: "drain {}",
    ActionKind.DESTROY: "destroy {}",
}
_REASONS_SHOWN = 2


def say(
    want: str,
    members: Sequence[Member],
    renting: int,
    actions: Sequence[Action],
    held_back: Sequence[str],
) -> str:
    """The sentence; ``want`` is its first part, as ``wanted`` makes it."""
    head = f"{want}, have {_have(members, renting)}: {_done(actions)}."
    return f"{head} Held back: {' '.join(map(_brief, held_back))}" if held_back else head


def wanted(hot: int, cold: int, reason: str) -> str:
    """``want 3 and 1 cold (load 240 units/s needs 2.7 at 70 %)``."""
    beside = f" and {cold} cold" if cold else ""
    return f"want {hot}{beside} ({reason})" if reason else f"want {hot}{beside}"


def printed(made: Plan) -> str:
    """A whole plan for a terminal: the sentence, then a line for each thing to do."""
    done = (each for each in made.actions if each.kind is not ActionKind.ALERT)
    return "\n".join([f"{made.group}: {made.sentence}", *map(_line, done)])


def _have(members: Sequence[Member], renting: int) -> str:
    counts = Counter([each.stage for each in members])
    parts = [f"{counts[each]} {each}" for each in _STAGES if each in counts]
    parts += [f"{renting} being rented"] if renting else []
    return ", ".join(parts) or "none"


def _brief(held_back: str) -> str:
    """Without the sums of money that follow and change by the minute; the plan keeps them."""
    return held_back.partition(": $")[0].rstrip(".") + "."


def _done(actions: Sequence[Action]) -> str:
    parts = [
        _part(kind, [each for each in actions if each.kind is kind])
        for kind in _VERBS
        if any(each.kind is kind for each in actions)
    ]
    return ", ".join(parts) or "nothing to do"


def _part(kind: ActionKind, actions: Sequence[Action]) -> str:
    told = _VERBS[kind].format(len(actions))
    if kind is ActionKind.RENT:
        return f"{told} (at most {dollars(actions[0].usd_per_hour)})"
    if kind is ActionKind.KEEP:
        return told
    if kind is ActionKind.START:
        return f"{told} ({_shortened(each.reason.partition(': ')[2] for each in actions)})"
    return f"{told} ({_shortened(each.reason for each in actions)})"


def _shortened(reasons: Iterable[str]) -> str:
    told = list(dict.fromkeys(reasons))
    more = len(told) - _REASONS_SHOWN
    return listed((*told[:_REASONS_SHOWN], f"and {more} more" if more > 0 else ""), "; ")


def _line(action: Action) -> str:
    known = action.instance_id is not None
    whom = f"instance {action.instance_id}" if known else action.intent_id or "one more"
    price = dollars(action.usd_per_hour)
    priced = whom if price in action.reason else f"{whom}, {price}"
    return f"  {str(action.kind).ljust(8)} {priced}: {action.reason}"
