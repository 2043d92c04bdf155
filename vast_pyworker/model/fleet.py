"""What there is and what is done about it: offers, instances, members, actions, plans.

Money is US dollars, times are Unix seconds. ``None`` means unknown, which is never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from msgspec import Struct

from .work import Report


class Phase(str, Enum):
    """What a provider says of an instance, in one word."""

    CREATING = "creating"  # rented; nothing runs yet
    LOADING = "loading"  # the image is pulled or the container is made
    RUNNING = "running"
    REBOOTING = "rebooting"
    STOPPED = "stopped"  # stands still as it was told to; its disk is billed
    OUTBID = "outbid"  # stands still because another pays more
    SCHEDULING = "scheduling"  # told to start, and waits for its GPU
    EXITED = "exited"  # its main process ended by itself
    FAILED = "failed"  # can never run: its container could not be made
    EXPIRED = "expired"  # its contract has ended
    OFFLINE = "offline"  # its host has not been heard of
    UNKNOWN = "unknown"

    __hash__ = str.__hash__  # that of Enum is ten times as slow

    def __str__(self) -> str:
        return self.value


class Stage(str, Enum):
    """Where a member of a group is in its life, all evidence taken together.

    ordered -> loading -> joining -> warming -> ready <-> suspect
    ready -> draining -> stopping -> cold -> starting -> joining
    any -> destroying -> (gone)
    """

    ORDERED = "ordered"  # an intent is written; there may be an instance or not
    LOADING = "loading"
    JOINING = "joining"  # runs, and has not reported since it runs
    WARMING = "warming"  # reports, and loads its model
    READY = "ready"
    SUSPECT = "suspect"  # the sources disagree, or its worker says that it is in error
    DRAINING = "draining"
    STOPPING = "stopping"
    COLD = "cold"  # stopped on purpose, to be started again
    STARTING = "starting"
    DESTROYING = "destroying"
    MISSING = "missing"  # not listed, and not yet proven gone

    __hash__ = str.__hash__  # that of Enum is ten times as slow

    def __str__(self) -> str:
        return self.value


class Trouble(str, Enum):
    """What is wrong with a member that should serve and does not."""

    SILENT = "silent"  # runs at the provider, and its reports have stopped
    ERROR = "error"  # its worker says that it is in error
    STOPPED = "stopped"  # another hand stopped it
    OUTBID = "outbid"
    EXITED = "exited"
    FAILED = "failed"
    EXPIRED = "expired"
    OFFLINE = "offline"
    UNKNOWN = "unknown"  # the provider does not know its state

    __hash__ = str.__hash__  # that of Enum is ten times as slow

    def __str__(self) -> str:
        return self.value


class Desired(str, Enum):
    """What the controller wants of an instance; kept in the ledger until it is so."""

    RUN = "run"
    STOP = "stop"
    DESTROY = "destroy"

    __hash__ = str.__hash__  # that of Enum is ten times as slow

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Offer:
    """Something that can be rented, with its true hourly price for our disk."""

    id: int
    machine_id: int
    host_id: int
    gpu_name: str
    num_gpus: int
    gpu_ram_mb: float | None
    usd_per_hour: float
    usd_per_hour_stopped: float | None
    disk_gb: float | None
    reliability: float | None
    dlperf: float | None = None
    place: str = ""
    available_s: float | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """What exists at a provider. ``usd_per_hour`` is its price while it runs, disk included;
    ``usd_per_hour_now`` what it costs in its present phase."""

    id: int
    label: str
    phase: Phase
    reason: str = ""
    usd_per_hour: float | None = None
    usd_per_hour_now: float | None = None
    usd_per_hour_stopped: float | None = None
    created_at: float | None = None
    ends_at: float | None = None
    machine_id: int | None = None
    host_id: int | None = None
    gpu_name: str = ""
    num_gpus: int | None = None
    place: str = ""
    disk_gb: float | None = None
    is_bid: bool = False
    ports: Mapping[str, str] = field(default_factory=dict)  # "3000/tcp" -> "203.0.113.7:41234"


@dataclass(frozen=True, slots=True)
class Intent:
    """One wish for one instance, written before the money is spent; ``id`` is in the label.

    ``instance_id`` is None until it is known. A victim may finish its requests until
    ``drain_until``. ``closed_at`` is set when nothing exists for it any
    more, proven. ``held`` is a person's word: nothing may be done to it.
    """

    id: str
    group: str
    label: str
    created_at: float
    desired: Desired
    desired_at: float
    reason: str
    set_by: str
    usd_per_hour_cap: float
    instance_id: int | None = None
    machine_id: int | None = None
    host_id: int | None = None
    usd_per_hour: float | None = None
    drain_until: float = 0.0
    held: bool = False
    confirmed: bool = False  # seen at the provider at least once
    closed_at: float | None = None


class Member(Struct, frozen=True, gc=False):
    """One instance of a group as the plan sees it: intent, provider and worker taken together.

    A ``Struct`` for there are many, and most are new at every tick; ``msgspec.structs.replace``
    makes one that differs.

    ``perf`` is what it can do in units of work a second, ``load`` what it holds in units; ``since``
    is when it came to its stage. ``silent_s`` is the age of its last report, None without one.
    ``probe_ok`` is what a direct look at its address found, None where nobody looked; ``told_at``
    when it was last told to start or reboot, 0.0 for never or not remembered.
    """

    intent: Intent
    stage: Stage
    since: float
    instance: Instance | None = None
    report: Report | None = None
    silent_s: float | None = None
    perf: float | None = None
    load: float | None = None
    in_flight: int | None = None
    trouble: Trouble | None = None
    probe_ok: bool | None = None
    reboots: int = 0
    told_at: float = 0.0
    evidence: str = ""

    @property
    def usd_per_hour(self) -> float:
        """What it costs an hour while it runs; the cap of its intent where that is unknown."""
        known = self.instance.usd_per_hour if self.instance else self.intent.usd_per_hour
        return self.intent.usd_per_hour_cap if known is None else known


@dataclass(frozen=True)
class Want:
    """How much capacity a policy wants: instances running and stopped, and why."""

    hot: int
    cold: int
    reason: str


class ActionKind(str, Enum):
    RENT = "rent"
    START = "start"
    REBOOT = "reboot"
    DRAIN = "drain"
    STOP = "stop"
    DESTROY = "destroy"
    KEEP = "keep"  # a drain or stop that is taken back
    ALERT = "alert"

    __hash__ = str.__hash__  # that of Enum is ten times as slow

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Action:
    """One thing to do. A rent names no offer yet: that is chosen when the offers are read."""

    kind: ActionKind
    group: str
    reason: str
    intent_id: str | None = None
    instance_id: int | None = None
    usd_per_hour: float = 0.0


@dataclass(frozen=True)
class Plan:
    """What to do about a group now, and the sentence that says why.

    ``held_back`` are sentences on what was wanted and not planned (budget, brake, pace, limits);
    ``mended`` the intents of those rebooted or ended for a fault; ``shrinks`` whether some go
    because fewer are wanted.
    """

    group: str
    want: Want
    actions: tuple[Action, ...]
    sentence: str
    held_back: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()
    shrinks: bool = False
