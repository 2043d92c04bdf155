"""The GPU models that are rented, how common each is, and what it typically costs.

Figures are a model's ordinary ones; what a single machine reports is drawn around them.
"""

from __future__ import annotations

import random
from typing import NamedTuple


class GpuModel(NamedTuple):
    """``share`` of hosts that have it; ``usd_per_hour`` of a verified machine, for one GPU.

    ``ram_mb`` are the sizes that drivers report, commonest first; ``sizes`` the GPUs in one
    machine; ``pci_gen`` the newest it speaks; ``nvlink_gb_s`` 0 where there is none.
    """

    name: str
    share: float
    usd_per_hour: float
    ram_mb: tuple[int, ...]
    tflops: float
    dlperf: float
    compute_cap: int
    mem_bw_gb_s: float
    max_power_w: int
    sizes: tuple[int, ...]
    pci_gen: int = 4
    nvlink_gb_s: float = 0.0

    @property
    def rack(self) -> bool:
        """Whether it belongs in a server."""
        return self.sizes in (_SERVER, _FULL)


_DESK = (1, 1, 1, 2)
_RIG = (1, 1, 2, 2, 4, 4, 6, 8)
_SERVER = (1, 2, 4, 4, 8, 8)
_FULL = (4, 8, 8, 8)

