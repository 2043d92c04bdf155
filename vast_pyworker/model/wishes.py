"""What the operator wants: hard limits, and groups of instances.

Read and checked by ``controller.desired``. Money is US dollars; times are seconds; ``None`` means
that there is no such limit or rule, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from enum import Enum
from typing import Any


class OnShutdown(str, Enum):
    """What becomes of a group's instances when the controller is told to end."""

    LEAVE = "leave"
    STOP = "stop"
    DESTROY = "destroy"


class OnDelete(str, Enum):
    """What to do when somebody else deletes an instance of the group."""

    REPLACE = "replace"
    SHRINK = "shrink"


@dataclass(frozen=True)
class Limits:
    """Hard ceilings over everything; no group, policy or command goes above them."""

    instances: int
    usd_per_hour: float
    usd_per_day: float | None = None
    usd_per_month: float | None = None


@dataclass(frozen=True)
class Launch:
    """What is started on an instance. A template hash, or an image with what it needs.

    ``env`` holds variables, and ports as Vast spells them (``"-p 3000:3000": "1"``); ``disk_gb``
    is fixed for the life of an instance, and paid for in every state.
    """

    backend: str
    image: str | None = None
    template_hash: str | None = None
    disk_gb: float = 20.0
    env: Mapping[str, str] = field(default_factory=dict)
    onstart: str | None = None
    bid_usd_per_hour: float | None = None


@dataclass(frozen=True)
class Preferences:
    """Hosts and machines never to take, and those to take first."""

    bad_hosts: frozenset[int] = frozenset()
    bad_machines: frozenset[int] = frozenset()
    good_hosts: frozenset[int] = frozenset()
    good_machines: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Deadlines:
    """How long an instance may take for each part of its start, and to drain, in seconds."""

    loading_s: float = 1800.0  # rented -> running: the image is pulled
    joining_s: float = 300.0  # running -> the first report
    ready_s: float = 1800.0  # the first report -> ready: the model is loaded
    starting_s: float = 180.0  # a stopped one told to start -> running
    drain_s: float = 120.0  # told to drain -> no request left
    lease_s: float = 90.0  # a worker silent for longer is suspect


@dataclass(frozen=True)
class Pace:
    """How fast a group may change: seconds between steps of one direction, and the largest step."""

    cooldown_up_s: float = 0.0
    cooldown_down_s: float = 300.0
    max_step: int = 5


@dataclass(frozen=True)
class Window:
    """Hours in which other bounds hold, as ``days`` 0 (Monday) to 6 between two local times.

    A window whose ``until`` is not after its ``since`` ends on the next day.
    """

    days: frozenset[int]
    since: time
    until: time
    zone: str
    min_instances: int | None = None
    max_instances: int | None = None
    max_usd_per_hour: float | None = None


@dataclass(frozen=True)
class Bounds:
    """What holds for a group at one moment, its windows applied."""

    min_instances: int
    max_instances: int
    max_usd_per_hour: float


@dataclass(frozen=True)
class Group:
    """One group of instances behind one endpoint.

    ``max_usd_per_hour`` is per instance, for its real price with our disk. ``min_instances`` and
    ``max_instances`` bound those that are wanted running; ``cold_instances`` is how many stopped
    ones are kept beside them; ``max_lifetime_s`` None is for ever. ``policy_options`` are the
    policy's own, already checked.
    """

    name: str
    endpoint: str
    launch: Launch
    query: str
    max_usd_per_hour: float
    min_instances: int
    max_instances: int
    policy: str = "hold"
    policy_options: Mapping[str, Any] = field(default_factory=dict)
    cold_instances: int = 0
    windows: tuple[Window, ...] = ()
    preferences: Preferences = Preferences()
    deadlines: Deadlines = Deadlines()
    pace: Pace = Pace()
    on_shutdown: OnShutdown = OnShutdown.LEAVE
    on_external_delete: OnDelete = OnDelete.REPLACE
    max_lifetime_s: float | None = None
    stopped_ttl_s: float | None = None


@dataclass(frozen=True)
class Wishes:
    """All of ``groups.toml``: the fleet's name, its limits, its groups by name."""

    fleet: str
    limits: Limits
    groups: Mapping[str, Group]
