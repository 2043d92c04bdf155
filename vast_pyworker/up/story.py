"""Tells what happens: each instance's stages as they change, and what the controller says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_MEANINGS = {
    "ordered": "is being rented",
    "loading": "is rented; its image is loaded",
    "joining": "runs; its worker has not reported yet",
    "warming": "its worker reports; the model is loaded and measured",
    "ready": "is ready",
    "suspect": "is suspect",
    "draining": "finishes its requests",
    "stopping": "is being stopped",
    "destroying": "is being destroyed",
}


class Story:
    """``tell`` gets one line for each thing that is new."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._stages: dict[str, str] = {}
        self._last_event = 0
        self._last_gist = ""

    @property
    def last_event(self) -> int:
        return self._last_event

    def members(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Tell of every instance whose stage has changed, and of those that are gone."""
        now = {str(row["intent"]): row for row in rows}
        for intent, row in now.items():
            if self._stages.get(intent) != row["stage"]:
                self._tell(_line(row))
        for intent in self._stages.keys() - now.keys():
            self._tell(f"  instance of intent {intent[:8]} is gone")
        self._stages = {intent: str(row["stage"]) for intent, row in now.items()}

    def sentences(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Tell what the controller said since the last time, but not where only numbers differ."""
        for row in rows:
            self._last_event = max(self._last_event, int(row["id"]))
            gist = re.sub(r"\(.*?\)|[\d.$]+", "", str(row["sentence"]))
            if gist != self._last_gist:
                self._tell(f"* {row['sentence']}")
            self._last_gist = gist


def _line(row: Mapping[str, Any]) -> str:
    name = f"instance {row['id']}" if row["id"] else "an instance"
    meaning = _MEANINGS.get(str(row["stage"]), str(row["stage"]))
    where = f" ({row['gpu']}, {row['place']}, ${row['usd_per_hour']:.3f}/h)" if row["gpu"] else ""
    error = f": {row['error']}" if row["error"] else ""
    return f"  {name}{where} {meaning}{error}"
