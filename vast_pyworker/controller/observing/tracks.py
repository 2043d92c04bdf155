"""What is remembered of a member from one tick to the next, in memory only.

If it is lost, a member's stage begins anew at the next tick: deadlines start over, nothing else.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from vast_pyworker.model import Stage

REBOOT_REMEMBERED_S = 3600.0  # one that needs another so soon is not helped by it


class Track(Struct, frozen=True, gc=False):
    """``since`` is when the member came to ``stage``, Unix seconds.

    ``missed`` counts complete lists in a row without it; ``told_at`` is when it was last told to
    start or reboot, 0.0 for never; ``probe_ok`` what a direct look at its address found; ``whole``
    says that it was followed from before it existed.
    """

    stage: Stage
    since: float
    missed: int = 0
    reboots: int = 0
    told_at: float = 0.0
    probe_ok: bool | None = None
    whole: bool = False


def at_stage(track: Track | None, stage: Stage, now: float, *, missed: int) -> Track:
    """The track after a tick that found the member at ``stage``."""
    if track is None:
        return Track(stage, now, missed, whole=stage is Stage.ORDERED)
    if track.stage is stage:
        # The wall clock may have gone back; an age is never negative.
        if track.missed == missed and track.since <= now:
            return track
        return replace(track, missed=missed, since=min(track.since, now))
    well = stage is Stage.READY
    forgotten = now - track.told_at >= REBOOT_REMEMBERED_S
    return replace(
        track,
        stage=stage,
        since=now,
        missed=missed,
        reboots=0 if forgotten else track.reboots,
        probe_ok=None if well else track.probe_ok,
    )


def moved(track: Track, step_s: float) -> Track:
    """The track where the wall clock was set by so many seconds: no age changes."""
    told_at = track.told_at + step_s if track.told_at else 0.0
    return replace(track, since=track.since + step_s, told_at=told_at)
