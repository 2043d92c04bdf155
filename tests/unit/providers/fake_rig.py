"""A fake provider whose clock a test moves."""

from __future__ import annotations

from typing import Any

from vast_pyworker.model import Launch, Offer
from vast_pyworker.providers.fake import FakeProvider

START = 1_760_000_000.0
LAUNCH = Launch(backend="helloworld", image="image", disk_gb=20.0)


def offer(number: int, usd_per_hour: float = 0.40, **fields: Any) -> Offer:
    known: dict[str, Any] = {
        "id": number,
        "machine_id": 1000 + number,
        "host_id": 2000 + number,
        "gpu_name": "RTX 4090",
        "num_gpus": 1,
        "gpu_ram_mb": 24_564.0,
        "usd_per_hour": usd_per_hour,
        "usd_per_hour_stopped": None,
        "disk_gb": 500.0,
        "reliability": 0.99,
    }
    return Offer(**{**known, **fields})


class FakeSite:
    """Three offers at 0.40 $/h; a disk of 20 GB costs 0.004."""

    def __init__(self, **options: Any) -> None:
        self.at = START
        given = {"offers": [offer(n) for n in (1, 2, 3)], **options}
        self.fake = FakeProvider(lambda: self.at, **given)

    def pass_time(self, seconds: float) -> None:
        self.at += seconds

    def rent(self, label: str = "fleet/g/1", **changes: Any) -> int:
        launch = Launch(**{**vars(LAUNCH), **changes})
        bid = launch.bid_usd_per_hour
        found = self.fake.offers("", disk_gb=launch.disk_gb, bid_usd_per_hour=bid)
        return self.fake.create(found[0], launch, label, {}).instance_id

    def running(self, label: str = "fleet/g/1", **changes: Any) -> int:
        number = self.rent(label, **changes)
        self.pass_time(60.0)
        return number
