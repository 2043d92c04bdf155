"""What the controller's ears know of one worker, cut down to what a tick needs. Pure."""

from __future__ import annotations

from msgspec import Struct

from vast_pyworker.model import Report


class Hearing(Struct, frozen=True, gc=False):
    """The latest word of one worker.

    ``received_at`` is Unix seconds, ``silent_s`` the age of it by a clock that never goes back.
    ``perf`` is in units of work a second, ``load`` in units; None is unknown. ``error`` is "" where
    the worker says that it is well. ``granted_s`` is how long ago a client was last sent to it,
    None for never since it is known here.
    """

    report: Report
    received_at: float
    silent_s: float
    ready: bool
    error: str = ""
    perf: float | None = None
    load: float | None = None
    in_flight: int | None = None
    granted_s: float | None = None
