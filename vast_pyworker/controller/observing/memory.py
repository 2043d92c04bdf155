"""The tracks of all members, kept from tick to tick while other threads add to them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from vast_pyworker.controller.traffic.hearing import Hearing
from vast_pyworker.model import ActionKind, Instance, Intent, Member

from .members import Evidence, merge
from .tracks import Track, moved


class Memory:
    """``merge`` and ``move`` are for the loop's thread, the rest for any."""

    def __init__(self) -> None:
        self._tracks: dict[str, Track] = {}
        self._lock = threading.Lock()

    def merge(
        self,
        intents: Iterable[Intent],
        instances: Iterable[Instance],
        heard: Mapping[int, Hearing],
        lease_s: Mapping[str, float],
        now: float,
    ) -> list[Member]:
        """The members of this tick, from a complete list."""
        listed = {each.id: each for each in instances}
        with self._lock:
            evidence = Evidence(listed, heard, self._tracks, lease_s)
            members, self._tracks = merge(intents, evidence, now)
        return members

    def missed(self, intent_id: str) -> int:
        """In how many complete lists in a row the instance of an intent was not seen."""
        track = self._tracks.get(intent_id)
        return track.missed if track else 0

    def note_told(self, intent_id: str, kind: ActionKind, now: float) -> None:
        """It was told to start or reboot."""
        with self._lock:
            track = self._tracks.get(intent_id)
            if track is not None:
                again = track.reboots + (kind is ActionKind.REBOOT)
                self._tracks[intent_id] = replace(track, told_at=now, reboots=again)

    def note_probe(self, intent_id: str, found: bool) -> None:
        """What a direct look at its address found."""
        with self._lock:
            track = self._tracks.get(intent_id)
            if track is not None:
                self._tracks[intent_id] = replace(track, probe_ok=found)

    def move(self, step_s: float) -> None:
        """The wall clock was set by so many seconds."""
        with self._lock:
            self._tracks = {key: moved(each, step_s) for key, each in self._tracks.items()}
