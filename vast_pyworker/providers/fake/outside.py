"""What happens to the fake's instances without any call of ours: people, hosts, prices, credit."""

from __future__ import annotations

from vast_pyworker.model import Launch, Phase
from vast_pyworker.providers.protocol import PriceIncrease

from .bill import micro
from .boxes import HOLDS, WAITS
from .world import STRANGER, World

_PLAIN_LAUNCH = Launch(backend="helloworld", image="image")


class Outside:
    """``FakeProvider.outside``. Raises NotFound for an instance that is gone."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._asked = 0

    def befall(self, instance_id: int, phase: Phase) -> bool:
        """It is in this phase now: STOPPED by another hand, OUTBID, EXITED, FAILED, EXPIRED,
        OFFLINE and so on; in LOADING, CREATING, REBOOTING or UNKNOWN it is stuck.

        False, and nothing done, where it would need GPUs that another has.
        """
        with self._world.now() as world:
            box = world.need(instance_id)
            if phase in (Phase.OFFLINE, Phase.UNKNOWN):
                box.lost = phase
                world.show(box)
            elif phase in WAITS:
                world.lose_gpus(box, phase)
            elif phase in HOLDS and box.slot.holder not in (None, box.id):
                return False
            else:
                box.ends_at = world.at if phase is Phase.EXPIRED else box.ends_at
                world.enter(box, phase)
            return True

    def recover(self, instance_id: int) -> None:
        """Back from OFFLINE or UNKNOWN; a stranger on its GPUs goes, and a queued start comes."""
        with self._world.now() as world:
            box = world.need(instance_id)
            box.lost = None
            world.show(box)
            world.release(box.slot, STRANGER)

    def occupy(self, instance_id: int) -> None:
        """A stranger rents the GPUs that a stopped one has given up: its next start is queued."""
        with self._world.now() as world:
            slot = world.need(instance_id).slot
            if slot.holder is None:
                world.hold(slot, STRANGER)

    def vanish(self, instance_id: int) -> None:
        """Somebody else destroys it."""
        with self._world.now() as world:
            world.remove(world.need(instance_id))

    def put(
        self,
        label: str,
        *,
        phase: Phase = Phase.RUNNING,
        offer_id: int | None = None,
        launch: Launch = _PLAIN_LAUNCH,
    ) -> int:
        """Somebody else rents this offer, or any free one; the id of the instance."""
        with self._world.now() as world:
            slot = next(world.free_slots()) if offer_id is None else world.slots[offer_id]
            box = world.add(slot, launch, label, dict(launch.env))
            self.befall(box.id, phase)
            return box.id

    def reprice_offer(self, offer_id: int, usd_per_hour: float) -> None:
        """An offer costs this much from now on, without a disk."""
        with self._world.now() as world:
            world.slots[offer_id].gpu_micro = micro(usd_per_hour)

    def withdraw_offer(self, offer_id: int) -> None:
        """It can be rented no more; who has it keeps it."""
        with self._world.now() as world:
            world.withdraw(world.slots[offer_id])

    def reprice(self, instance_id: int, usd_per_hour: float) -> None:
        """An instance costs this much from now on while it runs, disk included."""
        with self._world.now() as world:
            world.reprice(world.need(instance_id), usd_per_hour)

    def ask_more(self, instance_id: int, usd_per_hour: float, at: float | None = None) -> int:
        """Its host wants another price; the id of the wish."""
        with self._world.now() as world:
            world.need(instance_id)
            self._asked += 1
            world.increases[self._asked] = PriceIncrease(self._asked, instance_id, usd_per_hour, at)
            return self._asked

    def set_credit(self, usd: float | None) -> None:
        """What is left from now on: 0 stops everything; None is without end."""
        with self._world.now() as world:
            world.set_credit(usd)
