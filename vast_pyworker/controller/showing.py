"""What there is, as rows for people and programs: fleet, groups, instances. Pure.

None is unknown. Dollars are dollars, times Unix seconds, ages seconds. No key and no token is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from vast_pyworker.controller.deciding import Decision, by_group
from vast_pyworker.controller.desired.windows import bounds_at
from vast_pyworker.controller.ledger.charges import MICRO
from vast_pyworker.controller.loop import Fleet
from vast_pyworker.model import Group, Member, Stage, Wishes

BOOTING = (Stage.ORDERED, Stage.LOADING, Stage.JOINING, Stage.WARMING, Stage.STARTING)
TROUBLED = (Stage.SUSPECT, Stage.MISSING)
LEAVING = (Stage.DRAINING, Stage.STOPPING, Stage.DESTROYING)


def usd_per_hour_now(member: Member) -> float:
    """What it costs an hour in its present phase; the dearest where that is not known."""
    known = member.instance.usd_per_hour_now if member.instance else None
    return member.usd_per_hour if known is None else known


def group_rows(
    fleet: Fleet, wishes: Wishes, pins: Mapping[str, int], spent_today: Mapping[str, int]
) -> list[dict[str, Any]]:
    """A row for each group, also for those that are no longer wanted and still cost."""
    grouped = by_group(fleet.members)
    decisions = fleet.decisions or {}
    names = [*wishes.groups, *(each for each in grouped if each not in wishes.groups)]
    return [
        group_row(
            name, wishes.groups.get(name), decisions.get(name), grouped.get(name, []), fleet.at,
        )
        | {"pinned": pins.get(name), "usd_spent_today": spent_today.get(name, 0) / MICRO}
        for name in names
    ]  # fmt: skip


def group_row(
    name: str, group: Group | None, decision: Decision | None, members: Sequence[Member], at: float
) -> dict[str, Any]:
    """One group. ``load`` and ``capacity`` are units of work a second."""
    want = decision.made.want if decision else None
    load = decision.seen.load if decision else None
    return {
        "name": name,
        "endpoint": group.endpoint if group else None,
        "policy": group.policy if group else None,
        "wanted": want.hot if want else None,
        "wanted_cold": want.cold if want else None,
        "reason": want.reason if want else "",
        **counts(members),
        "usd_per_hour": sum(map(usd_per_hour_now, members)),
        "load": load.arrivals_60s if load else None,
        "in_flight": load.in_flight if load else None,
        "queued": load.queued if load else None,
        "capacity": capacity(members),
        "bounds": asdict(bounds_at(group, at)) if group else None,
        "sentence": decision.made.sentence if decision else "",
        "held_back": list(decision.made.held_back) if decision else [],
    }


def counts(members: Iterable[Member]) -> dict[str, int]:
    """How many members are ready, booting, in trouble, leaving and cold."""
    stages = [each.stage for each in members]
    return {
        "ready": stages.count(Stage.READY),
        "booting": sum(each in BOOTING for each in stages),
        "suspect": sum(each in TROUBLED for each in stages),
        "leaving": sum(each in LEAVING for each in stages),
        "cold": stages.count(Stage.COLD),
        "instances": len(stages),
    }


def capacity(members: Iterable[Member]) -> float | None:
    """What ready members can do together; None where one of them did not say."""
    ready = [each for each in members if each.stage is Stage.READY]
    known = [each.perf for each in ready if each.perf is not None]
    return sum(known) if len(known) == len(ready) else None


def member_row(member: Member, at: float, spent_micro: int | None) -> dict[str, Any]:
    """One instance with what its provider and its worker say of it."""
    instance, intent, report = member.instance, member.intent, member.report
    return {
        "id": intent.instance_id,
        "intent": intent.id,
        "group": intent.group,
        "gpu": instance.gpu_name if instance else "",
        "num_gpus": instance.num_gpus if instance else None,
        "place": instance.place if instance else "",
        "machine_id": intent.machine_id,
        "host_id": intent.host_id,
        "stage": str(member.stage),
        "since": member.since,
        "age_s": max(at - member.since, 0.0),
        "created_at": intent.created_at,
        "desired": str(intent.desired),
        "held": intent.held,
        "usd_per_hour": member.usd_per_hour,
        "usd_per_hour_now": usd_per_hour_now(member),
        "usd_spent": None if spent_micro is None else spent_micro / MICRO,
        "load": member.load,
        "perf": member.perf,
        "in_flight": member.in_flight,
        "url": report.url if report else "",
        "error": report.error_msg if report else "",
        "trouble": str(member.trouble) if member.trouble else None,
        "evidence": member.evidence,
        "reported_s": member.silent_s,
        "reboots": member.reboots,
    }


def totals(fleet: Fleet) -> dict[str, Any]:
    """The whole fleet in a line; ``blind`` says why the provider could not be read."""
    return {
        "at": fleet.at,
        "listed_at": fleet.listed_at,
        "blind": fleet.blind,
        **counts(fleet.members),
        "usd_per_hour": sum(map(usd_per_hour_now, fleet.members)),
    }
