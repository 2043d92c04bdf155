"""The one way into the world: locked, caught up with the clock, and struck by what the fault book
sends for the call."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from . import passing
from .faults import blows
from .faults.book import Fault, FaultBook
from .instances.launching import AT_CREATE
from .world.clock import Clock
from .world.world import World


class Gate:
    """Whoever has come through may do with the world what it likes, and leaves it whole."""

    def __init__(self, world: World, clock: Clock, faults: FaultBook) -> None:
        self.world = world
        self._clock = clock
        self._faults = faults
        self._lock = threading.RLock()

    @contextmanager
    def now(self) -> Iterator[World]:
        """The world as it is now."""
        with self._lock:
            yield self.caught_up()

    @contextmanager
    def call(
        self, name: str, account: int | None = None, instance_id: int | None = None
    ) -> Iterator[World]:
        """As ``now``, after the world's faults for this call have done their work."""
        with self._lock:
            world = self.caught_up()
            self.befall(self._faults.draw(name, world=True), account, instance_id)
            yield world

    @contextmanager
    def creating(self, name: str, account: int) -> Iterator[tuple[World, dict[str, Fault]]]:
        """The world and the faults that change a create, by kind; the others of this call befall
        what it makes, or where it makes nothing any instance of the account."""
        with self._lock:
            world = self.caught_up()
            drawn = self._faults.draw(name, world=True)
            coming = world.next_contract
            yield world, {each.kind: each for each in drawn if each.kind in AT_CREATE}
            made = coming if coming in world.contracts else None
            self.befall((each for each in drawn if each.kind not in AT_CREATE), account, made)

    def befall(self, faults: Iterable[Fault], account: int | None, instance_id: int | None) -> None:
        """An instance that is not the account's own is left alone: any of its own is struck."""
        for fault in faults:
            mine = account is None or self.world.mine(account, instance_id) is not None
            struck = instance_id if mine else None
            blows.befall(self.world, fault.kind, fault.params, account=account, instance_id=struck)

    def caught_up(self) -> World:
        """Everything due has happened. To be called with the gate held."""
        passing.catch_up(self.world, self._clock.now())
        passing.show_credit(self.world)
        return self.world
