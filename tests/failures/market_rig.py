"""A controller on a market: the real loop, ledger and client over HTTP; only workers are told.

Time is the market's own and moves only with ``tick``, ``run`` and the client's waits. The oracle is
the market: its contracts, its bill. ``acts`` are the changing calls that the loop made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from loop_rig import LIMITS, group, wishes
from sweep_ground import Ground, ground

from vast_pyworker.controller.executors import Inline
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.controller.loop import Loop
from vast_pyworker.controller.traffic.fake_ears import FakeEars
from vast_pyworker.market.faults.book import Fault
from vast_pyworker.market.faults.kinds import check_params
from vast_pyworker.market.rentals.contracts import RUNNING, Contract
from vast_pyworker.market.world.repricing import raise_price
from vast_pyworker.model import Group, Instance, Limits, Phase, Stage, Wishes
from vast_pyworker.providers.vast import VastProvider

__all__ = ["MarketRig", "group", "market_rig"]

CHANGING = (
    "create", "start", "stop", "reboot", "destroy", "accept_price_increase",
    "reject_price_increase",
)  # fmt: skip
ROUNDING_USD = 2e-6  # of each instance: a millionth for its GPU and one for its disk


class Killed(BaseException):
    """The end of the controller's process."""


class Noting:
    """The provider, which notes its changing calls and tells ``watch`` before and after each."""

    def __init__(self, provider: VastProvider, rig: MarketRig) -> None:
        self._provider = provider
        self._rig = rig

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._provider, name)
        return self._noted(name, call) if name in CHANGING else call

    def _noted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*given: Any) -> Any:
            self._rig.watch("before", name)
            self._rig.acts.append((name, getattr(given[0], "id", given[0]), self._rig.time()))
            answer = call(*given)
            self._rig.watch("after", name)
            return answer

        return noted


