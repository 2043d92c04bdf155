"""The label that ties an instance to its intent: ``<fleet>/<group>/<intent id>``. Pure.

It is all that survives of the controller at the provider, so it holds no secret and no price.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass


@dataclass(frozen=True)
class Label:
    """The three parts of a label of ours."""

    fleet: str
    group: str
    intent_id: str

    def __str__(self) -> str:
        return f"{self.fleet}/{self.group}/{self.intent_id}"


def prefix_of(fleet: str) -> str:
    """What every label of the fleet begins with."""
    return f"{fleet}/"


def read_label(text: str) -> Label | None:
    """The parts of a label; None where it is not one of ours."""
    parts = text.split("/")
    if len(parts) != 3 or not all(parts):
        return None
    return Label(*parts)


def new_intent_id() -> str:
    return uuid.uuid4().hex
