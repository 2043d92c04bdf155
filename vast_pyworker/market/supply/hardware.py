"""What surrounds the GPUs: processors and boards, drivers with their CUDA versions, disks.

Tables, and draws that keep to what goes together: a board that takes that many GPUs, a driver
that knows that GPU.
"""

from __future__ import annotations

import random
from typing import NamedTuple


class Platform(NamedTuple):
    """A processor on its board. ``threads`` of all sockets; ``ram_gb`` what is put in."""

    cpu: str
    board: str
    threads: int
    ghz: float
    pci_gen: int
    ram_gb: tuple[int, ...]
    has_avx: int = 1


_DESKTOPS = (
    Platform(
        "AMD Ryzen 9 5950X 16-Core Processor", "ROG STRIX X570-E GAMING", 32, 4.9, 4, (64, 128)
    ),
    Platform(
        "AMD Ryzen 9 7950X 16-Core Processor", "X670E AORUS MASTER", 32, 5.7, 5, (64, 96, 128)
    ),
    Platform(
        "AMD Ryzen 9 9950X 16-Core Processor", "ProArt X870E-CREATOR WIFI", 32, 5.7, 5, (96, 192)
    ),
    Platform("AMD Ryzen 7 5700X 8-Core Processor", "B550M Pro4", 16, 4.6, 4, (32, 64)),
    Platform("AMD Ryzen 5 3600 6-Core Processor", "B450 TOMAHAWK MAX", 12, 4.2, 3, (16, 32)),
    Platform("Core™ i9-13900K", "Z790 AORUS ELITE AX", 32, 5.8, 5, (64, 128)),
    Platform("Core™ i7-12700KF", "PRO Z690-A DDR4", 20, 5.0, 4, (32, 64)),
    Platform("Core™ i5-10400F", "B460M DS3H", 12, 4.3, 3, (16, 32)),
    Platform("Core™ i7-8700K", "PRIME Z390-P", 12, 4.7, 3, (32, 64)),
)
_WORKSTATIONS = (
    Platform("AMD EPYC 7302 16-Core Processor", "H11SSL-i", 32, 3.3, 3, (64, 128, 256)),
    Platform("AMD EPYC 7402P 24-Core Processor", "ROMED8-2T", 48, 3.4, 4, (128, 256)),
    Platform("AMD EPYC 7532 32-Core Processor", "ROMED8-2T", 64, 3.3, 4, (128, 256, 512)),
    Platform("AMD EPYC 7B13 64-Core Processor", "MZ32-AR0-00", 128, 3.5, 4, (256, 512)),
    Platform(
        "AMD Ryzen Threadripper PRO 5975WX 32-Cores", "WRX80-SU8-IPMI", 64, 4.5, 4, (256, 512)
    ),
    Platform("AMD EPYC 9354 32-Core Processor", "GENOAD8X-2T/BCM", 64, 3.8, 5, (192, 384)),
    Platform("Xeon® E5-2680 v4", "X10DRG-Q", 56, 3.3, 3, (64, 128, 256)),
    Platform("Xeon® E5-2696 v3", "X99-F8", 36, 3.8, 3, (64, 128)),
    Platform("Xeon® Gold 6148", "ESC4000 G4", 80, 3.7, 3, (192, 384)),
)
_SERVERS = (
    Platform("AMD EPYC 7763 64-Core Processor", "G492-ZD2-00", 256, 3.5, 4, (1024, 2048)),
    Platform("AMD EPYC 7543 32-Core Processor", "AS -4124GS-TNR", 128, 3.7, 4, (512, 1024)),
    Platform("AMD EPYC 9554 64-Core Processor", "G593-ZD1-AAX1", 256, 3.8, 5, (1536, 2304)),
    Platform("AMD EPYC 9654 96-Core Processor", "ESC8000A-E12", 384, 3.7, 5, (1536, 2304)),
    Platform("Xeon® Platinum 8480+", "SYS-821GE-TNHR", 224, 3.8, 5, (1024, 2048)),
    Platform("Xeon® Platinum 8462Y+", "PowerEdge XE9680", 128, 4.1, 5, (1024, 2048)),
    Platform("Xeon® Platinum 8358", "PowerEdge XE8545", 128, 3.4, 4, (512, 1024)),
    Platform("Xeon® Gold 6248", "SYS-4029GP-TVRT", 80, 3.9, 3, (384, 768)),
)


