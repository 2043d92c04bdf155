"""The life of an instance as its fields tell it: pure changes of one contract, and start-up times.

Each function here makes the phase and the four state fields agree with one thing that happened.
GPUs, money, processes and the order of things are the business of ``moves``.
"""

from __future__ import annotations

import math
import random

from vast_pyworker.market.supply.machines import Machine

from .contracts import (
    BROKEN,
    EXITED,
    EXPIRED,
    FAILED,
    LOADING,
    QUEUED,
    REBOOTING,
    RUNNING,
    STOPPED,
    STUCK,
    Contract,
)

OUTBID_SHAPES = ("stopped", "exited", "intended")
"""How an outbid one was seen in the field: all stopped; ``exited`` and all else stopped; or
intended to run, and stopped."""

OCI_FAILURE = (
    ": OCI runtime create failed: runc create failed: unable to start container process: "
    "error during container init: nvidia-container-cli: initialization error: unknown\n"
)
_TYPICAL_PULL_S = 40.0
_SPREAD = 0.5
_RESTART_SHARE = 0.2
"""A restart has its image already."""

Plan = list[tuple[float, str]]
"""Seconds from the step before, and what happens then."""


def rng_of(seed: object, contract: Contract) -> random.Random:
    """The draws of one start of one contract: made when needed, and always the same."""
    return random.Random(f"{seed}/{contract.id}/{contract.starts}")


def image_gb(image: str) -> float:
    """How large an image is: the same for the same name, usually some gigabytes."""
    rng = random.Random(image.encode("utf-8", "surrogatepass"))
    size = math.exp(rng.gauss(math.log(4.0), 0.6))
    return round(min(max(size, 0.1), 40.0), 3)


def traffic_gb_per_hour(seed: object, contract: Contract) -> tuple[float, float]:
    """What a running one sends and receives by itself, up and down: the same all its life."""
    rng = random.Random(f"{seed}/traffic/{contract.id}")
    return math.exp(rng.gauss(math.log(0.02), 0.8)), math.exp(rng.gauss(math.log(0.05), 0.8))


def start_up_s(contract: Contract, machine: Machine, rng: random.Random, median_s: float) -> float:
    """How long a start takes: lognormal around the median, longer for a large image over a thin
    line, and much shorter where the image is there already."""
    drawn = median_s * math.exp(rng.gauss(0.0, _SPREAD))
    if contract.pulled:
        return drawn * _RESTART_SHARE
    pull_s = image_gb(contract.launch.image) * 8000.0 / max(machine.inet_down_mbit_s, 1.0)
    return drawn * min(max(math.sqrt(pull_s / _TYPICAL_PULL_S), 0.5), 3.0)


def plan_start(contract: Contract, machine: Machine, rng: random.Random, median_s: float) -> Plan:
    """The steps from no status to running, or to where it goes wrong."""
    total = start_up_s(contract, machine, rng, median_s)
    steps = [(total * 0.1, "pull")]
    if contract.fate == STUCK:
        return steps
    if contract.fate == BROKEN:
        return [*steps, (total * 0.85, "fail")]
    if rng.random() < 0.5:
        return [*steps, (total * 0.85, "made"), (total * 0.05, "run")]
    return [*steps, (total * 0.9, "run")]


def begin(contract: Contract, rng: random.Random) -> None:
    """It has its GPUs and starts. A fresh one has no status yet."""
    _enter(contract, LOADING)
    contract.wants = True
    contract.intended = contract.next = "running"
    contract.cur = "stopped" if not contract.pulled and rng.random() < 0.15 else "running"
    contract.actual = "loading" if contract.pulled else None
    contract.status_msg = None


def pull(contract: Contract) -> None:
    repository, _, tag = contract.launch.image.partition(":")
    contract.actual = "loading"
    contract.status_msg = f"{tag or 'latest'}: Pulling from {repository}\n"


def made(contract: Contract) -> None:
    contract.actual = "created"
    contract.status_msg = ""


def fail(contract: Contract) -> None:
    _enter(contract, FAILED)
    contract.actual = "created"
    contract.status_msg = OCI_FAILURE


def run(contract: Contract, ports: dict[tuple[int, str], int], at: float) -> None:
    _enter(contract, RUNNING)
    contract.pulled = True
    contract.ports = ports
    contract.running_since = at
    contract.actual = "running"
    contract.intended = contract.cur = contract.next = "running"
    contract.status_msg = f"success, running {contract.launch.image}/{access_of(contract)}\n"


def reboot(contract: Contract) -> None:
    _enter(contract, REBOOTING)
    contract.actual = "rebooting"


def exit_(contract: Contract, code: int) -> None:
    """The process ended by itself: nobody wanted that, so all but the container says running."""
    _enter(contract, EXITED)
    contract.actual = "exited"
    contract.status_msg = f"container exited with code {code}\n"


def stop(contract: Contract, *, phase: str = STOPPED) -> None:
    """By its owner, for want of credit, or (``EXPIRED``) at its end. Some containers then say
    ``exited`` and some ``stopped``."""
    was_made = contract.starts > 0
    _enter(contract, phase)
    contract.wants = False
    contract.intended = contract.cur = contract.next = "stopped"
    contract.actual = "exited" if was_made and contract.id % 2 else "stopped"


def expire(contract: Contract) -> None:
    stop(contract, phase=EXPIRED)


def outbid(contract: Contract, shape: str) -> None:
    """It lost its GPUs, or never got them, and waits for them; it cannot be told from a stop."""
    _enter(contract, QUEUED)
    contract.wants = True
    contract.intended = "running" if shape == "intended" else "stopped"
    contract.cur = contract.next = "stopped"
    contract.actual = "exited" if shape == "exited" else "stopped"


def queue(contract: Contract) -> None:
    """A start that must wait ("Scheduling"): it may come hours later."""
    _enter(contract, QUEUED)
    contract.wants = True
    contract.intended = contract.next = "running"
    contract.cur = "stopped"


def access_of(contract: Contract) -> str:
    """``ssh``, ``jupyter`` or ``args``."""
    for access in ("jupyter", "args"):
        if access in contract.launch.runtype:
            return access
    return "ssh"


def _enter(contract: Contract, phase: str) -> None:
    contract.phase = phase
    contract.stamp += 1
    contract.ports = None
    contract.running_since = None
