"""The policy ``hold``: a constant number of instances, whatever the load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vast_pyworker.model import Bounds, Group, Want

from .base import within
from .observation import Observation
from .options import Option, check, values

OPTIONS = (
    Option(
        "instances", "how many to hold", whole=True,
        unset="the group's min_instances, also where a window changes it",
    ),
)  # fmt: skip


class Hold:
    """Wants ``instances`` running and the group's cold pool beside them."""

    def check(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        return check("hold", OPTIONS, options)

    def decide(
        self, group: Group, bounds: Bounds, seen: Observation, memory: Any
    ) -> tuple[Want, Any]:
        count = int(values(OPTIONS, group.policy_options).get("instances", bounds.min_instances))
        hot, note = within(bounds, count)
        return Want(hot, group.cold_instances, f"constant{note}"), None
