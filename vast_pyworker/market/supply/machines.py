"""Machines on offer, their asks, and what is left of them when some GPUs are taken.

An ask is one slot of a machine: particular GPUs, offered together. A machine of four GPUs has
four asks for one GPU, two for two and one for all four; taking a GPU takes every ask it is in.
Knows no accounts, no contracts and no HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

HOURS_PER_MONTH = 720.0
BID_STEP = 1.01


@dataclass(frozen=True)
class Gpu:
    """A GPU model as one machine reports it. ``ram_mb`` differs a little between hosts."""

    name: str
    arch: str
    ram_mb: int
    tflops: float
    dlperf: float
    compute_cap: int
    mem_bw_gb_s: float
    max_power_w: float
    max_temp_c: float
    nvlink_gb_s: float


@dataclass(frozen=True)
class Ask:
    """One slot: ``gpu_ids`` of the machine, offered together under ``id``."""

    id: int
    machine_id: int
    gpu_ids: tuple[int, ...]

    @property
    def num_gpus(self) -> int:
        return len(self.gpu_ids)


@dataclass(frozen=True)
class Machine:
    """One computer of a host: its hardware, what it costs and until when it is listed.

    Prices are USD: ``usd_per_gpu_hour`` on demand, ``min_bid_per_gpu`` interruptible,
    ``storage_cost`` per GB and month, ``inet_*_cost`` per GB. ``disk_gb`` is what all its asks
    share; ``held_gpus`` are rented by others for as long as the market lives. ``listed_until``
    is the end of the listing in epoch seconds; ``relisted_s`` how long the host lists it anew
    when that has passed, 0 for one that leaves.
    """

    machine_id: int
    host_id: int
    bundle_id: int
    cluster_id: int | None
    gpu: Gpu
    num_gpus: int
    gpu_lanes: int
    gpu_display_active: bool
    asks: tuple[Ask, ...]
    held_gpus: frozenset[int]
    cpu_name: str
    cpu_arch: str
    cpu_cores: int
    cpu_ghz: float
    cpu_ram_mb: int
    has_avx: int
    mobo_name: str
    pci_gen: float
    pcie_bw_gb_s: float
    os_version: str
    driver_version: str
    cuda_max_good: float
    disk_name: str
    disk_gb: float
    disk_bw_mb_s: float
    inet_up_mbit_s: float
    inet_down_mbit_s: float
    inet_up_cost: float
    inet_down_cost: float
    direct_port_count: int
    static_ip: bool
    public_ipaddr: str
    hostname: str | None
    geolocation: str
    hosting_type: int
    usd_per_gpu_hour: float
    min_bid_per_gpu: float
    storage_cost: float
    discount_max: float
    verification: str
    reliability: float
    vms_enabled: bool
    listed_from: float
    listed_until: float
    relisted_s: float

    @property
    def country_code(self) -> str:
        return self.geolocation.rpartition(", ")[2]

    def end_date(self, now: float) -> float:
        """End of the listing as it stands at ``now``, epoch seconds; past if the host left."""
        late = now - self.listed_until
        if late < 0 or self.relisted_s <= 0:
            return self.listed_until
        return self.listed_until + (late // self.relisted_s + 1) * self.relisted_s

    def usd_per_hour(self, num_gpus: int) -> float:
        """On demand, GPUs only, for a contract of ``num_gpus``; what ``dph_base`` says."""
        return round(self.usd_per_gpu_hour * num_gpus, 6)

    def storage_usd_per_hour(self, disk_gb: float) -> float:
        """What ``disk_gb`` costs per hour, running or not."""
        return self.storage_cost * disk_gb / HOURS_PER_MONTH

    def disk_share_gb(self, num_gpus: int) -> float:
        """The most disk a contract of ``num_gpus`` can have; what ``disk_space`` offers."""
        return round(self.disk_gb * num_gpus / self.num_gpus, 1)


@dataclass(frozen=True)
class Occupancy:
    """Who holds GPUs of one machine: ``on_demand`` ones, and running ``bids`` by GPU.

    A bid is USD per GPU and hour. A GPU is in at most one of the two.
    """

    on_demand: frozenset[int] = frozenset()
    bids: Mapping[int, float] = field(default_factory=dict)


EMPTY = Occupancy()


def is_rented(machine: Machine, ask: Ask, occupancy: Occupancy = EMPTY) -> bool:
    """Whether an on-demand contract, ours or a stranger's, holds a GPU of the ask.

    Such an ask can be rented by nobody, at no price; any other can be, on demand or by a bid of
    at least ``min_bid``.
    """
    return not (
        occupancy.on_demand.isdisjoint(ask.gpu_ids) and machine.held_gpus.isdisjoint(ask.gpu_ids)
    )


def asks_left(machine: Machine, occupancy: Occupancy = EMPTY) -> tuple[Ask, ...]:
    """The asks that still fit, smallest first."""
    return tuple(ask for ask in machine.asks if not is_rented(machine, ask, occupancy))


def min_bid(machine: Machine, ask: Ask, occupancy: Occupancy = EMPTY) -> float:
    """USD per hour for the whole ask that outbids whoever runs there, and the host's floor."""
    floor = machine.min_bid_per_gpu
    running = [occupancy.bids[gpu] for gpu in ask.gpu_ids if gpu in occupancy.bids]
    per_gpu = max([floor, *(bid * BID_STEP for bid in running)])
    return round(per_gpu * ask.num_gpus, 6)
