"""What goes wrong with the fake's calls, written down beforehand: how, how often, from when on.

Only says what; ``provider`` does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from vast_pyworker.errors import (
    AuthError,
    BadAnswer,
    InvalidRequest,
    NoCredit,
    OutcomeUnknown,
    ProviderError,
    ProviderUnreachable,
    RateLimited,
)

Call = Literal[
    "offers", "instances", "find", "show", "create", "start", "stop", "reboot", "destroy",
    "charges", "credit", "price_increases", "accept_price_increase", "reject_price_increase",
    "logs", "*",
]  # fmt: skip
MUTATING = frozenset((
    "create", "start", "stop", "reboot", "destroy", "accept_price_increase",
    "reject_price_increase",
))  # fmt: skip
_SENT_ONCE = ("create", "reboot", "accept_price_increase", "reject_price_increase")

How = Literal[
    "unreachable",  # nothing done, and certainly so
    "before_effect",  # nothing done, but the caller cannot know
    "after_effect",  # done, and the caller cannot know
    "ignored",  # accepted, and nothing done: start, stop, reboot, destroy
    "rate_limited",
    "auth",
    "no_credit",
    "invalid",
    "offer_gone",  # create: the offer is withdrawn
    "stopped",  # create: it exists and stands still
    "dearer",  # create: the price has risen by half since the offers were read
    "queued",  # start: another has its GPU
    "lost_page",  # instances, find: BadAnswer
    "duplicates",  # instances, find: every row twice
    "partial",  # instances, find: every second row is left out, against the contract
    "empty",  # instances, find, offers, charges: nothing, against the contract
]
Struck = How | ProviderError | None
_ONLY: dict[str, tuple[str, ...]] = {
    "ignored": ("start", "stop", "reboot", "destroy"),
    "offer_gone": ("create",),
    "stopped": ("create",),
    "dearer": ("create",),
    "queued": ("start",),
    "lost_page": ("instances", "find"),
    "duplicates": ("instances", "find"),
    "partial": ("instances", "find"),
    "empty": ("instances", "find", "offers", "charges"),
}


@dataclass
class _Fault:
    call: str
    how: How | ProviderError
    times: int | None
    skip: int

    def comes(self, call: str) -> bool:
        if self.call not in ("*", call) or not _fits(self.how, call):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Faults:
    """The faults in force. Each call draws the first that is for it."""

    def __init__(self) -> None:
        self._faults: list[_Fault] = []

    def add(self, call: Call, how: How | ProviderError, times: int | None, skip: int) -> None:
        """ValueError for what that call cannot suffer."""
        if call not in get_args(Call):
            raise ValueError(f"there is no call {call!r}; there are {', '.join(get_args(Call))}")
        if not isinstance(how, ProviderError) and how not in get_args(How):
            raise ValueError(f"{how!r} is no fault; there are {', '.join(get_args(How))}")
        if call != "*" and not _fits(how, call):
            raise ValueError(f"{call} cannot be {how}")
        self._faults.append(_Fault(call, how, times, skip))

    def clear(self, call: Call | None = None) -> None:
        self._faults = [each for each in self._faults if call not in (None, each.call)]

    def draw(self, call: str) -> Struck:
        if not self._faults:
            return None
        drawn = next((each for each in self._faults if each.comes(call)), None)
        if drawn is None:
            return None
        if drawn.times == 0:
            self._faults.remove(drawn)
        return drawn.how


def _fits(how: How | ProviderError, call: str) -> bool:
    return isinstance(how, ProviderError) or call in _ONLY.get(how, (call,))


def error_of(how: How | ProviderError, call: str, label: str | None) -> ProviderError | None:
    """What is raised for a fault; None for one that is done otherwise."""
    if isinstance(how, ProviderError):
        return how
    if how in ("before_effect", "after_effect"):
        return _broken_off(call, label)
    plain = _PLAIN.get(how)
    return plain[0](f"The fake was told that {call} {plain[1]}.", endpoint=call) if plain else None


def _broken_off(call: str, label: str | None) -> ProviderError:
    """As Vast's client ends: what may be repeated was, until it gave up."""
    if call in _SENT_ONCE:
        text = f"It is not known whether {call} was done; read what is there before trying again."
        return OutcomeUnknown(text, label=label, endpoint=call)
    return ProviderUnreachable(
        f"The fake's answer to {call} was cut off; try again.", endpoint=call
    )


_PLAIN: dict[str, tuple[type[ProviderError], str]] = {
    "unreachable": (ProviderUnreachable, "cannot be asked for"),
    "rate_limited": (RateLimited, "is asked for too often"),
    "auth": (AuthError, "is not allowed to this key"),
    "no_credit": (NoCredit, "lacks credit"),
    "invalid": (InvalidRequest, "has wrong arguments"),
    "lost_page": (BadAnswer, "lacks a page of its list"),
}
