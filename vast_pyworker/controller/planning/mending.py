"""How fast what fails is mended: so many members at a time, and the others wait for their turn.

A reboot or an end takes a member away for good or for a while. Where hundreds turn bad and stay so
after the brake, they may still be well, and only the view of them may be broken: a group never
loses more within a window than the brake would let it. What never served is no loss when it ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vast_pyworker.model import Action, ActionKind, Deadlines, Desired, Member, Stage

from .brake import WINDOW_S, allowed_of
from .roster import first_start

_MENDS = (ActionKind.REBOOT, ActionKind.DESTROY)


@dataclass(frozen=True)
class Turns:
    """``now`` are the actions to take, ``mended`` the intents among them that are mended."""

    now: tuple[Action, ...]
    mended: tuple[str, ...] = ()
    held_back: tuple[str, ...] = ()


def in_turn(
    due: Sequence[Action],
    members: Sequence[Member],
    mended: Mapping[str, float],
    deadlines: Deadlines,
    now: float,
) -> Turns:
    """Those of ``due`` whose turn it is; ``mended`` tells when the mending of an intent began."""
    if not any(each.kind in _MENDS for each in due):
        return Turns(tuple(due))
    by_id = {each.intent.id: each for each in members}
    taken = _under_way(members, mended, now)
    staying = sum(each.intent.desired is not Desired.DESTROY for each in members)
    allowed = allowed_of(staying)
    chosen, begun, waiting = [], [], 0
    for action in due:
        key = action.intent_id
        if (
            key is not None
            and action.kind in _MENDS
            and not _is_no_loss(by_id[key], action, deadlines)
        ):
            if key not in taken and len(taken) >= allowed:
                waiting += 1
                continue
            taken.add(key)
            begun.append(key)
        chosen.append(action)
    return Turns(tuple(chosen), tuple(begun), (_waits(waiting, allowed),) if waiting else ())


def lately(mended: Mapping[str, float], now: float) -> dict[str, float]:
    """Those mended within the window."""
    return {key: at for key, at in mended.items() if now - at < WINDOW_S}


def _under_way(members: Sequence[Member], mended: Mapping[str, float], now: float) -> set[str]:
    """Those that take a turn: mended lately and not ready again, or rebooted and not ready yet."""
    taken = set(lately(mended, now))
    for each in members:
        if each.stage is Stage.READY:
            taken.discard(each.intent.id)
        elif each.reboots and each.intent.desired is Desired.RUN:
            taken.add(each.intent.id)
    return taken


def _is_no_loss(member: Member, action: Action, deadlines: Deadlines) -> bool:
    """The end of one that is in its first start, or was stopped and does not start."""
    if action.kind is not ActionKind.DESTROY or member.reboots or member.perf is not None:
        return False
    return first_start(member, deadlines) or member.stage is Stage.STARTING


def _waits(count: int, allowed: int) -> str:
    return (
        f"{count} more wait{'' if count > 1 else 's'} to be mended: at most {allowed} are rebooted "
        f"or replaced within {WINDOW_S:g} s."
    )
