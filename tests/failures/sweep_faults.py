"""Which fault strikes in a run, how and how often: drawn from the run's own seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

from sweep_ground import LATE_S

from vast_pyworker.market.faults.book import Fault
from vast_pyworker.market.faults.kinds import ANSWER_KINDS, WORLD_KINDS, check_params

OF_LISTS = ("stale_list", "missing_page", "empty_list")
RETRIED = (
    "latency", "too_many", "error_before", "error_after", "reset_before", "reset_after",
    "truncated", "not_json",
)  # fmt: skip
"""Kinds after which a read, or a call that may be repeated, is sent again."""
LASTING = ("offer_gone", "offline", "start_queued", "outbid")
"""Kinds that may leave a market without the offer they struck."""
FEW = 3
"""So many failures in a row are outlived."""


@dataclass(frozen=True)
class Trouble:
    """``always``: every call while it lasts. ``passes``: it is over before the client gives up."""

    kind: str
    fault: Fault
    always: bool

    @property
    def passes(self) -> bool:
        return not self.always and sum(self.fault.script or ()) <= FEW

    @property
    def too_late(self) -> bool:
        """Whether answers come after the client has hung up."""
        return self.kind == "latency" and self.fault.params["seconds"] >= LATE_S

    @property
    def of_world(self) -> bool:
        return self.kind in WORLD_KINDS

    def sooner(self) -> Trouble:
        """The same, but never too late."""
        if not self.too_late:
            return self
        return replace(self, fault=replace(self.fault, params={"seconds": LATE_S / 2}))


def trouble(kind: str, calls: tuple[str, ...], rng: random.Random, passing: bool) -> Trouble:
    """``passing``: it may not last for ever."""
    always = not passing and rng.random() < 0.2
    script = None if always else _script(rng)
    params = check_params(kind, _params(kind, rng))
    return Trouble(kind, Fault(kind, calls, script=script, params=params), always)


def _script(rng: random.Random) -> tuple[int, ...]:
    """Some of the first few calls, at least one."""
    shape = rng.random()
    if shape < 0.5:
        return (1,)
    if shape < 0.75:
        return (1,) * rng.randint(2, FEW)
    script = [int(rng.random() < 0.5) for _ in range(rng.randint(1, 7))]
    script[rng.randrange(len(script))] = 1
    return tuple(script)


def _params(kind: str, rng: random.Random) -> dict[str, Any]:
    if kind in WORLD_KINDS and rng.random() < 0.3:
        return {"after_s": rng.choice((0.5, 5.0, 40.0)), **_own(kind, rng)}
    return _own(kind, rng)


def _own(kind: str, rng: random.Random) -> dict[str, Any]:
    choose = rng.choice
    drawn: dict[str, Any] = {
        "latency": {"seconds": choose((0.2, 1.0, 3.0, 5.0)) if rng.random() < 0.9 else 45.0},
        "too_many": {
            "form": choose(("detail", "msg", "text", "bucket")),
            "threshold_s": choose((0.8, 3.0, 5.5)),
            "retry_after_s": choose((None, None, 0.0, 2.0, 20.0)),
        },
        "error_before": {"status": choose((500, 502, 503, 504))},
        "error_after": {"status": choose((500, 502, 503, 504))},
        "refused_200": {
            "error": choose(("try_again", "busy", "internal", "")),
            "msg": choose(("Something went wrong, try again.", "Later.")),
        },
        "truncated": {"keep": rng.random()},
        "null_fields": {"share": choose((0.05, 0.3, 0.7, 1.0))},
        "stale_list": {"age_s": choose((0.0, 10.0, 60.0, 3600.0))},
        "missing_page": {"page": choose((None, 1, 2))},
        "duplicate": {"share": choose((0.0, 0.3, 1.0))},
        "price_change": {"factor": choose((0.5, 0.8, 1.25, 2.0))},
        "exited": {"code": rng.randrange(256)},
        "offline": {"unknown_s": choose((0.0, 60.0)), "back_s": choose((5.0, 600.0))},
        "outbid": {
            "shape": choose((None, "stopped", "exited", "intended")),
            "back_s": choose((None, 20.0)),
        },
        "start_queued": {"free_s": choose((None, 20.0, 600.0))},
    }
    return drawn.get(kind, {})


KINDS = (*ANSWER_KINDS, *WORLD_KINDS)
