"""The brake: when many members go bad at once, the fault is rarely theirs.

A broken network, provider or controller looks like the death of a fleet. While the brake is on,
nothing is rented, drained or destroyed, and nothing is taken for gone; a person is told. It comes
off by itself as the window passes, and what is bad still is then mended, a share at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

from vast_pyworker.model import Desired, Member, Stage

WINDOW_S = 300.0
ALWAYS_ALLOWED = 2
SHARE_ALLOWED = 0.2


def allowed_of(count: int) -> int:
    """How many of ``count`` members may be bad, or be mended, at a time."""
    return max(ALWAYS_ALLOWED, int(SHARE_ALLOWED * count))


def braked(members: Sequence[Member], now: float, gone: int = 0) -> str:
    """The sentence that says why nothing may be done; "" where the brake is off.

    ``gone`` counts those that went missing within the window and were proven gone since: they are
    no members any more, and went bad all the same.
    """
    leaving, bad = 0, gone
    for each in members:
        if each.intent.desired is _DESTROY:
            leaving += 1
        elif each.stage in _BAD and now - each.since < WINDOW_S:
            bad += 1
    count = len(members) - leaving + gone
    allowed = allowed_of(count)
    if bad <= allowed:
        return ""
    return (
        f"{bad} of {count} turned suspect or missing within {WINDOW_S:g} s, which is more "
        f"than {allowed}: nothing is rented, drained or destroyed; look at the provider and the "
        "network."
    )


_DESTROY = Desired.DESTROY  # as an attribute of an Enum it is slow to read
_BAD = (Stage.SUSPECT, Stage.MISSING)
