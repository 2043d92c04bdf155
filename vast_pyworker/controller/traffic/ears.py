"""What the loop needs of the side that speaks with workers and clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from vast_pyworker.controller.policy.observation import Load

from .hearing import Hearing
from .places import Place


class Ears(Protocol):
    """Any thread may call these; none of them waits."""

    def hearings(self, mono: float) -> Mapping[int, Hearing]:
        """The latest word of each trusted worker, by instance id, at a monotonic moment."""

    def load(self, endpoint: str, mono: float) -> Load:
        """What clients ask of an endpoint."""

    def publish(self, places: Mapping[int, Place]) -> None:
        """Which workers may be routed to from now on, and with which token each may report."""