@dataclass
class MarketRig:
    """``restart`` is a kill and a new start on the same ledger. ``watch`` is told before and after
    each changing call, ``committed`` of each commit of the ledger."""

    folder: Path
    wishes: Wishes
    ground: Ground
    watch: Callable[[str, str], None] = lambda moment, call: None
    acts: list[tuple[str, int, float]] = field(default_factory=list)
    committed: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.time = self.ground.now
        self._first = self.ground.world.next_contract
        self.provider: Any = Noting(VastProvider(self.ground.vast), self)
        self.ears = FakeEars(self._running, self.time)
        self.open()

    def open(self) -> None:
        path = str(self.folder / "ledger.db")
        while True:
            with suppress(Killed):
                self.ledger = Ledger.open(path, holder="test", now=self.time, watch=self._commit)
                break
        self.loop = Loop(
            self.wishes, self.provider, self.ledger, self.ears, Inline(),
            env_of=lambda intent_id: {"MASTER_TOKEN": f"token of {intent_id}"},
            token_of=lambda intent_id: f"token of {intent_id}",
            now=self.time, mono=self.time, probe=lambda url: True,
        )  # fmt: skip

    def _commit(self, point: str) -> None:
        self.committed()

    def restart(self) -> None:
        self.ledger.abandon()
        self.open()

    def wish(self, **changes: Any) -> None:
        self.wishes = replace(self.wishes, groups={"llm": group(**changes)})
        self.loop.desire(self.wishes)

    # --- time ---

    def tick(self, seconds: float = 5.0) -> list[str]:
        self.ground.sleep(seconds)
        return self.loop.tick()

    def run(self, seconds: float, every_s: float = 20.0) -> list[str]:
        """As many ticks as come within so many seconds; what they said."""
        said, until = [], self.time() + seconds
        while self.time() < until:
            said += self.tick(every_s)
        return said

    def killed_at(self, moment: str, call: str, number: int = 1) -> None:
        """A tick that ends with the process at this point, and a new start."""
        left = [number]

        def watch(now: str, name: str) -> None:
            left[0] -= (now, name) == (moment, call)
            if left[0] == 0:
                raise Killed

        self.watch = watch
        with suppress(Killed):
            self.tick()
        assert left[0] == 0, f"it did not come to {moment} {call}"
        self.watch = lambda now, name: None
        self.restart()

    # --- what goes wrong ---

    def suffer(self, kind: str, *calls: str, times: int | None = None, **params: Any) -> None:
        """A fault of the market for these calls: the next ``times`` of them, or all."""
        checked = check_params(kind, params)
        self.ground.book.add(Fault(kind, calls, count=times, params=checked))

    def came(self) -> int:
        """How often a fault struck, of those in force."""
        return sum(each["came"] for each in self.ground.book.to_json())

    def heal(self) -> None:
        self.ground.book.clear()

    def strike(self, kind: str, number: int | None = None, **params: Any) -> None:
        """A blow of the world, at once."""
        account = self.ground.account
        made = self.ground.market.strike(kind, number, account=account, params=params)
        assert made["done"], kind

    def reprice(self, machine_id: int, factor: float) -> None:
        """A host's new price, for contracts to come."""
        machine = self.ground.world.catalogue.machine(machine_id)
        assert machine is not None
        raise_price(self.ground.world, machine, factor)

    def put(self, label: str | None) -> int:
        """An instance that another hand rents in the same account."""
        row = self.cheapest()
        body = {"image": "i", "disk": 20.0, "label": label}
        made = self.ground.market.create(self.ground.account, row["id"], body)
        return int(made["new_contract"])

    def cheapest(self, **filters: Any) -> dict[str, Any]:
        taken = {each.machine_id for each in self.there.values()}
        asked = {"rentable": {"eq": True}, "order": [["dph_total", "asc"]], "limit": 200, **filters}
        rows = self.ground.market.search(asked)
        return next(row for row in rows if row["machine_id"] not in taken)

    # --- what there is ---

    @property
    def there(self) -> Mapping[int, Contract]:
        """What exists in the account, and is billed."""
        return self.ground.contracts()

    @property
    def ours(self) -> set[int]:
        """What carries the label of the fleet."""
        prefix = f"{self.wishes.fleet}/"
        return {each.id for each in self.there.values() if (each.label or "").startswith(prefix)}

    def made(self) -> int:
        """How many instances were ever made."""
        return self.ground.world.next_contract - self._first

    def done(self, call: str) -> list[int]:
        """Whom each call of a kind was for, in order."""
        return [whom for name, whom, _ in self.acts if name == call]

    def usd_per_hour(self) -> float:
        """What all that is there costs now."""
        row = self.ground.market.spend_rate(self.ground.account)
        return float(row["gpu_cost_per_hour"] + row["container_storage_cost_per_hour"])

    def billed(self, until: float | None = None) -> dict[int, float]:
        """Dollars by instance, of all that ever were, up to a moment."""
        found: Counter[int] = Counter()
        for row in self.ground.market.charges(self.ground.account, until=until):
            found[row["contract_id"]] += row["amount"]
        return dict(found)

    def stages(self) -> list[Stage]:
        return sorted(each.stage for each in self.loop.fleet.members)

    def ready(self) -> int:
        return self.stages().count(Stage.READY)

    def check_counted(self) -> None:
        """The ledger has at least what the market bills, by instance, its traffic too."""
        self.run(330.0, 330.0)  # the bill is read, as it is every five minutes
        counted = self.ledger.spend.by_instance()
        for number, usd in self.billed(self.ledger.spend.last_at()).items():
            if number in counted:
                assert counted[number] / 1e6 >= usd - ROUNDING_USD, (number, usd)
        assert counted or not self.billed(), "nothing was counted"

    def _running(self) -> dict[int, Instance]:
        """For the ears: whose worker lives."""
        return {
            each.id: Instance(each.id, each.label or "", phase_of(each))
            for each in self.there.values()
        }


def phase_of(contract: Contract) -> Phase:
    lives = contract.phase == RUNNING and contract.lost is None
    return Phase.RUNNING if lives else Phase.STOPPED


@contextmanager
def market_rig(
    folder: Path, *groups: Group, limits: Limits = LIMITS, **options: Any
) -> Iterator[MarketRig]:
    """A market of its own for each, drawn by the folder's name."""
    folder.mkdir(exist_ok=True)
    with ground("rows", **options) as made:
        rig = MarketRig(folder, wishes(*groups, limits=limits), made)
        try:
            yield rig
        finally:
            rig.ledger.close()