def draw_platform(rng: random.Random, *, num_gpus: int, rack: bool, pci_gen: int) -> Platform:
    """One that takes ``num_gpus``; in racks not older than one generation before the GPU."""
    if not rack and num_gpus <= 2:
        return rng.choice(_DESKTOPS)
    if not rack or num_gpus <= 2:
        return rng.choice(_WORKSTATIONS)
    return rng.choice([platform for platform in _SERVERS if platform.pci_gen >= pci_gen])


class Driver(NamedTuple):
    """``cuda`` is the newest CUDA that it runs; ``share`` of hosts that have it."""

    version: str
    cuda: float
    share: float


DRIVERS = (
    Driver("470.256.02", 11.4, 0.4),
    Driver("525.147.05", 12.0, 1.5),
    Driver("535.183.01", 12.2, 6.0),
    Driver("535.230.02", 12.2, 4.0),
    Driver("545.29.06", 12.3, 1.5),
    Driver("550.54.15", 12.4, 4.0),
    Driver("550.127.05", 12.4, 6.0),
    Driver("550.163.01", 12.4, 8.0),
    Driver("555.58.02", 12.5, 1.5),
    Driver("560.35.03", 12.6, 7.0),
    Driver("565.57.01", 12.7, 6.0),
    Driver("565.77", 12.7, 3.0),
    Driver("570.86.15", 12.8, 6.0),
    Driver("570.133.20", 12.8, 9.0),
    Driver("570.172.08", 12.8, 9.0),
    Driver("575.57.08", 12.9, 6.0),
    Driver("575.64.03", 12.9, 6.0),
    Driver("580.65.06", 13.0, 8.0),
    Driver("580.95.05", 13.0, 10.0),
)


def cuda_range(compute_cap: int) -> tuple[float, float]:
    """The CUDA versions in which a GPU of that capability can be found: it needs the first, and
    support for it ends with the last."""
    first = {890: 11.8, 900: 12.0, 1000: 12.8, 1200: 12.8}.get(compute_cap, 11.4)
    return first, 12.9 if compute_cap < 750 else 13.0


def draw_driver(rng: random.Random, compute_cap: int) -> Driver:
    """A driver that knows the GPU; newer ones are commoner."""
    first, last = cuda_range(compute_cap)
    known = [driver for driver in DRIVERS if first <= driver.cuda <= last]
    return rng.choices(known, [driver.share for driver in known])[0]


def driver_number(version: str) -> int:
    """550.54.15 as 550054015; a missing last part counts as 0."""
    major, minor, patch = [*(int(part) for part in version.split(".")), 0][:3]
    return (major * 1000 + minor) * 1000 + patch


class Disk(NamedTuple):
    """``mb_s`` is what it reads; ``share`` relative."""

    name: str
    mb_s: float
    share: float


_DISKS = (
    Disk("Samsung SSD 980 PRO 2TB", 4900, 3),
    Disk("Samsung SSD 990 PRO 4TB", 6100, 3),
    Disk("WD_BLACK SN850X 4000GB", 5800, 3),
    Disk("KINGSTON SNV2S2000G", 2400, 2),
    Disk("CT2000P3PSSD8", 3100, 2),
    Disk("Lexar SSD NM790 4TB", 5600, 1.5),
    Disk("nvme", 2900, 3),
    Disk("Samsung SSD 870", 520, 1.5),
    Disk("CT1000MX500SSD1", 500, 1),
)
_RACK_DISKS = (
    Disk("MTFDKCC3T8TDZ", 6300, 2),
    Disk("SAMSUNG MZQL27T6HBLA-00A07", 6400, 3),
    Disk("SOLIDIGM SSDPF2KX076T1", 6200, 2),
    Disk("MICRON_7450_MTFDKCB7T6TFR", 5900, 2),
    Disk("Dell Ent NVMe CM6 RI 7.68TB", 5800, 1),
    Disk("md0", 9800, 1),
)


def draw_disk(rng: random.Random, *, rack: bool) -> Disk:
    disks = _RACK_DISKS if rack else _DISKS
    return rng.choices(disks, [disk.share for disk in disks])[0]
