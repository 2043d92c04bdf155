"""Offers and instances as frozen values, read tolerantly from the rows of the API.

Any field may be None: missing, null or of a wrong type. Units are in the names and made the same
here and nowhere else: sizes in MB and GB (decimal), speeds in Mbit/s and GB/s, times in Unix
seconds, money in US dollars. ``raw`` keeps the row as it came, unknown fields and all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import values
from .states import InstanceState, Wish, derive

HOURS_PER_MONTH = 720  # what the storage price of the API is divided by


@dataclass(frozen=True)
class Offer:
    """Something that can be rented. ``id`` is what ``Instances.create`` takes."""

    id: int
    machine_id: int | None = None
    host_id: int | None = None
    gpu_name: str | None = None
    num_gpus: int | None = None
    gpu_frac: float | None = None  # 0 to 1: this offer's share of the machine's GPUs
    gpu_ram_mb: float | None = None  # of one GPU
    gpu_total_ram_mb: float | None = None
    gpu_mem_bw_gb_s: float | None = None
    compute_cap: int | None = None  # 900 is 9.0
    cuda_max: float | None = None
    driver_version: str | None = None
    total_tflops: float | None = None
    dlperf: float | None = None
    cpu_name: str | None = None
    cpu_cores: float | None = None  # those of this offer
    cpu_ram_mb: float | None = None
    disk_space_gb: float | None = None
    disk_bw_mb_s: float | None = None
    inet_up_mbit_s: float | None = None
    inet_down_mbit_s: float | None = None
    direct_ports: int | None = None
    static_ip: bool | None = None
    public_ip: str | None = None
    geolocation: str | None = None
    datacenter: bool | None = None
    verification: str | None = None
    reliability: float | None = None  # 0 to 1
    rentable: bool | None = None
    rented: bool | None = None
    is_bid: bool | None = None
    usd_per_hour: float | None = None  # with the disk that was searched for
    gpu_usd_per_hour: float | None = None  # without any disk
    min_bid_usd_per_hour: float | None = None
    storage_usd_per_gb_month: float | None = None
    inet_up_usd_per_gb: float | None = None
    inet_down_usd_per_gb: float | None = None
    duration_s: float | None = None  # for how long it can be had
    ends_at: float | None = None
    score: float | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Offer | None:
        """None where the row has no id: it cannot be rented."""
        known = _read(row, _OFFER)
        if known["id"] is None:
            known["id"] = values.whole(row.get("ask_contract_id"))
        return None if known["id"] is None else cls(**known, reliability=_reliability(row), raw=row)

    def usd_per_hour_with(self, disk_gb: float) -> float | None:
        """On demand, with ``disk_gb`` of disk; None where a price is unknown."""
        if self.gpu_usd_per_hour is None or self.storage_usd_per_gb_month is None:
            return None
        return self.gpu_usd_per_hour + self.storage_usd_per_gb_month * disk_gb / HOURS_PER_MONTH


@dataclass(frozen=True)
class Address:
    """Where something listens. Host and port of one address are never mixed with another's."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Instance:
    """What exists. ``read_at`` is when the row was read, Unix seconds."""

    id: int
    label: str | None = None
    machine_id: int | None = None
    host_id: int | None = None
    image: str | None = None
    image_runtype: str | None = None
    template_hash: str | None = None
    actual_status: str | None = None
    intended_status: str | None = None
    cur_state: str | None = None
    next_state: str | None = None
    status_msg: str | None = None
    public_ip: str | None = None
    ssh_host: str | None = None  # of the proxy, which goes with ssh_port and nothing else
    ssh_port: int | None = None
    gpu_name: str | None = None
    num_gpus: int | None = None
    gpu_ram_mb: float | None = None
    gpu_util_percent: float | None = None
    gpu_temp_c: float | None = None
    cpu_cores: float | None = None
    cpu_ram_mb: float | None = None
    disk_gb: float | None = None
    disk_used_gb: float | None = None
    inet_up_mbit_s: float | None = None
    inet_down_mbit_s: float | None = None
    geolocation: str | None = None
    verification: str | None = None
    reliability: float | None = None
    is_bid: bool | None = None
    min_bid_usd_per_hour: float | None = None  # what the machine asks of bids now
    gpu_usd_per_hour: float | None = None  # of an interruptible instance: its bid
    usd_per_hour: float | None = None  # while it runs, disk included
    storage_usd_per_gb_month: float | None = None
    inet_up_usd_per_gb: float | None = None
    inet_down_usd_per_gb: float | None = None
    created_at: float | None = None
    ends_at: float | None = None
    uptime_minutes: float | None = None
    ports: Mapping[str, int] = field(default_factory=dict)  # "8000/tcp" -> port of public_ip
    env: Mapping[str, str] | None = field(default=None, repr=False)
    read_at: float = 0.0
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, row: Mapping[str, Any], read_at: float) -> Instance | None:
        """None where the row has no id: it is not a row of an instance."""
        known = _read(row, _INSTANCE)
        if known["id"] is None:
            return None
        known["reliability"] = _reliability(row)
        known["ports"] = values.host_ports(row.get("ports"))
        known["env"] = values.pairs(row.get("extra_env"))
        return cls(**known, read_at=read_at, raw=row)

    @property
    def state(self) -> InstanceState:
        """As of ``read_at``, for a caller who does not know what is wanted of it."""
        return derive(self, now=self.read_at)

    def state_for(self, intended: Wish, now: float | None = None) -> InstanceState:
        """As ``state``, for a caller who wants it ``intended``: only so is an outbid certain."""
        return derive(self, intended=intended, now=self.read_at if now is None else now)

    @property
    def usd_per_hour_now(self) -> float | None:
        """What it costs in its present state; None where the row does not say."""
        return values.number(values.mapping(self.raw.get("instance")).get("totalHour"))

    @property
    def ssh_proxy(self) -> Address | None:
        """Works first, and through any firewall; with Jupyter the proxy listens one port higher."""
        if not self.ssh_host or self.ssh_port is None:
            return None
        jupyter = "jupyter" in (self.image_runtype or "")
        return Address(self.ssh_host, self.ssh_port + (1 if jupyter else 0))

    @property
    def ssh_direct(self) -> Address | None:
        return self.address(22)

    def address(self, port: int, protocol: str = "tcp") -> Address | None:
        """Where ``port`` of the container is reached from outside; None unless it is mapped now."""
        mapped = self.ports.get(f"{port}/{protocol}")
        return Address(self.public_ip, mapped) if self.public_ip and mapped else None


