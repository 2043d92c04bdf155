"""Draws one host: who it is, what its machines are made of, and what it asks for them.

Everything is drawn from the host's own generator, in one fixed order, so that a host does not
depend on how many others there are. Ids come from outside.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from . import hardware
from .gpus import GpuModel, draw_model
from .machines import Ask, Gpu, Machine
from .places import Place, draw_place

DAY_S = 86400.0
_GB_S_PER_LANE = {3: 0.985, 4: 1.969, 5: 3.938}


@dataclass(frozen=True)
class Host:
    """What the machines of one host share."""

    number: int
    host_id: int
    model: GpuModel
    gpu_ram_mb: int
    datacenter: bool
    place: Place
    machines: int
    full: bool


class Ids:
    """Hands out machine and ask ids that rise by irregular steps, as where others count too."""

    def __init__(self, *, machine: int, ask: int) -> None:
        self._machine = machine
        self._ask = ask

    def machine(self, rng: random.Random) -> int:
        self._machine += rng.randint(1, 9)
        return self._machine

    def asks(
        self, rng: random.Random, machine_id: int, slots: Iterator[tuple[int, ...]]
    ) -> Iterator[Ask]:
        for gpu_ids in slots:
            self._ask += rng.randint(1, 25)
            yield Ask(self._ask, machine_id, gpu_ids)


def draw_host(rng: random.Random, *, number: int, host_id: int, large: bool) -> Host:
    """``large`` is a datacenter with hundreds of GPUs."""
    datacenter = large or rng.random() < 0.16
    model = draw_model(rng, datacenter=datacenter)
    while large and not model.rack:
        model = draw_model(rng, datacenter=True)
    return Host(
        number=number,
        host_id=host_id,
        model=model,
        gpu_ram_mb=_ram(rng, model),
        datacenter=datacenter,
        place=draw_place(rng),
        machines=rng.randint(24, 40) if large else _machine_count(rng, datacenter),
        full=large,
    )


def draw_machine(rng: random.Random, host: Host, ids: Ids, *, epoch: float) -> Machine:
    """One machine of ``host``; its listing began before ``epoch`` and ends after it."""
    machine_id = ids.machine(rng)
    model, ram_mb = host.model, host.gpu_ram_mb
    if not host.full and rng.random() < 0.2:
        model = draw_model(rng, datacenter=host.datacenter)
        ram_mb = _ram(rng, model)
    count = max(model.sizes) if host.full else rng.choice(model.sizes)
    standing = _standing(rng, host)
    return Machine(
        machine_id=machine_id,
        host_id=host.host_id,
        bundle_id=rng.randrange(10**8, 10**9),
        geolocation=host.place.name,
        hosting_type=int(host.datacenter),
        num_gpus=count,
        gpu=_gpu(rng, model, ram_mb),
        asks=tuple(ids.asks(rng, machine_id, slots(count))),
        held_gpus=_held(rng, host, count),
        **standing,
        **_body(rng, model, count),
        **_line(rng, host),
        **_prices(rng, host, model, ram_mb, standing),
        **_listing(rng, epoch),
    )


def slots(num_gpus: int) -> Iterator[tuple[int, ...]]:
    """GPU ids of every ask: 1, 2, 4, ... side by side, and all of them."""
    size = 1
    while size < num_gpus:
        for first in range(0, num_gpus - size + 1, size):
            yield tuple(range(first, first + size))
        size *= 2
    yield tuple(range(num_gpus))


def _ram(rng: random.Random, model: GpuModel) -> int:
    first, *others = model.ram_mb
    return rng.choice(others) if others and rng.random() < 0.45 else first


def _machine_count(rng: random.Random, datacenter: bool) -> int:
    few = rng.choices((1, 2, 3, 4, 6, 9), (72, 14, 6, 4, 3, 1))[0]
    return few + rng.randint(0, 4) if datacenter else few


def _gpu(rng: random.Random, model: GpuModel, ram_mb: int) -> Gpu:
    return Gpu(
        name=model.name,
        arch="nvidia",
        ram_mb=ram_mb,
        tflops=round(model.tflops * rng.uniform(0.97, 1.03), 4),
        dlperf=round(model.dlperf * rng.uniform(0.84, 1.06), 6),
        compute_cap=model.compute_cap,
        mem_bw_gb_s=round(model.mem_bw_gb_s * rng.uniform(0.92, 1.03), 1),
        max_power_w=float(model.max_power_w),
        max_temp_c=float(rng.randint(82, 92)),
        nvlink_gb_s=model.nvlink_gb_s,
    )


def _held(rng: random.Random, host: Host, count: int) -> frozenset[int]:
    """GPUs that strangers rent. The first host has none, so that no market is sold out."""
    draw, some = rng.random(), rng.randint(1, count)
    if host.number == 0 or draw < 0.58:
        return frozenset()
    return frozenset(range(count if draw > 0.8 else some))


def _standing(rng: random.Random, host: Host) -> dict[str, Any]:
    """Verification and reliability, which go together."""
    draw = rng.random()
    verified = 0.95 if host.datacenter else 0.66
    verification, typical, spread = "verified", 0.0055, 1.0
    if draw >= verified and host.number:
        verification, typical, spread = "unverified", 0.022, 1.2
    if draw >= 1 - 0.2 * (1 - verified) and host.number:
        verification, typical, spread = "deverified", 0.11, 0.8
    if host.datacenter:
        typical /= 3
    missing = min(0.7, rng.lognormvariate(math.log(typical), spread))
    return {
        "verification": verification,
        "reliability": round(1 - missing, 7),
        "vms_enabled": rng.random() < (0.5 if host.datacenter else 0.2),
    }


def _body(rng: random.Random, model: GpuModel, count: int) -> dict[str, Any]:
    platform = hardware.draw_platform(rng, num_gpus=count, rack=model.rack, pci_gen=model.pci_gen)
    disk = hardware.draw_disk(rng, rack=model.rack)
    driver = hardware.draw_driver(rng, model.compute_cap)
    pci_gen = min(platform.pci_gen, model.pci_gen)
    lanes = 16 if model.rack or count <= 2 else rng.choice((16, 16, 8, 8, 4))
    ram_gib = rng.choice(platform.ram_gb)
    typical_gb = 900.0 * count if model.rack else 260.0 + 330.0 * count
    return {
        "cpu_name": platform.cpu,
        "cpu_arch": "amd64",
        "cpu_cores": platform.threads,
        "cpu_ghz": platform.ghz,
        "cpu_ram_mb": int(ram_gib * 1024 * rng.uniform(0.976, 0.986)),
        "has_avx": platform.has_avx,
        "mobo_name": platform.board,
        "gpu_lanes": lanes,
        "gpu_display_active": count == 1 and not model.rack and rng.random() < 0.15,
        "pci_gen": float(pci_gen),
        "pcie_bw_gb_s": round(lanes * _GB_S_PER_LANE[pci_gen] * rng.uniform(0.62, 0.84), 1),
        "os_version": rng.choices(("22.04", "24.04", "20.04"), (70, 20, 10))[0],
        "driver_version": driver.version,
        "cuda_max_good": driver.cuda,
        "disk_name": disk.name,
        "disk_bw_mb_s": round(disk.mb_s * rng.uniform(0.55, 1.02), 1),
        "disk_gb": round(min(30000.0, rng.lognormvariate(math.log(typical_gb), 0.6)), 1),
    }


def _line(rng: random.Random, host: Host) -> dict[str, Any]:
    """Addresses are of 198.18.0.0/15, which is nobody's."""
    down = rng.lognormvariate(math.log(3200 if host.datacenter else 640), 0.65) * host.place.speed
    line = 10_000.0 if host.datacenter else rng.choice((1000.0, 1000.0, 2500.0, 10_000.0))
    down = min(down, line * rng.uniform(0.78, 0.95))
    up = down * min(1.0, rng.lognormvariate(math.log(0.85 if host.datacenter else 0.6), 0.4))
    ports = rng.choices((0, 8, 20, 49, 99, 199, 249, 499, 999), (4, 6, 8, 12, 25, 15, 15, 10, 5))[0]
    last = rng.randrange(2**17)
    return {
        "inet_down_mbit_s": round(max(down, 12.0), 1),
        "inet_up_mbit_s": round(max(up, 5.0), 1),
        "direct_port_count": max(ports, 199) if host.datacenter else ports,
        "static_ip": rng.random() < (0.95 if host.datacenter else 0.35),
        "public_ipaddr": f"198.{18 + (last >> 16)}.{last >> 8 & 255}.{last & 255}",
        "hostname": None,
        "cluster_id": host.host_id if host.full else None,
    }


