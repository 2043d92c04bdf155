"""Everything one worker is, gathered: settings, the Backend object, the books, the gates.

Made once by the composition root and handed to whoever needs it. Holds; does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vast_pyworker.engine import Origin, Timeouts
from vast_pyworker.settings import Settings

from .contract.loading import Loaded
from .phases.readiness import Readiness
from .reports.accounting import Accounting
from .traffic.admission import Gate
from .traffic.auth import Gatekeeper
from .traffic.sessions import Sessions

EXTENSION = "pyworker"
CONCURRENCY = 1024
"""Requests at once where neither route nor backend says: bounded, but above any model's batch."""
UPDATE_MARK = Path("/.force_update")
"""Where Vast's start script looks whether it shall fetch the worker anew."""


@dataclass
class Worker:
    """One process, one Backend object, all its state.

    ``gate`` is shared by the routes that name no concurrency of their own; ``gates`` are all of
    them by route. ``passages`` are the requests on their way, for cancelling.
    ``status`` are parts that have a word to say in /pyworker/status; ``evidence`` hears what the
    2024 log watch reports, ``on_cancelled`` the id of each request that was cancelled on its way
    (from any thread; it must not block). ``update_mark`` is touched where an update is asked for.
    ``upstream_metrics`` asks the model server for its own and raises OSError or HTTPException; None
    where it has none. ``parts`` are what modules keep for themselves.
    """

    settings: Settings
    loaded: Loaded
    backend: Any
    accounting: Accounting
    readiness: Readiness
    gatekeeper: Gatekeeper
    sessions: Sessions
    origin: Origin
    timeouts: Timeouts
    gate: Gate
    gates: dict[str, Gate] = field(default_factory=dict)
    passages: set[Any] = field(default_factory=set)
    status: dict[str, Callable[[], Any]] = field(default_factory=dict)
    evidence: Callable[[str, Mapping[str, Any]], None] | None = None
    on_cancelled: Callable[[str], None] | None = None
    update_mark: Path = UPDATE_MARK
    render_metrics: Callable[[], bytes] = bytes
    upstream_metrics: Callable[[], bytes] | None = None
    parts: dict[str, Any] = field(default_factory=dict)

    @property
    def queued(self) -> int:
        """Requests that wait at any gate."""
        gates = {id(gate): gate for gate in tuple(self.gates.values())}  # many routes may share one
        return sum(gate.queued for gate in gates.values())


def timeouts_of(settings: Settings) -> Timeouts:
    return Timeouts(
        connect_s=settings.connect_timeout_s,
        first_byte_s=settings.first_byte_timeout_s,
        silence_s=settings.silence_timeout_s,
        total_s=settings.total_timeout_s,
    )


def shared_gate(backend: object, settings: Settings, readiness: Readiness) -> Gate:
    """The gate of all routes without one of their own: as wide as the backend says."""
    return Gate(
        settings.model_concurrency or getattr(backend, "concurrency", None) or CONCURRENCY,
        settings.max_queue,
        settings.queue_timeout_s,
        on_saturated=readiness.set_saturated,
    )