MODELS = (
    GpuModel("RTX 4090", 19.0, 0.36, (24564, 24576, 24217), 81.5, 98, 890, 860, 450, _RIG),
    GpuModel("RTX 3090", 13.0, 0.17, (24576, 24268, 24260), 35.3, 47, 860, 820, 350, _RIG),
    GpuModel("RTX 5090", 10.0, 0.54, (32607, 32606, 32110), 104.3, 196, 1200, 1510, 575, _RIG, 5),
    GpuModel("RTX 4070S Ti", 2.5, 0.14, (16376, 16380), 43.6, 55, 890, 610, 285, _DESK),
    GpuModel("RTX 4080", 2.0, 0.19, (16376, 16380), 48.4, 58, 890, 640, 320, _DESK),
    GpuModel("RTX 4080S", 2.0, 0.20, (16376, 16380, 32760), 51.6, 60, 890, 660, 320, _RIG),
    GpuModel("RTX 4070 Ti", 1.5, 0.12, (12282, 12281), 39.8, 45, 890, 450, 285, _DESK),
    GpuModel("RTX 4070", 1.5, 0.10, (12282, 12281), 28.9, 36, 890, 450, 200, _DESK),
    GpuModel("RTX 4060 Ti", 3.0, 0.09, (16380, 16379, 8188), 21.8, 27, 890, 260, 165, _RIG),
    GpuModel("RTX 4060", 1.2, 0.06, (8188, 8187), 15.0, 19, 890, 240, 115, _DESK),
    GpuModel("RTX 5080", 2.5, 0.24, (16303, 16302), 55.2, 92, 1200, 830, 360, _DESK, 5),
    GpuModel("RTX 5070 Ti", 2.5, 0.17, (16303, 16302), 43.1, 72, 1200, 770, 300, _DESK, 5),
    GpuModel("RTX 5070", 1.2, 0.12, (12227, 12226), 30.4, 52, 1200, 580, 250, _DESK, 5),
    GpuModel("RTX 5060 Ti", 2.5, 0.11, (16311, 16310, 8151), 23.6, 38, 1200, 390, 180, _DESK, 5),
    GpuModel("RTX 3090 Ti", 0.8, 0.20, (24564, 24576), 39.9, 51, 860, 880, 450, _DESK),
    GpuModel("RTX 3080 Ti", 1.5, 0.12, (12288, 12053), 34.0, 42, 860, 790, 350, _DESK),
    GpuModel("RTX 3080", 2.5, 0.10, (10240, 10018, 12288), 29.6, 37, 860, 660, 320, _RIG),
    GpuModel("RTX 3070", 2.0, 0.07, (8192, 7982), 20.4, 26, 860, 400, 220, _RIG),
    GpuModel("RTX 3060", 3.5, 0.055, (12288, 12053), 12.8, 18, 860, 320, 170, _RIG),
    GpuModel("RTX 3060 Ti", 1.0, 0.065, (8192, 7982), 16.3, 23, 860, 400, 200, _RIG),
    GpuModel("RTX 2080 Ti", 1.5, 0.085, (11264, 11019, 22528), 14.2, 23, 750, 540, 260, _RIG, 3),
    GpuModel("RTX 2060S", 0.4, 0.05, (8192,), 7.3, 12, 750, 400, 175, _DESK, 3),
    GpuModel("Titan RTX", 0.3, 0.14, (24576,), 16.6, 27, 750, 580, 280, _DESK, 3),
    GpuModel("GTX 1080 Ti", 0.8, 0.055, (11264, 11178), 11.6, 12, 610, 430, 250, _RIG, 3),
    GpuModel("GTX 1660 S", 0.4, 0.035, (6144,), 5.1, 8, 750, 300, 125, _DESK, 3),
    GpuModel("RTX A2000", 0.4, 0.06, (12282, 6138), 8.1, 12, 860, 260, 70, _DESK),
    GpuModel("RTX A4000", 2.0, 0.10, (16376, 15352, 15364), 19.4, 25, 860, 390, 140, _SERVER),
    GpuModel("RTX A5000", 2.0, 0.20, (24564, 23028, 24256), 27.5, 37, 860, 660, 230, _SERVER),
    GpuModel(
        "RTX A6000", 2.5, 0.42, (49140, 46068, 48669), 38.7, 50, 860, 660, 300, _SERVER, 4, 56.2
    ),
    GpuModel("RTX 4000Ada", 0.8, 0.19, (20475, 19188), 26.6, 33, 890, 310, 130, _SERVER),
    GpuModel("RTX 4500Ada", 0.4, 0.28, (24570, 23034), 39.6, 46, 890, 390, 210, _SERVER),
    GpuModel("RTX 5000Ada", 0.5, 0.44, (32760, 30712), 65.0, 70, 890, 520, 250, _SERVER),
    GpuModel("RTX 6000Ada", 2.0, 0.66, (49140, 46068), 90.6, 92, 890, 850, 300, _SERVER),
    GpuModel("RTX PRO 4000", 0.5, 0.27, (24467,), 46.0, 66, 1200, 620, 140, _SERVER, 5),
    GpuModel("RTX PRO 6000 S", 1.5, 0.98, (97887, 97871), 117.0, 205, 1200, 1440, 600, _FULL, 5),
    GpuModel("RTX PRO 6000 WS", 1.8, 0.92, (97887, 97250), 121.0, 210, 1200, 1560, 600, _SERVER, 5),
    GpuModel("Q RTX 8000", 0.6, 0.24, (49152, 46080), 16.3, 26, 750, 560, 260, _SERVER, 3),
    GpuModel("Tesla T4", 0.8, 0.13, (15360, 15109, 16127), 8.1, 12, 750, 240, 70, _SERVER, 3),
    GpuModel(
        "Tesla V100", 1.8, 0.18, (32768, 16384, 16160), 14.1, 33, 700, 800, 300, _SERVER, 3, 124.1
    ),
    GpuModel("Tesla P40", 0.4, 0.09, (24576, 23040), 11.8, 12, 610, 300, 250, _SERVER, 3),
    GpuModel("L4", 0.8, 0.31, (23034, 22494), 30.3, 32, 890, 250, 72, _SERVER),
    GpuModel("L40", 1.0, 0.58, (46068, 45596), 90.5, 83, 890, 690, 300, _SERVER),
    GpuModel("L40S", 2.2, 0.64, (46068, 45589), 91.6, 92, 890, 700, 350, _SERVER),
    GpuModel("A10", 0.7, 0.22, (23028, 22731), 31.2, 34, 860, 480, 150, _SERVER),
    GpuModel("A40", 1.2, 0.36, (46068, 45634), 37.4, 46, 860, 560, 300, _SERVER),
    GpuModel("A100 PCIE", 2.0, 0.72, (40960, 81920, 40536), 19.5, 145, 800, 1390, 300, _SERVER),
    GpuModel(
        "A100 SXM4", 3.5, 0.95, (81920, 40960, 81251), 19.5, 185, 800, 1560, 400, _FULL, 4, 275.8
    ),
    GpuModel("H100 PCIE", 0.7, 1.85, (81559, 81079), 51.0, 330, 900, 1690, 350, _SERVER, 5),
    GpuModel("H100 NVL", 1.0, 1.92, (95830, 95320), 60.0, 390, 900, 3060, 400, _SERVER, 5),
    GpuModel("H100 SXM", 3.2, 2.05, (81559, 81079), 66.9, 470, 900, 2670, 700, _FULL, 5, 407.9),
    GpuModel("H200", 1.6, 2.60, (143771, 143156), 66.9, 515, 900, 3810, 700, _FULL, 5, 407.9),
    GpuModel("H200 NVL", 0.6, 2.35, (143771,), 60.0, 450, 900, 3800, 600, _SERVER, 5),
    GpuModel("B200", 0.7, 4.10, (183359, 182642), 74.5, 830, 1000, 6700, 1000, _FULL, 5, 814.0),
)
_SHARES = tuple(model.share for model in MODELS)
_RACK = tuple(model for model in MODELS if model.rack)
_RACK_SHARES = tuple(model.share for model in _RACK)


def draw_model(rng: random.Random, *, datacenter: bool) -> GpuModel:
    """Datacenters have server models three times out of four."""
    if datacenter and rng.random() < 0.75:
        return rng.choices(_RACK, _RACK_SHARES)[0]
    return rng.choices(MODELS, _SHARES)[0]