def _read(row: Mapping[str, Any], table: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    return {name: read(row.get(key)) for name, (key, read) in table.items()}


def _reliability(row: Mapping[str, Any]) -> float | None:
    """Offers name it twice, instances once; both mean the same."""
    first = values.not_negative(row.get("reliability2"))
    return values.not_negative(row.get("reliability")) if first is None else first


_BOTH: dict[str, tuple[str, Any]] = {
    "id": ("id", values.whole),
    "machine_id": ("machine_id", values.whole),
    "host_id": ("host_id", values.whole),
    "gpu_name": ("gpu_name", values.text),
    "num_gpus": ("num_gpus", values.whole),
    "gpu_ram_mb": ("gpu_ram", values.not_negative),
    "cpu_cores": ("cpu_cores_effective", values.not_negative),
    "cpu_ram_mb": ("cpu_ram", values.not_negative),
    "inet_up_mbit_s": ("inet_up", values.not_negative),
    "inet_down_mbit_s": ("inet_down", values.not_negative),
    "inet_up_usd_per_gb": ("inet_up_cost", values.not_negative),
    "inet_down_usd_per_gb": ("inet_down_cost", values.not_negative),
    "public_ip": ("public_ipaddr", values.text),
    "geolocation": ("geolocation", values.text),
    "verification": ("verification", values.text),
    "is_bid": ("is_bid", values.flag),
    "usd_per_hour": ("dph_total", values.not_negative),
    "gpu_usd_per_hour": ("dph_base", values.not_negative),
    "min_bid_usd_per_hour": ("min_bid", values.not_negative),
    "storage_usd_per_gb_month": ("storage_cost", values.not_negative),
    "ends_at": ("end_date", values.positive),
}

_OFFER: dict[str, tuple[str, Any]] = {
    **_BOTH,
    "gpu_frac": ("gpu_frac", values.not_negative),
    "gpu_total_ram_mb": ("gpu_total_ram", values.not_negative),
    "gpu_mem_bw_gb_s": ("gpu_mem_bw", values.not_negative),
    "compute_cap": ("compute_cap", values.whole),
    "cuda_max": ("cuda_max_good", values.not_negative),
    "driver_version": ("driver_version", values.text),
    "total_tflops": ("total_flops", values.not_negative),
    "dlperf": ("dlperf", values.not_negative),
    "cpu_name": ("cpu_name", values.text),
    "disk_space_gb": ("disk_space", values.not_negative),
    "disk_bw_mb_s": ("disk_bw", values.not_negative),
    "direct_ports": ("direct_port_count", values.whole),
    "static_ip": ("static_ip", values.flag),
    "datacenter": ("hosting_type", values.flag),
    "rentable": ("rentable", values.flag),
    "rented": ("rented", values.flag),
    "duration_s": ("duration", values.not_negative),
    "score": ("score", values.number),
}

_INSTANCE: dict[str, tuple[str, Any]] = {
    **_BOTH,
    "label": ("label", values.text),
    "image": ("image_uuid", values.text),
    "image_runtype": ("image_runtype", values.text),
    "template_hash": ("template_hash_id", values.text),
    "actual_status": ("actual_status", values.text),
    "intended_status": ("intended_status", values.text),
    "cur_state": ("cur_state", values.text),
    "next_state": ("next_state", values.text),
    "status_msg": ("status_msg", values.text),
    "ssh_host": ("ssh_host", values.text),
    "ssh_port": ("ssh_port", values.whole),
    "gpu_util_percent": ("gpu_util", values.not_negative),
    "gpu_temp_c": ("gpu_temp", values.number),
    "disk_gb": ("disk_space", values.not_negative),
    "disk_used_gb": ("disk_usage", values.not_negative),
    "created_at": ("start_date", values.positive),
    "uptime_minutes": ("uptime_mins", values.not_negative),
}
