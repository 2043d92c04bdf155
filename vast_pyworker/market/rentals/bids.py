"""Who holds which GPUs, who waits for them, and who must give way. No time, no money, no states.

On demand comes before every bid, a higher bid per GPU before a lower one, and between equals
whoever has the GPUs keeps them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vast_pyworker.market.supply.machines import Machine, Occupancy


@dataclass(frozen=True, slots=True)
class Claim:
    """One contract's (or a stranger's: ``id`` below 0) wish for certain GPUs of a machine.

    ``per_gpu`` is its bid in USD per GPU and hour, None on demand; ``since`` breaks ties.
    """

    id: int
    machine_id: int
    gpu_ids: tuple[int, ...]
    per_gpu: float | None
    since: float

    def beats(self, other: Claim) -> bool:
        """Whether ``other`` must give way to this one."""
        if other.per_gpu is None:
            return False
        return self.per_gpu is None or self.per_gpu > other.per_gpu

    @property
    def rank(self) -> tuple[float, float, int]:
        bid = float("inf") if self.per_gpu is None else self.per_gpu
        return (-bid, self.since, self.id)


class Seats:
    """The GPUs of all machines. ``occupied`` is what a search of offers reads."""

    def __init__(self) -> None:
        self.occupied: dict[int, Occupancy] = {}
        self._holders: dict[int, dict[int, Claim]] = {}
        self._held: dict[int, Claim] = {}
        self._waiting: dict[int, dict[int, Claim]] = {}
        self._waits: dict[int, int] = {}

    def losers(self, machine: Machine, claim: Claim) -> list[int] | None:
        """Who would lose their GPUs to this claim, ids once each; None where it cannot be met."""
        if claim.per_gpu is not None and claim.per_gpu < machine.min_bid_per_gpu - 1e-9:
            return None
        if not machine.held_gpus.isdisjoint(claim.gpu_ids):
            return None
        holders = self._holders.get(machine.machine_id, {})
        others = {holders[gpu].id: holders[gpu] for gpu in claim.gpu_ids if gpu in holders}
        others.pop(claim.id, None)
        return list(others) if all(claim.beats(other) for other in others.values()) else None

    def hold(self, claim: Claim) -> None:
        """The GPUs are this claim's; they must be free. It waits no more."""
        self.forget(claim.id)
        holders = self._holders.setdefault(claim.machine_id, {})
        taken = [gpu for gpu in claim.gpu_ids if gpu in holders]
        if taken:
            raise ValueError(f"GPUs {taken} of machine {claim.machine_id} are held already")
        holders.update(dict.fromkeys(claim.gpu_ids, claim))
        self._held[claim.id] = claim
        self._show(claim.machine_id)

    def wait(self, claim: Claim) -> None:
        """It has nothing and wants the GPUs."""
        self.forget(claim.id)
        self._waiting.setdefault(claim.machine_id, {})[claim.id] = claim
        self._waits[claim.id] = claim.machine_id

    def forget(self, claim_id: int) -> None:
        """It neither holds nor wants anything."""
        claim = self._held.pop(claim_id, None)
        if claim is not None:
            for gpu in claim.gpu_ids:
                del self._holders[claim.machine_id][gpu]
            self._show(claim.machine_id)
        machine_id = self._waits.pop(claim_id, None)
        if machine_id is not None:
            del self._waiting[machine_id][claim_id]
            if not self._waiting[machine_id]:
                del self._waiting[machine_id]

    def waiting(self, machine_id: int) -> list[Claim]:
        """Who waits for GPUs of a machine, the strongest first."""
        return sorted(self._waiting.get(machine_id, {}).values(), key=lambda claim: claim.rank)

    def holders(self, machine_id: int) -> dict[int, int]:
        """GPU -> who holds it."""
        return {gpu: claim.id for gpu, claim in self._holders.get(machine_id, {}).items()}

    def without(self, machine_id: int, claim_id: int) -> Occupancy:
        """The machine's occupancy as it would be without one of the holders."""
        holders = self._holders.get(machine_id, {})
        return _occupancy((gpu, claim) for gpu, claim in holders.items() if claim.id != claim_id)

    def _show(self, machine_id: int) -> None:
        holders = self._holders[machine_id]
        if holders:
            self.occupied[machine_id] = _occupancy(holders.items())
            return
        del self._holders[machine_id]
        self.occupied.pop(machine_id, None)


def _occupancy(holders: Iterable[tuple[int, Claim]]) -> Occupancy:
    entries = tuple(holders)
    return Occupancy(
        on_demand=frozenset(gpu for gpu, claim in entries if claim.per_gpu is None),
        bids={gpu: claim.per_gpu for gpu, claim in entries if claim.per_gpu is not None},
    )
