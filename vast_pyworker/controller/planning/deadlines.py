"""Which member is late or in trouble, and what follows: wait, reboot once, start again, replace.

To replace is to destroy; the plan rents the successor. Nothing here looks at what is wanted. Times
are those of the group, and where it has none those below.
"""

from __future__ import annotations

from collections.abc import Iterable

from vast_pyworker.model import (
    Action,
    ActionKind,
    Deadlines,
    Group,
    Intent,
    Member,
    Phase,
    Stage,
    Trouble,
)

from .roster import act, first_start
from .words import span

UNREACHED_S = 30.0  # silent, and nothing answers at its address
UNPROBED_S = 120.0  # silent, and nobody could look
REACHED_S = 300.0  # silent, and something answers: perhaps only its reports are lost
ERROR_S = 120.0  # in error by its own word: its supervisor restarts the model first
DOUBTED_S = 900.0  # the provider does not know it, or calls one offline that reports
RELAPSE_S = 3600.0  # stopped again so soon after it was told to start: another is better
OBJECTED_S = 20.0  # what the provider says has ended has spoken since, or would have by now
FAILED_HOSTS = 3  # a launch that failed on so many different hosts fails everywhere
FRESH_FAILURE_S = 3600.0  # after the last failure; then it is tried again
STARTED = "started"  # how the reason of every start begins; it is kept with the intent
STRIKE = "a strike against its machine"

_READY = Stage.READY  # as an attribute of an Enum it is slow to read
_REBOOTED_FIRST = (Trouble.SILENT, Trouble.ERROR, Trouble.EXITED)
_NEVER_READY = (Stage.LOADING, Stage.JOINING, Stage.WARMING, Stage.STARTING, Stage.SUSPECT)
_OVER = (Trouble.FAILED, Trouble.EXPIRED)
_STRIKES = (*_REBOOTED_FIRST, Trouble.FAILED, Trouble.OFFLINE)


def successor_s(deadlines: Deadlines) -> float:
    """How long before its end a member has to be replaced: what a slow successor may take."""
    return deadlines.loading_s + deadlines.joining_s + deadlines.ready_s + deadlines.drain_s


def is_strike(action: Action) -> bool:
    """Whether the end of this member is to be remembered against its machine and host."""
    return action.kind is ActionKind.DESTROY and action.reason.endswith(STRIKE)


def never_ready(member: Member, deadlines: Deadlines) -> bool:
    """Whether the launch itself may be at fault: it has never served."""
    return member.stage in _NEVER_READY and first_start(member, deadlines)


def remembered_s(deadlines: Deadlines) -> float:
    """For how long failures of a launch count together: as many as stop the line, one after
    another, take so long."""
    start_s = deadlines.loading_s + deadlines.joining_s + deadlines.ready_s
    return FAILED_HOSTS * start_s + FRESH_FAILURE_S


def failed_hosts(
    actions: Iterable[Action], members: Iterable[Member], deadlines: Deadlines
) -> frozenset[int]:
    """Hosts on which these ends show that the group's launch did not become ready."""
    struck = {each.intent_id for each in actions if is_strike(each)}
    guilty = (each for each in members if each.intent.id in struck and never_ready(each, deadlines))
    return frozenset(each.intent.host_id for each in guilty if each.intent.host_id is not None)


def due(member: Member, group: Group, now: float) -> Action | None:
    """What is to be done about a member that is to run, for its state alone; None: nothing yet."""
    if member.stage is _READY:
        return None
    if member.stage is not Stage.SUSPECT:
        return _late(member, group.deadlines, now)
    if member.trouble in _OVER and now - member.since >= _patience_s(member, group.deadlines, now):
        return _replace(member, f"{member.trouble}, and will not run again")
    if member.trouble is Trouble.STOPPED:
        return _stopped(member, group.deadlines, now)
    if member.trouble in _REBOOTED_FIRST and member.intent.instance_id is not None:
        return _rebooted_first(member, group.deadlines, now)
    age_s = now - member.since
    if age_s < _patience_s(member, group.deadlines, now):
        return None
    return _replace(member, f"{member.trouble or 'suspect'} for {span(age_s)}")


