"""Instances found by label and what the ledger has to be told of them.

Pure. Whatever carries the fleet's label gets an intent, so that it is counted, paid for and can be
ended; what carries the label of a closed intent, or of one that has its instance, is to be ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from vast_pyworker.controller.labels import Label, read_label
from vast_pyworker.model import Desired, Instance, Intent, Phase

ADOPTER = "adoption"
Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Adoption:
    """An intent as it has to stand in the ledger, and the sentence that says why.

    ``changes`` are the fields that the list tells of an intent that the ledger has; None: it is
    new. Whoever writes them leaves the others alone, which people and other threads change.
    ``sentence`` is "" where nothing is worth saying: an instance seen for the first time.
    """

    intent: Intent
    changes: Mapping[str, Any] | None = None
    sentence: str = ""

    def is_cheaper(self, known: Intent | None) -> bool:
        """Whether it brings a lower price than that of the intent that is known."""
        now, before = self.intent.usd_per_hour, known.usd_per_hour if known else None
        return now is not None and before is not None and now < before


def adopt(
    instances: Iterable[Instance],
    opened: Mapping[str, Intent],
    closed: Callable[[str], Intent | None],
    cap_of: Callable[[str], float],
    now: float,
) -> Iterator[Adoption]:
    """Every intent that changes, or is new, because of what is listed.

    ``closed`` looks an intent up that is no longer open; ``cap_of`` gives a group's price cap.
    """
    owners = {each.instance_id: each for each in opened.values() if each.instance_id is not None}
    news = [each for each in instances if not _is_noted(owners.get(each.id), each)]
    if not news:
        return
    taken = set(owners)
    waiting = dict(opened)
    for instance in sorted(news, key=lambda each: each.id):
        label = read_label(instance.label)
        if label is None:
            continue
        intent = waiting.get(label.intent_id)
        if intent is not None and intent.instance_id in (None, instance.id):
            taken.add(instance.id)
            if not _is_noted(intent, instance):
                changes = _told(intent, instance)
                waiting[intent.id] = found = replace(intent, **changes)
                yield Adoption(found, changes)
        elif instance.id not in taken:
            taken.add(instance.id)
            yield _stray(label, instance, intent, closed, cap_of, now)


def _is_noted(intent: Intent | None, instance: Instance) -> bool:
    """Whether this is its intent and holds all that the list says; cheap, for this is nearly
    always so."""
    return (
        intent is not None
        and intent.confirmed
        and intent.instance_id == instance.id
        and intent.label == instance.label
        and instance.usd_per_hour in (None, intent.usd_per_hour)
        and instance.machine_id in (None, intent.machine_id)
    )


def _told(intent: Intent, instance: Instance) -> dict[str, Any]:
    """What the list says of an intent's own instance, and the intent does not hold yet."""
    told = {
        "instance_id": instance.id,
        "confirmed": True,
        "machine_id": _known(instance.machine_id, intent.machine_id),
        "host_id": _known(instance.host_id, intent.host_id),
        "usd_per_hour": _known(instance.usd_per_hour, intent.usd_per_hour),
    }
    return {name: value for name, value in told.items() if getattr(intent, name) != value}


def _stray(
    label: Label,
    instance: Instance,
    rival: Intent | None,
    closed: Callable[[str], Intent | None],
    cap_of: Callable[[str], float],
    now: float,
) -> Adoption:
    """An instance that no open intent is waiting for."""
    if rival is not None:
        intent = _new(f"{label.intent_id}~{instance.id}", label, instance, cap_of, now)
        why = f"instance {instance.id} is a second one for intent {label.intent_id}"
        intent = replace(intent, desired=Desired.DESTROY, reason=why)
        return Adoption(intent, sentence=f"{why}: destroy it.")
    before = closed(label.intent_id)
    if before is not None:
        why = f"instance {instance.id} belongs to a closed intent"
        changes = {
            **_told(before, instance), "closed_at": None, "desired": Desired.DESTROY,
            "desired_at": now, "reason": why, "set_by": ADOPTER,
        }  # fmt: skip
        return Adoption(replace(before, **changes), changes, f"{why}: destroy it.")
    intent = _new(label.intent_id, label, instance, cap_of, now)
    said = f"instance {instance.id} of group {label.group} was found by its label."
    return Adoption(intent, sentence=said)


def _new(
    intent_id: str,
    label: Label,
    instance: Instance,
    cap_of: Callable[[str], float],
    now: float,
) -> Intent:
    standing = instance.phase is Phase.STOPPED
    intent = Intent(
        id=intent_id,
        group=label.group,
        label=instance.label,
        created_at=now if instance.created_at is None else min(instance.created_at, now),
        desired=Desired.STOP if standing else Desired.RUN,
        desired_at=now,
        reason="found by its label",
        set_by=ADOPTER,
        usd_per_hour_cap=cap_of(label.group),
    )
    return replace(intent, **_told(intent, instance))


def _known(new: Number | None, old: Number | None) -> Number | None:
    return old if new is None else new
