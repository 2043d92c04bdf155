"""Intents, the provider's list and the workers' reports, taken together into members.

Pure: given a complete list. What is not here: reading any of the three, and doing anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vast_pyworker.controller.traffic.hearing import Hearing
from vast_pyworker.model import Instance, Intent, Member

from .stages import Finding, find_stage
from .tracks import Track, at_stage

USUAL_LEASE_S = 90.0


@dataclass(frozen=True)
class Evidence:
    """What a tick knows: a complete list by id, the workers' latest words by id, and the past."""

    instances: Mapping[int, Instance]
    heard: Mapping[int, Hearing]
    tracks: Mapping[str, Track]
    lease_s: Mapping[str, float]  # by group


def merge(
    intents: Iterable[Intent], evidence: Evidence, now: float
) -> tuple[list[Member], dict[str, Track]]:
    """One member for each open intent, and what to remember of each until the next tick."""
    members, tracks = [], {}
    instance_of, hearing_of = evidence.instances.get, evidence.heard.get
    track_of, lease_of = evidence.tracks.get, evidence.lease_s.get
    for intent in intents:
        known = intent.instance_id
        instance = None if known is None else instance_of(known)
        hearing = None if known is None else hearing_of(known)
        before = track_of(intent.id)
        lease_s = lease_of(intent.group, USUAL_LEASE_S)
        finding = find_stage(intent, instance, hearing, before, now, lease_s=lease_s)
        missed = 0 if instance is not None else (before.missed if before else 0) + 1
        tracks[intent.id] = track = at_stage(before, finding.stage, now, missed=missed)
        members.append(_member(intent, instance, hearing, finding, track))
    return members, tracks


def _member(
    intent: Intent,
    instance: Instance | None,
    hearing: Hearing | None,
    finding: Finding,
    track: Track,
) -> Member:
    return Member(
        intent=intent,
        stage=finding.stage,
        since=track.since,
        instance=instance,
        report=hearing.report if hearing else None,
        silent_s=hearing.silent_s if hearing else None,
        perf=hearing.perf if hearing else None,
        load=hearing.load if hearing else None,
        in_flight=hearing.in_flight if hearing else None,
        trouble=finding.trouble,
        probe_ok=track.probe_ok,
        reboots=track.reboots,
        told_at=track.told_at,
        evidence=finding.evidence,
    )
