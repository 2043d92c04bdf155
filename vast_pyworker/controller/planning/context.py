"""What a plan may know beside the group and its members. All of it is data; nothing acts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Verdict:
    """Whether money may be spent, and the sentence that says why not ("" where it may)."""

    allowed: bool
    sentence: str = ""


@dataclass(frozen=True)
class Context:
    """``renting`` counts rents of this group that are under way and have no intent yet;
    ``failed_hosts`` are the hosts on which the group's launch failed to become ready lately.
    ``may_rent`` judges one more instance at a price in dollars an hour; it is asked once for each,
    and remembers nothing: ``rents`` already planned are its second argument. ``shrunk`` counts
    those that another hand deleted and that the group's owner does not want replaced. ``gone`` are
    those proven gone that went missing lately; ``mended`` tells when an intent was last mended.
    """

    now: float
    may_rent: Callable[[float, int], Verdict]
    renting: int = 0
    paused: str = ""  # why nothing may be rented for this group ("" for no reason)
    last_up_at: float = 0.0
    last_down_at: float = 0.0
    failed_hosts: frozenset[int] = field(default_factory=frozenset)
    shrunk: int = 0
    spent: str = ""  # why all is ended now, whatever else is the matter ("" for no reason)
    gone: int = 0
    mended: Mapping[str, float] = field(default_factory=dict)
