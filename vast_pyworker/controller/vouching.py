"""Instances that said once that they are ready, as magister's do, and report nothing.

Wraps the ears: what has vouched for itself and was never heard counts as ready. Whether it lives is
then for the provider's word and for who gives it work to say (``DELETE /drop/ID``). Remembered in
the ledger, so that a restart of the controller forgets nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from vast_pyworker.controller.ledger.notes import Notes
from vast_pyworker.controller.policy.observation import Load
from vast_pyworker.model import Report

from .traffic.ears import Ears
from .traffic.hearing import Hearing
from .traffic.places import Place

NOTE = "vouched"


class Vouching:
    """Implements ``Ears`` over others."""

    def __init__(self, ears: Ears, notes: Notes) -> None:
        self._ears = ears
        self._notes = notes
        self._lock = threading.Lock()
        self._vouched: frozenset[str] = frozenset(notes.get(NOTE, []))
        self._places: Mapping[int, Place] = {}

    def vouch(self, intent_id: str) -> bool:
        """The instance of an intent says that it is ready; whether that is new."""
        with self._lock:
            if intent_id in self._vouched:
                return False
            self._keep(self._vouched | {intent_id})
            return True

    def hearings(self, mono: float) -> Mapping[int, Hearing]:
        heard = dict(self._ears.hearings(mono))
        vouched = self._vouched
        if not vouched:
            return heard
        for number, place in self._places.items():
            if place.intent_id in vouched and number not in heard:
                heard[number] = Hearing(Report(number, ""), 0.0, 0.0, ready=True)
        return heard

    def load(self, endpoint: str, mono: float) -> Load:
        return self._ears.load(endpoint, mono)

    def publish(self, places: Mapping[int, Place]) -> None:
        self._places = places
        self._ears.publish(places)
        with self._lock:
            left = self._vouched & {each.intent_id for each in places.values()}
            if left != self._vouched:
                self._keep(left)

    def _keep(self, vouched: frozenset[str]) -> None:
        self._notes.put(NOTE, sorted(vouched))
        self._vouched = vouched
