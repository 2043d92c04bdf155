"""Where a worker stands: for which endpoint it serves, and by which token it is known."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Place:
    """``mtoken`` is what the worker of this instance must report with; it is never shown."""

    endpoint: str
    group: str
    intent_id: str
    mtoken: str = field(repr=False)
    accepts: bool = True
