"""What a policy is: options that can be checked, and a decision that can be tested in a table.

A policy wants; it neither plans nor acts, has no clock and keeps nothing. What it must remember it
hands back, and gets again the next time (None at first, or after a restart, or another policy's).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from vast_pyworker.model import Bounds, Group, Want

from .observation import Observation


class Policy(Protocol):
    """How much capacity a group should have."""

    def check(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The options with defaults filled in. ``ValueError``: one sentence a line for all that
        is wrong, each naming the option and what it may be."""

    def decide(
        self, group: Group, bounds: Bounds, seen: Observation, memory: Any
    ) -> tuple[Want, Any]:
        """What is wanted now, never outside ``bounds``, and what to remember."""


def within(bounds: Bounds, count: int) -> tuple[int, str]:
    """``count`` brought between the bounds, and what to add to the reason ("" for nothing)."""
    if count > bounds.max_instances:
        return bounds.max_instances, f", at most {bounds.max_instances} allowed"
    if count < bounds.min_instances:
        return bounds.min_instances, f", at least {bounds.min_instances} kept"
    return count, ""
