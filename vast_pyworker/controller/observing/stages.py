"""One member's stage, from its intent, what the provider says and what its worker reports.

Pure. Liveness never rests on one source: a silent worker on a running instance is suspect, and so
is a reporting worker whose instance the provider calls offline; none of them is gone.
"""

from __future__ import annotations

from msgspec import Struct

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
_TOLD = (Stage.STOPPING, Stage.DESTROYING)  # found drained by an earlier tick
_UNSEEN = (Phase.UNKNOWN, Phase.OFFLINE)
_COMING = (Phase.CREATING, Phase.LOADING, Phase.REBOOTING, Phase.SCHEDULING)


class Finding(Struct, frozen=True, gc=False):
    """A stage, what is wrong if anything is, and the evidence in words."""

    stage: Stage
    evidence: str
    trouble: Trouble | None = None


_RUN, _RUNNING = Desired.RUN, Phase.RUNNING  # as attributes of an Enum they are slow to read
_WELL = Finding(Stage.READY, "reports that it is ready")
_LOADING = Finding(Stage.WARMING, "reports that it is loading")
_UNHEARD = Finding(Stage.JOINING, "runs, and has not reported")


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
    if intent.desired is not _RUN:
        draining = _draining(intent, instance, hearing, track, now, lease_s)
        return draining or _leaving(intent, instance)
    if instance.phase is _RUNNING:
        return _running(hearing, track, lease_s)
    if instance.phase in _COMING or _told_lately(track, now):
        return _coming(instance, track)
    if instance.phase is Phase.UNKNOWN:
        return _unknown(instance, hearing, lease_s)
    trouble = _STANDING[instance.phase]
    return Finding(Stage.SUSPECT, f"the provider says {_said(instance)}", trouble)


def drained(
    intent: Intent, hearing: Hearing | None, track: Track | None, now: float, *, lease_s: float
) -> bool:
    """Whether a victim may be stopped: nothing was ever sent to it, its requests and sessions have
    ended, or their time is over.

    It is off the routes since the tick that first found it draining, and may be sent to until then.
    Its word that it holds nothing counts where it is younger than its lease and either it came long
    enough after that tick, or no client was sent to it for long enough before.
    """
    if now >= intent.drain_until:
        return True
    if track is not None and track.stage in _TOLD:
        return True
    if hearing is None:
        return track is not None and track.whole  # it never spoke, so no client was sent to it
    if track is None or track.stage is not Stage.DRAINING or hearing.in_flight != 0:
        return False
    off_s, silent_s = now - track.since, hearing.silent_s
    if off_s < SETTLING_S or silent_s > lease_s:
        return False
    if silent_s <= off_s - SETTLING_S:
        return True
    if hearing.granted_s is None:
        return track.whole
    return hearing.granted_s - silent_s >= SETTLING_S


def _unlisted(intent: Intent, now: float) -> Finding:
    if intent.desired is Desired.DESTROY:
        return Finding(Stage.DESTROYING, "not listed")
    if intent.instance_id is None:
        return Finding(Stage.ORDERED, "being rented")
    if not intent.confirmed and now - intent.created_at < LISTED_AFTER_S:
        return Finding(Stage.ORDERED, "rented, not listed yet")
    return Finding(Stage.MISSING, "not listed")


def _draining(
    intent: Intent,
    instance: Instance,
    hearing: Hearing | None,
    track: Track | None,
    now: float,
    lease_s: float,
) -> Finding | None:
    """Whether it still may serve somebody: it runs, or speaks though the provider lost it."""
    speaks = hearing is not None and hearing.silent_s <= lease_s
    if instance.phase is not Phase.RUNNING and not (speaks and instance.phase in _UNSEEN):
        return None
    if drained(intent, hearing, track, now, lease_s=lease_s):
        return None
    known = hearing is not None and hearing.in_flight is not None
    left = f"{hearing.in_flight}" if hearing and known else "an unknown number of"
    return Finding(Stage.DRAINING, f"{left} requests left")


def _leaving(intent: Intent, instance: Instance) -> Finding:
    if intent.desired is Desired.STOP and instance.phase in _STANDING:
        return Finding(Stage.COLD, f"the provider says {_said(instance)}")
    leaving = Stage.STOPPING if intent.desired is Desired.STOP else Stage.DESTROYING
    return Finding(leaving, f"the provider says {_said(instance)}")


def _running(hearing: Hearing | None, track: Track | None, lease_s: float) -> Finding:
    if hearing is None:
        return _UNHEARD
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
        return _WELL
    return _LOADING


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
