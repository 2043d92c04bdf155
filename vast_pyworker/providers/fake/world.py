"""The fake's world: who holds which GPUs, what instances do as time passes, what each costs.

Everything happens at ``World.at`` (Unix seconds), which only ``catch_up`` moves, never back. What
a caller may ask for is in ``provider``; what happens without being asked for, in ``outside``.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from vast_pyworker.errors import NotFound
from vast_pyworker.model import Instance, Launch, Offer, Phase
from vast_pyworker.providers.protocol import PriceIncrease

from .bill import MICRO, UNITS_PER_MICRO, Bill, micro
from .boxes import HOLDS, WAITS, Box, Slot, Times, row_of
from .offers import disk_micro_per_hour

KEPT_AFTER_END_S = 48 * 3600.0
STRANGER = -1  # holds GPUs and is none of ours
FIRST_ID = 20_000_001


class World:
    """Entered by ``now``, which has the lock; its methods want it held."""

    def __init__(
        self,
        clock: Callable[[], float],
        offers: Iterable[Offer],
        *,
        times: Times,
        credit_usd: float | None,
        storage_usd_per_gb_month: float,
    ) -> None:
        self.times = times
        self.bill = Bill()
        self.slots = {each.id: Slot(each, micro(each.usd_per_hour)) for each in offers}
        self.boxes: dict[int, Box] = {}
        self.changes: deque[tuple[float, int, Instance | None]] = deque()
        self.increases: dict[int, PriceIncrease] = {}
        self.at = clock()
        self._clock = clock
        self._lock = threading.RLock()
        self._free = dict.fromkeys(self.slots)
        self._storage = storage_usd_per_gb_month
        self._paid = None if credit_usd is None else micro(credit_usd) * UNITS_PER_MICRO
        self._spent = False
        self._events: list[tuple[float, int, int, int | None, Phase | None]] = []
        self._numbers = 0
        self._next_id = FIRST_ID

    # --- time ---

    @contextmanager
    def now(self) -> Iterator[World]:
        """The world as of now, and nobody else's meanwhile."""
        with self._lock:
            self.catch_up(self._clock())
            yield self

    def catch_up(self, now: float) -> None:
        """Do all that is due until ``now``. A clock that goes back changes nothing."""
        while True:
            due = min(self._events[0][0] if self._events else now, now)
            broke_at = self._broke_at()
            if broke_at is not None and broke_at <= micro(due):
                self.at = max(self.at, broke_at / MICRO)
                self._stop_all()
            elif self._events and self._events[0][0] <= now:
                self._happen()
            else:
                break
        self.at = max(self.at, now)

    def micros(self) -> int:
        return micro(self.at)

    def _later(self, delay_s: float, box: Box, phase: Phase | None, stamp: int | None) -> None:
        """It enters ``phase`` then, None: it is deleted; if it still has this stamp, or in any
        case for None."""
        self._numbers += 1
        heapq.heappush(self._events, (self.at + delay_s, self._numbers, box.id, stamp, phase))

    def _happen(self) -> None:
        due, _, instance_id, stamp, phase = heapq.heappop(self._events)
        self.at = max(self.at, due)
        box = self.boxes.get(instance_id)
        if box is None or stamp not in (None, box.stamp):
            return
        if phase is None:
            self.remove(box)
            return
        self.enter(box, phase)
        if phase is Phase.LOADING:
            rest_s = max(0.0, self.times.loading_s - self.times.creating_s)
            self._later(rest_s, box, Phase.RUNNING, box.stamp)
        if phase is Phase.EXPIRED:
            self._later(KEPT_AFTER_END_S, box, None, None)

    # --- money ---

    def credit_usd(self) -> float | None:
        if self._paid is None:
            return None
        return (self._paid - self.bill.total_units(self.micros())) / (UNITS_PER_MICRO * MICRO)

    def set_credit(self, usd: float | None) -> None:
        """From now on there is this much left; None: without end."""
        charged = self.bill.total_units(self.micros())
        self._paid = None if usd is None else micro(usd) * UNITS_PER_MICRO + charged
        self._spent = False
        self.catch_up(self.at)

    def is_broke(self) -> bool:
        return self._paid is not None and self.bill.total_units(self.micros()) >= self._paid

    def _broke_at(self) -> int | None:
        """In microseconds."""
        return None if self._paid is None or self._spent else self.bill.reaches(self._paid)

    def _stop_all(self) -> None:
        self._spent = True
        for box in list(self.boxes.values()):
            if box.phase in HOLDS or box.phase in WAITS:
                self.enter(box, Phase.STOPPED)

    def reprice(self, box: Box, usd_per_hour: float) -> None:
        box.gpu_micro = micro(usd_per_hour) - box.disk_micro
        self.show(box)

    # --- GPUs ---

    def free_slots(self) -> Iterator[Slot]:
        return (self.slots[each] for each in self._free)

    def can_take(self, slot: Slot | None, bid_micro: int | None) -> bool:
        if slot is None or slot.holder is not None or slot.withdrawn:
            return False
        return bid_micro is None or bid_micro >= slot.least_bid_micro

    def offer_with(self, slot: Slot, disk_gb: float, bid_micro: int | None) -> Offer:
        gpu_micro = slot.gpu_micro if bid_micro is None else bid_micro
        return slot.quote(gpu_micro, disk_micro_per_hour(self._storage, disk_gb))

    def hold(self, slot: Slot, holder: int) -> None:
        """The GPUs are this instance's, or a stranger's."""
        slot.holder = holder
        self._free.pop(slot.offer.id, None)

    def release(self, slot: Slot, holder: int) -> None:
        """If they are this holder's, whoever has waited longest gets them, or they are on offer."""
        if slot.holder != holder:
            return
        slot.holder = None
        waiting = next(iter(slot.waiting), None)
        if waiting is not None:
            self.start(self.boxes[waiting])
        elif not slot.withdrawn:
            self._free[slot.offer.id] = None

    def withdraw(self, slot: Slot) -> None:
        slot.withdrawn = True
        self._free.pop(slot.offer.id, None)

    # --- instances ---

    def need(self, instance_id: int) -> Box:
        box = self.boxes.get(instance_id)
        if box is None:
            raise NotFound(f"Instance {instance_id} not found; it is gone or never was.")
        return box

    def add(self, slot: Slot, launch: Launch, label: str, env: Mapping[str, str]) -> Box:
        """A new instance that has its GPUs and comes; ``enter`` for another phase."""
        bid, available_s = launch.bid_usd_per_hour, slot.offer.available_s
        box = Box(
            id=self._next_id,
            label=label,
            slot=slot,
            launch=launch,
            env=env,
            gpu_micro=slot.gpu_micro if bid is None else micro(bid),
            disk_micro=disk_micro_per_hour(self._storage, launch.disk_gb),
            created_at=self.at,
            ends_at=None if available_s is None else self.at + available_s,
        )
        self._next_id += 1
        self.boxes[box.id] = box
        self.enter(box, Phase.CREATING)
        self._later(self.times.creating_s, box, Phase.LOADING, box.stamp)
        if available_s is not None:
            self._later(available_s, box, Phase.EXPIRED, None)
        return box

    def enter(self, box: Box, phase: Phase) -> None:
        """It is in this phase now and stays there, until something else is due or done."""
        box.stamp += 1
        box.phase = phase
        box.slot.waiting.pop(box.id, None)
        if phase in WAITS:
            box.slot.waiting[box.id] = None
        if phase in HOLDS:
            self.hold(box.slot, box.id)
        self.show(box)
        if phase not in HOLDS:
            self.release(box.slot, box.id)

    def start(self, box: Box) -> bool:
        """False where it has to wait for its GPUs."""
        if box.slot.holder not in (None, box.id):
            self.enter(box, Phase.SCHEDULING)
            return False
        self.enter(box, Phase.LOADING)
        self._later(self.times.restart_s, box, Phase.RUNNING, box.stamp)
        return True

    def reboot(self, box: Box) -> None:
        self.enter(box, Phase.REBOOTING)
        self._later(self.times.reboot_s, box, Phase.RUNNING, box.stamp)

    def lose_gpus(self, box: Box, phase: Phase) -> None:
        """Somebody else has its GPUs, and it waits for them in ``phase``."""
        if box.slot.holder in (None, box.id):
            self.hold(box.slot, STRANGER)
        self.enter(box, phase)

    def remove(self, box: Box) -> None:
        """It is gone, and its GPUs are on offer again."""
        del self.boxes[box.id]
        for wish in [each for each in self.increases.values() if each.instance_id == box.id]:
            del self.increases[wish.id]
        self.bill.end(box.id, self.micros())
        self.changes.append((self.at, box.id, None))
        box.slot.waiting.pop(box.id, None)
        self.release(box.slot, box.id)

    def show(self, box: Box) -> None:
        """Write the row anew, and what it costs from now on."""
        self.bill.begin(box.id, box.shown, box.micro_per_hour, self.micros())
        box.row = row_of(box)
        self.changes.append((self.at, box.id, box.row))
