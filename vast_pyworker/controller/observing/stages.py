"""One member's stage, from its intent, what the provider says and what its worker reports.

Pure. Liveness never rests on one source: a silent worker on a running instance is suspect, and so
is a reporting worker whose instance the provider calls offline; none of them is gone.
"""

from __future__ import annotations

from dataclasses import dataclass

from vast_pyworker.controller.traffic.hearing import Hearing
from vast_pyworker.model import Desired, Instance, Intent, Phase, Stage, Trouble

from .tracks import Track

SETTLING_S = 3.0  # a grant given just before a drain may arrive this much later
LISTED_AFTER_S = 300.0  # a new instance may be missing from lists for so long

_STANDING = {
    Phase.STOPPED: Trouble.STOPPED,
    Phase.OUTBID: Trouble.OUTBID,
    Phase.EXITED: Trouble.EXITED,
    Phase.FAILED: Trouble.FAILED,
    Phase.EXPIRED: Trouble.EXPIRED,
    Phase.OFFLINE: Trouble.OFFLINE,
}
_BEFORE_A_REPORT = (Stage.ORDERED, Stage.LOADING, Stage.STARTING, Stage.JOINING, Stage.COLD)
_COMING = (Phase.CREATING, Phase.LOADING, Phase.REBOOTING, Phase.SCHEDULING)


@dataclass(frozen=True)
class Finding:
    """A stage, what is wrong if anything is, and the evidence in words."""

    stage: Stage
    evidence: str
    trouble: Trouble | None = None


def find_stage(
    intent: Intent,
    instance: Instance | None,
    hearing: Hearing | None,
    track: Track | None,
    now: float,
    *,
    lease_s: float,
) -> Finding:
    """Where the member is in its life."""
    if instance is None:
        return _unlisted(intent, now)
    if intent.desired is not Desired.RUN:
        return _leaving(intent, instance, hearing, now)
    if instance.phase is Phase.RUNNING:
        return _running(hearing, track, lease_s)
    if instance.phase in _COMING or _told_lately(track, now):
        return _coming(instance, track)
    if instance.phase is Phase.UNKNOWN:
        return _unknown(instance, hearing, lease_s)
    trouble = _STANDING[instance.phase]
    return Finding(Stage.SUSPECT, f"the provider says {_said(instance)}", trouble)


def drained(intent: Intent, hearing: Hearing | None, now: float) -> bool:
    """Whether a victim may be stopped: its requests have ended, or their time is over."""
    if now >= intent.drain_until:
        return True
    if hearing is None or hearing.in_flight is None:
        return False
    heard_at = now - hearing.silent_s  # not ``received_at``: the clock may have been set since
    settled = heard_at >= intent.desired_at + SETTLING_S
    return settled and hearing.in_flight == 0


def _unlisted(intent: Intent, now: float) -> Finding:
    if intent.desired is Desired.DESTROY:
        return Finding(Stage.DESTROYING, "not listed")
    if intent.instance_id is None:
        return Finding(Stage.ORDERED, "being rented")
    if not intent.confirmed and now - intent.created_at < LISTED_AFTER_S:
        return Finding(Stage.ORDERED, "rented, not listed yet")
    return Finding(Stage.MISSING, "not listed")


def _leaving(intent: Intent, instance: Instance, hearing: Hearing | None, now: float) -> Finding:
    if intent.desired is Desired.STOP and instance.phase in _STANDING:
        return Finding(Stage.COLD, f"the provider says {_said(instance)}")
    if instance.phase is Phase.RUNNING and not drained(intent, hearing, now):
        left = "an unknown number of" if hearing is None else f"{hearing.in_flight}"
        return Finding(Stage.DRAINING, f"{left} requests left")
    leaving = Stage.STOPPING if intent.desired is Desired.STOP else Stage.DESTROYING
    return Finding(leaving, f"the provider says {_said(instance)}")


def _running(hearing: Hearing | None, track: Track | None, lease_s: float) -> Finding:
    if hearing is None:
        return Finding(Stage.JOINING, "runs, and has not reported")
    if hearing.silent_s > lease_s:
        if track is not None and track.stage in _BEFORE_A_REPORT:  # the word of an earlier run
            return Finding(Stage.JOINING, "runs again, and has not reported since")
        return Finding(
            Stage.SUSPECT,
            f"runs, and has not reported for {hearing.silent_s:.0f} s",
            Trouble.SILENT,
        )
    if hearing.error:
        return Finding(Stage.SUSPECT, f"its worker reports: {hearing.error}", Trouble.ERROR)
    if hearing.ready:
        return Finding(Stage.READY, "reports that it is ready")
    return Finding(Stage.WARMING, "reports that it is loading")


def _coming(instance: Instance, track: Track | None) -> Finding:
    told = track is not None and track.told_at
    # Only a start waits for its GPU, also where it is not remembered who told it to.
    stage = Stage.STARTING if told or instance.phase is Phase.SCHEDULING else Stage.LOADING
    return Finding(stage, f"the provider says {_said(instance)}")


def _told_lately(track: Track | None, now: float) -> bool:
    """Told to start or reboot, which lists show late."""
    return track is not None and bool(track.told_at) and now - track.told_at < SETTLING_S * 10


def _unknown(instance: Instance, hearing: Hearing | None, lease_s: float) -> Finding:
    if hearing is not None and hearing.silent_s <= lease_s and hearing.ready:
        return Finding(Stage.READY, "reports, though the provider does not know its state")
    return Finding(Stage.SUSPECT, f"the provider says {_said(instance)}", Trouble.UNKNOWN)


def _said(instance: Instance) -> str:
    return f"{instance.phase}: {instance.reason}" if instance.reason else str(instance.phase)