def _prices(
    rng: random.Random, host: Host, model: GpuModel, ram_mb: int, standing: dict[str, Any]
) -> dict[str, Any]:
    """Hosts set round prices; strangers' trust and memory move them."""
    typical = model.usd_per_hour * math.sqrt(ram_mb / model.ram_mb[0])
    typical *= {"verified": 1.0, "unverified": 0.86, "deverified": 0.74}[standing["verification"]]
    typical *= 1 - 0.6 * (1 - standing["reliability"])
    typical *= 1.22 if host.datacenter else 1.0
    step = 0.001 if typical < 1 else 0.01
    asked = max(step, round(rng.lognormvariate(math.log(typical), 0.17) / step) * step)
    traffic = rng.choices((0.0, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02), (14, 8, 16, 22, 18, 14, 8))
    return {
        "usd_per_gpu_hour": round(asked, 6),
        "min_bid_per_gpu": round(max(0.001, asked * min(1.0, rng.gauss(0.5, 0.09))), 6),
        "storage_cost": round(min(1.0, max(0.03, rng.lognormvariate(math.log(0.15), 0.4))), 2),
        "inet_up_cost": traffic[0],
        "inet_down_cost": round(traffic[0] * rng.choice((1.0, 1.0, 0.5)), 6),
        "discount_max": round(rng.choice((0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5)), 2),
    }


def _listing(rng: random.Random, epoch: float) -> dict[str, Any]:
    """Most end within days or a few months and are then listed anew; one in seven leaves."""
    days = rng.choices(((0.2, 3.0), (3.0, 30.0), (30.0, 120.0), (120.0, 365.0)), (10, 42, 33, 15))
    term_s = round(rng.uniform(20, 90) * DAY_S)
    relists = rng.random() < 0.86
    return {
        "listed_from": epoch - round(rng.uniform(0.1, 300) * DAY_S),
        "listed_until": epoch + round(rng.uniform(*days[0]) * DAY_S),
        "relisted_s": float(term_s) if relists else 0.0,
    }
