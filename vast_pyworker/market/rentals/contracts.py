"""A contract: what was rented, at which prices, and where its life stands. Data, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

QUEUED = "queued"
"""Wants to run and holds no GPU: outbid, bid too low, or the machine is busy."""
LOADING = "loading"
"""Holds its GPUs; the image is pulled or the container starts."""
RUNNING = "running"
REBOOTING = "rebooting"
EXITED = "exited"
"""Its process ended by itself; the GPUs are still held."""
FAILED = "failed"
"""The container could not be created; the GPUs are still held."""
STOPPED = "stopped"
EXPIRED = "expired"

HOLDING = frozenset((LOADING, RUNNING, REBOOTING, EXITED, FAILED))
"""The phases in which a contract has its GPUs."""

UNKNOWN, OFFLINE = "unknown", "offline"

BROKEN, STUCK, DYING = "broken", "stuck", "dying"
"""Its container can never be created; the next start never ends; it ends as soon as it runs."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What is to run: the accepted part of a create's body. ``env`` has docker's flags as keys."""

    image: str
    env: tuple[tuple[str, str], ...] = ()
    onstart: str | None = None
    args: tuple[str, ...] = ()
    runtype: str = "ssh"
    template_id: int | None = None
    template_hash_id: str | None = None
    template_name: str | None = None


@dataclass(slots=True)
class Prices:
    """What a contract costs: ``gpu`` and ``storage`` in billionths of a dollar per hour (all its
    GPUs, all its disk), ``up`` and ``down`` in billionths of a dollar per GB."""

    gpu: int
    storage: int
    up: int
    down: int


@dataclass(slots=True)
class Contract:
    """One rental. ``phase`` is the truth of the simulation; the four state fields are what a
    caller is shown of it, and deliberately say less. Times are epoch seconds."""

    id: int
    account: int
    machine_id: int
    ask_id: int
    gpu_ids: tuple[int, ...]
    disk_gb: float
    is_bid: bool
    prices: Prices
    storage_cost: float
    launch: Launch
    label: str | None
    created_at: float
    end_date: float
    key: str
    phase: str = STOPPED
    wants: bool = False
    """What its owner wants of it: to run. Outbidding does not change it, a stop does."""
    actual: str | None = None
    intended: str = "stopped"
    cur: str = "stopped"
    next: str = "stopped"
    status_msg: str | None = None
    lost: str | None = None
    """``unknown`` or ``offline`` while its machine has no contact; shown for ``actual``."""
    ports: dict[tuple[int, str], int] | None = None
    running_since: float | None = None
    queued_at: float = 0.0
    starts: int = 0
    stamp: int = 0
    """Raised with every change of phase; what was due for an older stamp is void."""
    pulled: bool = False
    fate: str = ""
    """What is to go wrong: one of the words below, or nothing."""
    deposit: float = 0.0
    discount: float = 0.0
    host_key: str = ""
    ssh_keys: list[tuple[int, str]] = field(default_factory=list)

    @property
    def num_gpus(self) -> int:
        return len(self.gpu_ids)

    @property
    def shown_status(self) -> str | None:
        """``actual_status`` as a caller sees it."""
        return self.lost or self.actual

    @property
    def per_gpu(self) -> float:
        """USD per GPU and hour; what two bids are compared by."""
        return self.prices.gpu / 1e9 / len(self.gpu_ids)

    @property
    def holds(self) -> bool:
        return self.phase in HOLDING


@dataclass(slots=True)
class Increase:
    """A host asks more for a rental: new ``prices`` from when its owner accepts."""

    id: int
    contract_id: int
    account: int
    prices: Prices
    created_at: float


Answer = dict[str, Any]
