"""The brake: when many members go bad at once, the fault is rarely theirs.

A broken network, provider or controller looks like the death of a fleet. While the brake is on,
nothing is rented, drained or destroyed; a person is told. It comes off by itself as the window
passes, and what is bad still is then dealt with one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

from vast_pyworker.model import Desired, Member, Stage

WINDOW_S = 300.0
ALWAYS_ALLOWED = 2
SHARE_ALLOWED = 0.2


def braked(members: Sequence[Member], now: float) -> str:
    """The sentence that says why nothing may be done; "" where the brake is off."""
    counted = [each for each in members if each.intent.desired is not Desired.DESTROY]
    bad = sum(_turned_bad(each, now) for each in counted)
    allowed = max(ALWAYS_ALLOWED, int(SHARE_ALLOWED * len(counted)))
    if bad <= allowed:
        return ""
    return (
        f"{bad} of {len(counted)} turned suspect or missing within {WINDOW_S:g} s, which is more "
        f"than {allowed}: nothing is rented, drained or destroyed; look at the provider and the "
        "network."
    )


def _turned_bad(member: Member, now: float) -> bool:
    return member.stage in (Stage.SUSPECT, Stage.MISSING) and now - member.since < WINDOW_S
