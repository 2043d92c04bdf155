"""One state out of the four that an instance reports, with the reason in words. Pure.

``intended_status`` is what the contract wants, ``cur_state`` where the contract is,
``next_state`` where it is being moved, ``actual_status`` what the container last reported. They
disagree while things move and lag behind each other, so no answer here rests on one of them.

What it does not: decide what to do, or for how long a state may last. A stop by hand and an outbid
look the same in a row: only who keeps the wish can tell, so ``intended`` is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal, Protocol

Wish = Literal["running", "stopped"]


class Phase(str, Enum):
    """What an instance is doing, as one word."""

    CREATING = "creating"  # rented; no container is known yet
    LOADING = "loading"  # the image is pulled or unpacked
    RUNNING = "running"
    REBOOTING = "rebooting"
    FROZEN = "frozen"  # paused with its GPU, which is billed
    STOPPING = "stopping"
    STOPPED = "stopped"  # the disk is billed
    OUTBID = "outbid"  # as stopped; resumes by itself when its bid is the highest again
    SCHEDULING = "scheduling"  # a start is queued: it may come, and be billed, hours later
    EXITED = "exited"  # the container ended by itself; the contract goes on, and its bill
    FAILED = "failed"  # the container cannot be made on this machine
    EXPIRED = "expired"  # the contract has ended: it cannot be started, and will be deleted
    OFFLINE = "offline"  # the machine has lost contact; it may come back by itself
    UNKNOWN = "unknown"  # no recent word, or too few fields to tell

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class InstanceState:
    """``phase`` and the ``reason`` for it, a clause without a full stop."""

    phase: Phase
    reason: str

    def __str__(self) -> str:
        return f"{self.phase} ({self.reason})"


class Reported(Protocol):
    """What is read of an instance; ``records.Instance`` has it."""

    @property
    def actual_status(self) -> str | None: ...
    @property
    def intended_status(self) -> str | None: ...
    @property
    def cur_state(self) -> str | None: ...
    @property
    def next_state(self) -> str | None: ...
    @property
    def status_msg(self) -> str | None: ...
    @property
    def is_bid(self) -> bool | None: ...
    @property
    def min_bid_usd_per_hour(self) -> float | None: ...
    @property
    def gpu_usd_per_hour(self) -> float | None: ...
    @property
    def ends_at(self) -> float | None: ...


_DOWN = ("stopped", "exited")
_NOT_YET = (None, "", "created", "loading")
_OCI = "oci runtime create failed"
# What the daemon writes into status_msg when a container will never be.
_FATAL = (
    _OCI,
    "error response from daemon",
    "pull access denied",
    "manifest unknown",
    "no space left on device",
)


def derive(row: Reported, *, intended: Wish | None = None, now: float) -> InstanceState:
    """``intended`` is what the caller wants of it, None where nobody knows; ``now`` Unix time."""
    return (
        _ended(row, now)
        or _out_of_reach(row)
        or _cannot_run(row)
        or _at_rest(row, intended)
        or _by_contract(row, intended)
        or InstanceState(Phase.UNKNOWN, _fields(row))
    )


def _ended(row: Reported, now: float) -> InstanceState | None:
    if row.ends_at is None or now < row.ends_at:
        return None
    if row.actual_status == "running" and row.cur_state == "running":
        return None  # still there: the clocks differ, or the contract was prolonged
    return InstanceState(Phase.EXPIRED, "its contract has ended")


def _out_of_reach(row: Reported) -> InstanceState | None:
    if row.actual_status == "offline":
        return InstanceState(Phase.OFFLINE, "its machine has lost contact")
    if row.actual_status == "unknown":
        return InstanceState(Phase.UNKNOWN, "its machine has not reported of late")
    return None


def _cannot_run(row: Reported) -> InstanceState | None:
    message = (row.status_msg or "").lower()
    never = any(each in message for each in _FATAL) if row.actual_status in _NOT_YET else False
    if never or (row.actual_status == "exited" and _OCI in message):
        return InstanceState(Phase.FAILED, _one_line(row.status_msg or ""))
    return None


def _at_rest(row: Reported, intended: Wish | None) -> InstanceState | None:
    """The contract is stopped and nobody at the provider moves it."""
    states = (row.intended_status, row.cur_state, row.next_state)
    if states == ("stopped", "stopped", "stopped"):
        if row.actual_status in ("running", "frozen", "rebooting"):
            return InstanceState(Phase.STOPPING, "the contract is stopped, the container not yet")
        return _stopped(row, intended)
    if row.intended_status == "stopped" and row.actual_status in _DOWN:
        return _stopped(row, intended)
    return None


def _stopped(row: Reported, intended: Wish | None) -> InstanceState:
    if intended == "stopped":
        return InstanceState(Phase.STOPPED, "as wanted")
    if row.is_bid and (intended == "running" or _underbid(row)):
        return InstanceState(Phase.OUTBID, _bid_reason(row))
    if intended == "running":
        return InstanceState(Phase.STOPPED, "though wanted running: by hand or for lack of credit")
    if row.is_bid:
        return InstanceState(Phase.STOPPED, "by hand or outbid, which a row does not tell")
    return InstanceState(Phase.STOPPED, "the contract is stopped")


def _by_contract(row: Reported, intended: Wish | None) -> InstanceState | None:
    if row.intended_status == "running":
        return _meant_to_run(row, intended)
    if row.intended_status == "stopped":
        return InstanceState(Phase.STOPPING, _fields(row))
    if row.intended_status == "frozen" or row.actual_status == "frozen":
        return InstanceState(Phase.FROZEN, "paused; its GPU is billed")
    if row.actual_status == "running" and "running" in (row.cur_state, intended):
        return InstanceState(Phase.RUNNING, "the container runs")
    return None


def _meant_to_run(row: Reported, intended: Wish | None) -> InstanceState | None:
    actual, moving = row.actual_status, row.next_state
    if actual in _DOWN:
        return _down_but_meant_to_run(row, intended)
    if actual == "running":
        if row.cur_state == moving == "stopped":
            return InstanceState(Phase.STOPPING, "the contract is stopped, the container not yet")
        return InstanceState(Phase.RUNNING, "the container runs")
    if actual == "loading":
        return InstanceState(Phase.LOADING, _one_line(row.status_msg or "its image is loaded"))
    if actual == "created":
        return InstanceState(Phase.CREATING, "its container is made and not started")
    if not actual:
        return InstanceState(Phase.CREATING, "no container has been reported yet")
    if actual == "rebooting":
        return InstanceState(Phase.REBOOTING, "the container is restarted")
    return InstanceState(Phase.FROZEN, "paused; its GPU is billed") if actual == "frozen" else None


def _down_but_meant_to_run(row: Reported, intended: Wish | None) -> InstanceState:
    if row.cur_state == "running":
        return InstanceState(Phase.EXITED, _one_line(row.status_msg or "the container ended"))
    if row.is_bid and intended != "stopped" and (_underbid(row) or row.next_state != "running"):
        return InstanceState(Phase.OUTBID, _bid_reason(row))
    if row.cur_state is None:
        return InstanceState(Phase.UNKNOWN, _fields(row))
    return InstanceState(Phase.SCHEDULING, "a start is queued until its machine has room")


def _underbid(row: Reported) -> bool:
    asked, bid = row.min_bid_usd_per_hour, row.gpu_usd_per_hour
    return asked is not None and bid is not None and asked > bid


def _bid_reason(row: Reported) -> str:
    if _underbid(row):
        return f"{row.min_bid_usd_per_hour:g} $/h is asked, {row.gpu_usd_per_hour:g} $/h is bid"
    return "another bid or an on-demand rental has its machine"


def _fields(row: Reported) -> str:
    return (
        f"intended_status {row.intended_status}, cur_state {row.cur_state}, "
        f"next_state {row.next_state}, actual_status {row.actual_status}"
    )


def _one_line(message: str) -> str:
    return " ".join(message.split())[:200]
