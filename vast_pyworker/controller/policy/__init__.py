"""How much capacity a group should have. Pure: time and history are arguments."""

from __future__ import annotations

from collections.abc import Mapping

from .base import Policy
from .hold import Hold
from .target import Target
from .vast import Vast

POLICIES: Mapping[str, Policy] = {"hold": Hold(), "target": Target(), "vast": Vast()}

__all__ = ["POLICIES", "Policy"]
