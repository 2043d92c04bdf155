"""Searches of offers, each with what its words mean, said a second time and in another way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
Keeps = Callable[[Row], bool]
ALL = 5_000

# What a search asks for unless it speaks of the field itself.
DEFAULTS: Mapping[str, Keeps] = {
    "verified": lambda row: row["verification"] == "verified",
    "external": lambda row: not row["external"],
    "rentable": lambda row: bool(row["rentable"]),
}


@dataclass(frozen=True)
class Search:
    """``keeps`` says of a row whether ``query`` means it; ``spoken`` takes defaults away."""

    query: str
    keeps: Keeps = lambda row: True
    order: str = "score-"
    kind: str = "on-demand"
    disk_gb: float = 5.0
    spoken: tuple[str, ...] = ()
    defaults: bool = True
    limit: int = ALL

    def means(self, row: Row) -> bool:
        kept = [test for name, test in DEFAULTS.items() if name not in self.spoken]
        return self.keeps(row) and (not self.defaults or all(test(row) for test in kept))

    def answer(self, world: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What of ``world`` is to be found; equals in an order stay as they are in ``world``."""
        found = [row for row in world if self.means(row)]
        for name in reversed(self.order.split(",")):
            column = {"dph": "dph_total"}.get(name, name.rstrip("-"))
            found.sort(key=lambda row, c=column: row[c], reverse=name.endswith("-"))  # type: ignore[misc]
        return found[: self.limit]


SEARCHES = (
    Search(""),
    Search("num_gpus=1 gpu_name=RTX_4090",
           lambda row: row["num_gpus"] == 1 and row["gpu_name"] == "RTX 4090", "dph_total,id"),
    Search("num_gpus>=4 gpu_ram>=40",
           lambda row: row["num_gpus"] >= 4 and row["gpu_ram"] >= 40_000),
    Search("gpu_total_ram>160", lambda row: row["gpu_total_ram"] > 160_000),
    Search("dph<0.5", lambda row: row["dph_total"] < 0.5, "dph,id"),
    Search("gpu_name in [RTX_4090,RTX_3090]",
           lambda row: row["gpu_name"] in ("RTX 4090", "RTX 3090")),
    Search("gpu_name!=B200", lambda row: row["gpu_name"] != "B200", "num_gpus-,dph_total,id",
           limit=7),
    Search("gpu_name notin [B200,RTX_A5000]",
           lambda row: row["gpu_name"] not in ("B200", "RTX A5000")),
    Search("geolocation=US", lambda row: row["country_code"] == "US"),
    Search("geolocation notin [US,CN]", lambda row: row["country_code"] not in ("US", "CN")),
    Search("cuda_vers>=12.6 compute_cap>=800",
           lambda row: row["cuda_max_good"] >= 12.6 and row["compute_cap"] >= 800),
    Search("driver_version>=570.000.000",
           lambda row: int(row["driver_version"].split(".")[0]) >= 570),
    Search("disk_space>=500", lambda row: row["disk_space"] >= 500, disk_gb=200.0),
    Search("num_gpus=2", lambda row: row["num_gpus"] == 2, "min_bid,id", kind="bid"),
    Search("num_gpus=1", lambda row: row["num_gpus"] == 1, kind="reserved"),
    Search("verified=any rentable=any", spoken=("verified", "rentable")),
    Search("verified=False", lambda row: row["verification"] != "verified",
           spoken=("verified",)),
    Search("rentable=False", lambda row: not row["rentable"], spoken=("rentable",)),
    Search("rented=True", lambda row: bool(row["rented"]), defaults=False),
    Search("datacenter=true", lambda row: row["hosting_type"] == 1),
    Search("static_ip=True direct_port_count>10",
           lambda row: row["static_ip"] and row["direct_port_count"] > 10),
    Search("inet_down>400 inet_up>=200",
           lambda row: row["inet_down"] > 400 and row["inet_up"] >= 200),
    Search("cpu_ram>64 cpu_cores_effective>=16",
           lambda row: row["cpu_ram"] > 64_000 and row["cpu_cores_effective"] >= 16),
    Search("reliability>0.99 duration>30",
           lambda row: row["reliability"] > 0.99 and row["duration"] > 30 * 86_400),
    Search("dlperf_usd>200 total_flops>=20",
           lambda row: row["dlperf_per_dphtotal"] > 200 and row["total_flops"] >= 20),
    Search("gpu_frac=1.0 cpu_arch=amd64 has_avx=True",
           lambda row: row["gpu_frac"] == 1 and row["cpu_arch"] == "amd64" and row["has_avx"]),
    Search("num_gpus=3", lambda row: row["num_gpus"] == 3),
)  # fmt: skip
