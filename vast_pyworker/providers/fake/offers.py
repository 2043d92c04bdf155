"""The offers of the fake: drawn by a seed, found by a query, priced with a disk. Pure."""

from __future__ import annotations

import operator
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from vast_pyworker.model import Offer
from vast_pyworker.vastai.query import parse_query

from .bill import MICRO, micro

HOURS_PER_MONTH = 720
BID_SHARE = 0.5  # of the price on demand: the least bid that is taken

# name, MB of one GPU, dollars an hour, deep-learning performance
_GPUS = (
    ("RTX 3090", 24_576.0, 0.16, 34.0),
    ("RTX 4090", 24_564.0, 0.35, 88.0),
    ("RTX 5090", 32_607.0, 0.55, 130.0),
    ("A100 SXM4", 81_920.0, 0.95, 180.0),
    ("H100 SXM", 81_559.0, 2.10, 420.0),
)
_PLACES = ("Sweden, SE", "Texas, US", "Bulgaria, BG", "Japan, JP")
_COLUMNS: Mapping[str, Callable[[Offer], Any]] = {
    "id": lambda offer: offer.id,
    "machine_id": lambda offer: offer.machine_id,
    "host_id": lambda offer: offer.host_id,
    "gpu_name": lambda offer: offer.gpu_name,
    "num_gpus": lambda offer: offer.num_gpus,
    "gpu_ram": lambda offer: offer.gpu_ram_mb,
    "dph_total": lambda offer: offer.usd_per_hour,
    "disk_space": lambda offer: offer.disk_gb,
    "reliability": lambda offer: offer.reliability,
    "reliability2": lambda offer: offer.reliability,
    "dlperf": lambda offer: offer.dlperf,
    "geolocation": lambda offer: offer.place,
    "duration": lambda offer: offer.available_s,
}
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "in": lambda actual, wanted: actual in wanted,
    "notin": lambda actual, wanted: actual not in wanted,
}


def make_offers(count: int, *, seed: object = 0) -> list[Offer]:
    """The same for the same seed: two machines to a host, one GPU to two each, no end in sight.

    ``usd_per_hour`` is without any disk.
    """
    rng = random.Random(f"offers/{seed}")
    return [_draw(rng, number) for number in range(count)]


def _draw(rng: random.Random, number: int) -> Offer:
    name, ram_mb, price, dlperf = rng.choice(_GPUS)
    gpus = rng.choice((1, 1, 1, 2))
    return Offer(
        id=100_000 + number,
        machine_id=10_000 + number,
        host_id=1_000 + number // 2,
        gpu_name=name,
        num_gpus=gpus,
        gpu_ram_mb=ram_mb,
        usd_per_hour=round(gpus * price * rng.uniform(0.8, 1.4), 4),
        usd_per_hour_stopped=None,
        disk_gb=rng.choice((250.0, 500.0, 1000.0)),
        reliability=round(rng.uniform(0.95, 0.9999), 4),
        dlperf=gpus * dlperf,
        place=rng.choice(_PLACES),
    )


def priced(offer: Offer, gpu_micro: int, disk_micro: int) -> Offer:
    """The offer at so many micro-dollars an hour for its GPUs and for the disk."""
    return replace(
        offer,
        usd_per_hour=(gpu_micro + disk_micro) / MICRO,
        usd_per_hour_stopped=disk_micro / MICRO,
    )


def disk_micro_per_hour(usd_per_gb_month: float, disk_gb: float) -> int:
    """What a disk costs an hour, micro-dollars."""
    return micro(usd_per_gb_month * disk_gb / HOURS_PER_MONTH)


def matcher(query: str) -> Callable[[Offer], bool]:
    """Whether an offer matches the text. Conditions on what the fake's offers do not say
    (``verified``, ``cuda_vers``, ...) hold for all. Raises QueryError."""
    tests = [
        (_COLUMNS[column], _COMPARE[name], wanted)
        for column, conditions in parse_query(query).items()
        for name, wanted in conditions.items()
        if column in _COLUMNS
    ]

    def matches(offer: Offer) -> bool:
        return all(_holds(read(offer), compare, wanted) for read, compare, wanted in tests)

    return matches


def _holds(actual: Any, compare: Callable[[Any, Any], bool], wanted: Any) -> bool:
    """Values of a query are text; what is not known matches nothing."""
    if actual is None:
        return False
    if isinstance(actual, str):
        return compare(actual, wanted)
    try:
        number = [float(each) for each in wanted] if isinstance(wanted, list) else float(wanted)
    except (TypeError, ValueError):
        return False
    return compare(float(actual), number)
