"""The things of the fake's world: GPUs on offer, instances on them, and the rows they show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from vast_pyworker.model import Instance, Launch, Offer, Phase

from .bill import MICRO
from .offers import BID_SHARE, priced

# Phases in which an instance has its GPUs; in the others it has given them up.
HOLDS = frozenset(
    (Phase.CREATING, Phase.LOADING, Phase.RUNNING, Phase.REBOOTING, Phase.EXITED, Phase.FAILED)
)
WAITS = frozenset((Phase.SCHEDULING, Phase.OUTBID))
_REASONS: Mapping[Phase, str] = {
    Phase.CREATING: "no container has been reported yet",
    Phase.LOADING: "its image is loaded",
    Phase.RUNNING: "the container runs",
    Phase.REBOOTING: "the container is restarted",
    Phase.STOPPED: "the contract is stopped",
    Phase.OUTBID: "another bid or an on-demand rental has its machine",
    Phase.SCHEDULING: "a start is queued until its machine has room",
    Phase.EXITED: "the container ended",
    Phase.FAILED: "OCI runtime create failed",
    Phase.EXPIRED: "its contract has ended",
    Phase.OFFLINE: "its machine has lost contact",
    Phase.UNKNOWN: "its machine has not reported of late",
}


@dataclass(frozen=True)
class Times:
    """How long things take, in seconds: from a create to LOADING and to RUNNING, from a start and
    from a reboot to RUNNING."""

    creating_s: float = 1.0
    loading_s: float = 30.0
    restart_s: float = 5.0
    reboot_s: float = 5.0


@dataclass(eq=False)
class Slot:
    """Some GPUs of a machine; ``offer`` is without a disk. ``holder`` and ``waiting`` are ids of
    instances."""

    offer: Offer
    gpu_micro: int
    holder: int | None = None
    waiting: dict[int, None] = field(default_factory=dict)
    withdrawn: bool = False
    _quote: tuple[tuple[int, int], Offer] | None = None

    @property
    def least_bid_micro(self) -> int:
        return round(self.gpu_micro * BID_SHARE)

    def quote(self, gpu_micro: int, disk_micro: int) -> Offer:
        """The offer at these prices; the last one is kept."""
        asked = (gpu_micro, disk_micro)
        if self._quote is None or self._quote[0] != asked:
            self._quote = (asked, priced(self.offer, gpu_micro, disk_micro))
        return self._quote[1]


@dataclass(eq=False)
class Box:
    """An instance. ``lost`` is what is shown while its machine is not heard of; ``stamp`` tells
    events of an earlier phase from those of this one."""

    id: int
    label: str
    slot: Slot
    launch: Launch
    env: Mapping[str, str]
    gpu_micro: int
    disk_micro: int
    created_at: float
    ends_at: float | None
    phase: Phase = Phase.CREATING
    lost: Phase | None = None
    stamp: int = 0
    row: Instance = field(init=False)

    @property
    def shown(self) -> Phase:
        return self.lost or self.phase

    @property
    def micro_per_hour(self) -> int:
        """What it costs now. As at Vast its GPUs only while it runs, and nothing while its machine
        is away."""
        if self.shown is Phase.OFFLINE:
            return 0
        return self.disk_micro + (self.gpu_micro if self.shown is Phase.RUNNING else 0)


def row_of(box: Box) -> Instance:
    """What a list shows of it."""
    offer, phase = box.slot.offer, box.shown
    row = Instance(
        id=box.id,
        label=box.label,
        phase=phase,
        reason=_REASONS[phase],
        usd_per_hour=(box.gpu_micro + box.disk_micro) / MICRO,
        usd_per_hour_now=box.micro_per_hour / MICRO,
        usd_per_hour_stopped=box.disk_micro / MICRO,
        created_at=box.created_at,
        ends_at=box.ends_at,
        machine_id=offer.machine_id,
        host_id=offer.host_id,
        gpu_name=offer.gpu_name,
        num_gpus=offer.num_gpus,
        place=offer.place,
        disk_gb=box.launch.disk_gb,
        is_bid=box.launch.bid_usd_per_hour is not None,
    )
    return replace(row, ports=_ports_of(box)) if phase is Phase.RUNNING else row


def _ports_of(box: Box) -> dict[str, str]:
    """An address for each ``-p OUTER:INNER`` of its environment; nothing listens there."""
    flags = [key.split()[-1] for key in box.env if key.startswith("-p ")] or ["3000:3000"]
    inner = [flag.rpartition(":")[2] for flag in flags]
    named = [port if "/" in port else f"{port}/tcp" for port in inner]
    first = 20_000 + box.id * 8 % 40_000
    return {port: f"203.0.113.{box.id % 250 + 1}:{first + n}" for n, port in enumerate(named)}
