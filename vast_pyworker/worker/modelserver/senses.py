"""The ways in which a model server is watched from outside, made from its spec.

What is here: the seams, and the real things behind them. What is not: when they are used
(``lifecycle``) and what they tell (``evidence``, ``vigil``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from vast_pyworker.worker.contract.spec import ModelSpec
from vast_pyworker.worker.logwatch import LineListener, LogWatch
from vast_pyworker.worker.modellog.patterns import Match, PatternTable
from vast_pyworker.worker.modellog.tail import Tail

from .asking import address_of, fetch
from .counters import read_counters
from .probe import Probe, health_probe, port_probe, with_health_hook
from .progress import DownloadMeter

Gauges = Callable[[], Mapping[str, float]]  # names and values; raises OSError or HTTPException


class LogSource(Protocol):
    """A log. ``poll`` returns within a fraction of a second; ``behind``: there is more at once."""

    @property
    def behind(self) -> bool: ...

    @property
    def matches(self) -> Mapping[str, int]:
        """Matches so far, by action."""
        ...

    def poll(self, now: float) -> list[Match]: ...

    def renew(self, start: int | None) -> None: ...

    def close(self) -> None: ...

    def document(self) -> dict[str, Any]: ...


@dataclass
class Senses:
    """What there is to watch a model with; None: nothing of that kind.

    ``probe`` and ``gauges`` may block for the probe's timeout, ``download.look`` for a disk's.
    """

    log: LogSource | None = None
    probe: Probe | None = None
    gauges: Gauges | None = None
    download: DownloadMeter | None = None


def senses_of(model: ModelSpec, listener: LineListener | None = None) -> Senses:
    """The real ones for ``model``. ``listener`` is handed every line of the log as well."""
    if not model.evidence:
        return Senses()
    log = None
    if model.log_path is not None:
        log = LogWatch(Tail(model.log_path), PatternTable(model.patterns), listener=listener)
    return Senses(
        log=log,
        probe=_probe_of(model),
        gauges=_gauges_of(model),
        download=DownloadMeter(model.download_dir, model.download_bytes),
    )


def _probe_of(model: ModelSpec) -> Probe:
    timeout_s = model.limits.probe_timeout_s or 20.0
    probe = None
    if model.health_url is not None:
        probe = health_probe(model.health_url, timeout_s)
    if model.hooks.health is not None:
        return with_health_hook(probe, model.hooks.health)
    return probe or port_probe(model.server_url, timeout_s)


def _gauges_of(model: ModelSpec) -> Gauges | None:
    if model.gauges_url is None:
        return None
    address, timeout_s = address_of(model.gauges_url), model.limits.probe_timeout_s or 20.0
    own = (model.running_gauge, model.waiting_gauge)
    names = frozenset([*model.progress_counters, *(name for name in own if name)])

    def read() -> dict[str, float]:
        return read_counters(fetch(address, timeout_s).decode("utf-8", "replace"), names)

    return read
