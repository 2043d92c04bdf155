"""What befalls a fleet in a hostile hour: faults of the market, and blows against instances."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from contextlib import suppress
from typing import Any

import psutil
import requests

from .services import Controller, Market

_READING = ["search", "list", "show"]
_DOING = ["create", "destroy", "stop", "start", "reboot"]
_ALL = [*_READING, *_DOING, "charges"]


def _fault(kind: str, calls: list[str], probability: float, **params: Any) -> dict[str, Any]:
    return {"kind": kind, "calls": calls, "probability": probability, "params": params}


FAULTS = (
    _fault("latency", _ALL, 0.05, seconds=0.5),
    _fault("too_many", _ALL, 0.05),
    _fault("error_before", _ALL, 0.05, status=502),
    _fault("error_after", _DOING, 0.1),
    _fault("reset_before", _ALL, 0.03),
    _fault("reset_after", _DOING, 0.1),
    _fault("refused_200", _DOING, 0.05),
    _fault("truncated", _ALL, 0.03),
    _fault("not_json", _ALL, 0.03),
    _fault("null_fields", ["list", "search"], 0.03),
    _fault("stale_list", ["list"], 0.05, age_s=10.0),
    _fault("empty_list", ["list"], 0.05),
    _fault("duplicate", ["list"], 0.05),
    _fault("offer_gone", ["create"], 0.1),
    _fault("create_stopped", ["create"], 0.1),
    _fault("price_change", ["create"], 0.1, factor=1.2),
    _fault("stuck_loading", ["create"], 0.05),
    _fault("oci_failure", ["create"], 0.05),
)


class Blows:
    """Strikes one instance at a time, the same ones for the same seed and the same fleet."""

    def __init__(self, market: Market, controller: Controller, seed: int) -> None:
        self._market = market
        self._controller = controller
        self._random = random.Random(seed)
        self.came: Counter[str] = Counter()
        self._kinds = {
            "worker crashed": self._crash,
            "worker killed": self._kill,
            "worker hung": self._hang,
            "instance exited": lambda each: self._market.strike("exited", each),
            "host offline": self._lose,
            "deleted by another": lambda each: self._market.destroy(each),
        }

    def strike(self, members: list[dict[str, Any]]) -> str:
        """Do something to one of those that are ready; what it was."""
        ready = [each["id"] for each in members if each["stage"] == "ready"]
        if not ready:
            return ""
        kind = self._random.choice(list(self._kinds))
        number = self._random.choice(sorted(ready))
        try:
            self._kinds[kind](number)
        except requests.RequestException as exc:
            return f"{kind}: {number} (the market: {type(exc).__name__})"
        self.came[kind] += 1
        return f"{kind}: {number}"

    def _crash(self, number: int) -> None:
        """The process that serves; its master starts another."""
        self._signal(number, signal.SIGKILL, children_only=True)

    def _kill(self, number: int) -> None:
        """All of the worker: nobody starts it again."""
        self._signal(number, signal.SIGKILL)

    def _hang(self, number: int) -> None:
        self._signal(number, signal.SIGSTOP)

    def _lose(self, number: int) -> None:
        self._market.strike("offline", number, unknown_s=5.0, back_s=20.0)

    def _signal(self, number: int, what: int, *, children_only: bool = False) -> None:
        processes = self._market.processes(number)
        pids = {each.pid for each in processes}
        for each in processes:
            with suppress(psutil.Error, OSError):
                if not children_only or each.ppid() in pids:
                    os.kill(each.pid, what)