def due_cold(member: Member, group: Group, now: float) -> Action | None:
    """What is to be done about a member that is to stand still."""
    if member.instance is None or member.stage is not Stage.COLD:
        return None
    if member.instance.phase in (Phase.FAILED, Phase.EXPIRED):
        return act(ActionKind.DESTROY, member, f"{member.instance.phase}, and will not run again")
    age_s, ttl_s = now - member.intent.desired_at, group.stopped_ttl_s
    if ttl_s is not None and age_s >= ttl_s:
        reason = f"stopped for {span(age_s)}, {span(ttl_s)} allowed"
        return act(ActionKind.DESTROY, member, reason)
    return None


def _late(member: Member, deadlines: Deadlines, now: float) -> Action | None:
    allowed_s = {
        Stage.LOADING: deadlines.loading_s,
        Stage.JOINING: deadlines.joining_s,
        Stage.WARMING: deadlines.ready_s,
        Stage.STARTING: deadlines.starting_s,
    }.get(member.stage)
    age_s = now - member.since
    if allowed_s is None or age_s < allowed_s:
        return None
    return _end(member, f"{member.stage} for {span(age_s)}, {span(allowed_s)} allowed; {STRIKE}")


def _rebooted_first(member: Member, deadlines: Deadlines, now: float) -> Action | None:
    age_s = now - member.since
    if member.reboots:
        late = now >= _given_up_at(member, deadlines, now)
        return _replace(member, _complaint(member, "also after a reboot")) if late else None
    if age_s < _patience_s(member, deadlines, now):
        return None
    return act(ActionKind.REBOOT, member, _complaint(member, f"for {span(age_s)}"))


def _given_up_at(member: Member, deadlines: Deadlines, now: float) -> float:
    """When a reboot has not helped: it is back in trouble, or was never out of it."""
    if 0.0 < member.told_at < member.since:
        back_at = member.since + _patience_s(member, deadlines, now)
        return max(back_at, member.told_at + deadlines.starting_s)
    return max(member.since, member.told_at) + deadlines.starting_s + deadlines.joining_s


def _stopped(member: Member, deadlines: Deadlines, now: float) -> Action | None:
    """Another hand stopped it, or it did not start when it was told to."""
    told_s = now - member.intent.desired_at
    if member.intent.instance_id is None or not _was_told(member.intent):
        told_s = RELAPSE_S
    if 0 <= told_s < deadlines.starting_s:
        return None
    if 0 <= told_s < RELAPSE_S:
        return _replace(member, f"stands still {span(told_s)} after it was told to start")
    return act(ActionKind.START, member, f"{STARTED} again: another hand stopped it")


def _was_told(intent: Intent) -> bool:
    return intent.reason.startswith(STARTED)


def _patience_s(member: Member, deadlines: Deadlines, now: float) -> float:
    """How long a trouble may last before something is done about it. Where the provider says that
    one has ended, and its worker speaks on, neither is believed."""
    if member.trouble is Trouble.SILENT:
        return {True: REACHED_S, False: UNREACHED_S, None: UNPROBED_S}[member.probe_ok]
    if member.trouble is Trouble.ERROR:
        return ERROR_S
    if member.trouble is Trouble.OUTBID:
        return deadlines.starting_s
    if member.trouble in (Trouble.EXITED, *_OVER):
        if member.silent_s is None:
            return 0.0
        return DOUBTED_S if member.silent_s < now - member.since else OBJECTED_S
    reports = member.silent_s is not None and member.silent_s <= deadlines.lease_s
    if member.trouble is Trouble.OFFLINE and not reports and not member.probe_ok:
        return deadlines.lease_s
    return DOUBTED_S


def _complaint(member: Member, when: str) -> str:
    if member.trouble is Trouble.ERROR:
        return f"in error {when}"
    if member.trouble is Trouble.SILENT and member.probe_ok is not None:
        answer = "its address answers" if member.probe_ok else "its address does not answer"
        return f"silent {when}, {answer}"
    return f"{member.trouble} {when}"


def _replace(member: Member, reason: str) -> Action:
    strike = member.trouble in _STRIKES
    return _end(member, f"{reason}; {STRIKE}" if strike else reason)


def _end(member: Member, reason: str) -> Action:
    return act(ActionKind.DESTROY, member, reason)
