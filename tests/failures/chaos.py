"""One controller through one random history, drawn from a seed: all that can go wrong, at once.

Time is the world's own; the controller's wall clock is beside it by an offset that jumps. A kill is
an exception that nothing catches, at a commit of the ledger or at a call to the provider; the next
tick is a new controller on the same ledger.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from loop_rig import group

from vast_pyworker.controller.executors import Inline
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.controller.loop import Loop
from vast_pyworker.controller.traffic.fake_ears import FakeEars
from vast_pyworker.model import Deadlines, Group, Instance, Limits, Pace, Phase, Wishes
from vast_pyworker.providers.fake import FakeProvider, make_offers

START = 1_800_000_000.0 - 1_800_000_000.0 % 86_400 + 7200.0  # two in the morning, UTC
AMPLE = Limits(instances=12, usd_per_hour=20.0, usd_per_day=400.0, usd_per_month=4000.0)
TIGHT = (  # of each, one or two at the price of TIGHT_CAP are too many
    Limits(instances=2, usd_per_hour=20.0, usd_per_day=400.0, usd_per_month=4000.0),
    Limits(instances=12, usd_per_hour=0.7, usd_per_day=400.0, usd_per_month=4000.0),
    Limits(instances=12, usd_per_hour=20.0, usd_per_day=15.0, usd_per_month=4000.0),
    Limits(instances=12, usd_per_hour=20.0, usd_per_day=400.0, usd_per_month=300.0),
)
TIGHT_CAP = 0.35
DEADLINES = Deadlines(
    loading_s=240.0, joining_s=120.0, ready_s=180.0, starting_s=60.0, drain_s=30.0, lease_s=60.0
)
FAULTS = {
    "instances": (
        "unreachable", "rate_limited", "lost_page", "duplicates", "auth", "empty", "partial",
    ),
    "offers": ("unreachable", "rate_limited", "empty"),
    "find": ("unreachable", "rate_limited", "duplicates"),
    "show": ("unreachable", "rate_limited"),
    "create": (
        "unreachable", "before_effect", "after_effect", "rate_limited", "offer_gone", "stopped",
        "dearer", "invalid", "no_credit",
    ),
    "start": ("unreachable", "before_effect", "after_effect", "ignored", "queued", "rate_limited"),
    "stop": ("unreachable", "before_effect", "after_effect", "ignored", "rate_limited"),
    "reboot": ("unreachable", "before_effect", "after_effect", "ignored"),
    "destroy": ("unreachable", "before_effect", "after_effect", "ignored", "rate_limited"),
    "accept_price_increase": ("before_effect", "after_effect", "unreachable"),
    "reject_price_increase": ("before_effect", "after_effect", "unreachable"),
}  # fmt: skip
BLOWS = (
    Phase.STOPPED, Phase.OUTBID, Phase.EXITED, Phase.FAILED, Phase.EXPIRED, Phase.OFFLINE,
    Phase.UNKNOWN, Phase.LOADING, Phase.CREATING,
)  # fmt: skip
STEPS_S = (-3700.0, -90.0, -7.0, 7.0, 90.0, 3700.0)


class Killed(BaseException):
    """The controller's end, at a point where nothing of it may matter."""


@dataclass
class Clock:
    """``true`` is the world's time, and a clock that never jumps; ``wall`` may be set."""

    at: float = START
    offset: float = 0.0

    def true(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at + self.offset


class Chaos:
    """``live`` is the whole history; ``checks`` run after every tick that was not cut off."""

    def __init__(self, seed: int, folder: Path, tell: Callable[[str], None]) -> None:
        self.seed = seed
        self.rng = rng = random.Random(f"chaos/{seed}")
        self.tell = tell
        self.clock = Clock()
        self.fuse: int | None = None
        self.tight = rng.random() < 0.2
        self.late = rng.random() < 0.3  # lists lag now and then
        self.times_set, self.set_back_s = 0, 0.0
        self.days: set[float] = set()  # their ends; seen by who checks the limits
        self.wishes = Wishes("fleet", rng.choice(TIGHT) if self.tight else AMPLE, {})
        self.groups = [self._group(f"g{number}") for number in range(rng.choice((1, 1, 2)))]
        self.provider = FakeProvider(
            self.clock.true, offers=make_offers(60, seed=rng.randrange(20)), watch=self._call
        )
        self.provider.fail("charges", "unreachable", times=None)
        self.ears = FakeEars(self.provider.truth, self.clock.true)
        self.path = folder / "ledger.db"
        self.held: set[int] = set()
        self.seen: set[int] = set()  # every instance that ever was
        self.steady = False  # no kill now: what the clock did is not written yet
        self.looked = False  # whether this controller has looked at the clock
        self.open()

    # --- the controller ---

    def open(self) -> None:
        """A new controller, however often it is killed while it starts."""
        while True:
            try:
                self.ledger = Ledger.open(
                    str(self.path), holder="chaos", now=self.clock.wall, watch=self._point
                )
                break
            except Killed:
                self.tell("killed while it opened the ledger")
        self.looked = False
        self.loop = Loop(
            self.wishes, self.provider, self.ledger, self.ears, Inline(),
            env_of=lambda intent_id: {}, token_of=lambda intent_id: intent_id,
            now=self.clock.wall, mono=self.clock.true, probe=self._probe,
        )  # fmt: skip

    def tick(self, seconds: float) -> bool:
        """Whether the tick came to its end."""
        self.clock.at += seconds
        try:
            for sentence in self.loop.tick():
                self.tell(f"    {sentence}")
        except Killed:
            self.tell("killed")
            self.ledger.abandon()
            self.open()
            return False
        self.steady, self.looked = False, True
        return True

    def _point(self, name: str) -> None:
        if self.fuse is not None and not self.steady:
            self.fuse -= 1
            if self.fuse < 0:
                self.fuse = None
                raise Killed

    def _call(self, moment: str, name: str) -> None:
        if moment == "before" and name not in ("instances", "credit", "charges"):
            self.tell(f"    -> {name}")
        self._point(f"{moment} {name}")

    def _probe(self, url: str) -> bool:
        # Not of ``rng``: in which order members are looked at hangs on ids that are drawn anew.
        return random.Random(f"{self.seed}/{url}/{self.clock.at}").random() < 0.5

    # --- what goes on around it ---

    def upset(self) -> None:
        """Whatever happens before the next tick."""
        acts: tuple[tuple[float, Callable[[], str]], ...] = (
            (0.35, self._break_call), (0.2, self._kill), (0.06, self._set_clock),
            (0.15, self._blow), (0.05, self._console_delete), (0.05, self._hold),
            (0.08, self._wish), (0.2, self._lag), (0.06, self._hush), (0.04, self._reprice),
            (0.04, self._ask_more), (0.08, self._recover),
        )  # fmt: skip
        for chance, act in acts:
            if self.rng.random() < chance:
                told = act()
                if told:
                    self.tell(told)

    def heal(self) -> None:
        """All is well again, and people let go of what they hold."""
        self.tell("all is well")
        self.fuse = None
        self.provider.heal()
        self.provider.fail("charges", "unreachable", times=None)
        self.provider.list_lag_s = 0.0
        self.ears.silent.clear()
        self.ears.errors.clear()
        for instance in self.provider.truth().values():
            self.provider.outside.recover(instance.id)
        for intent in self.ledger.intents.open().values():
            if intent.held:
                self.ledger.intents.change(intent.id, held=False)
        self.held.clear()

    def _break_call(self) -> str:
        call = self.rng.choice(tuple(FAULTS))
        how = self.rng.choice([e for e in FAULTS[call] if e != "dearer" or not self.tight])
        times, skip = self.rng.choice((1, 1, 2, 4)), self.rng.choice((0, 0, 1))
        self.provider.fail(call, how, times=times, skip=skip)  # type: ignore[arg-type]
        return f"{call} will be {how} {times} times after {skip}"

    def _kill(self) -> str:
        self.fuse = self.rng.choice((0, 1, 2, 3, 5, 8, 12, 20, 30))
        return f"to be killed after {self.fuse} points"

    def _set_clock(self) -> str:
        """Nobody can know how long a controller was away by a clock that was set back then."""
        step = self.rng.choice(STEPS_S)
        if step < 0 and not self.looked:
            return ""
        self.clock.offset += step
        self.times_set += 1
        self.set_back_s += max(-step, 0.0)
        self.steady = True
        return f"the clock is set by {step:+}"

    def _blow(self) -> str:
        instance = self._any()
        if instance is None:
            return ""
        phase = self.rng.choice(BLOWS)
        done = self.provider.outside.befall(instance.id, phase)
        return f"{instance.id} is {phase}" if done else ""

    def _recover(self) -> str:
        if (instance := self._any()) is None:
            return ""
        self.provider.outside.recover(instance.id)
        return f"{instance.id} recovers"

    def _console_delete(self) -> str:
        """Only what the ledger knows and what has cost something: nobody can count what nobody ever
        saw, nor take back what no bill names."""
        known = {each.instance_id for each in self.ledger.intents.open().values()}
        instance = self._any()
        if instance is None or instance.id not in known or instance.id in self.held:
            return ""
        if not self.provider.billed(instance.id):
            return ""
        self.provider.outside.vanish(instance.id)
        return f"{instance.id} is deleted in the console"

    def _hold(self) -> str:
        intents = sorted(
            self.ledger.intents.open().values(), key=lambda each: each.instance_id or 0
        )
        intent = self.rng.choice(intents) if intents else None
        if intent is None or intent.instance_id is None or self.steady:
            return ""
        fuse, self.fuse = self.fuse, None
        self.ledger.intents.change(intent.id, held=not intent.held)
        self.fuse = fuse
        (self.held.discard if intent.held else self.held.add)(intent.instance_id)
        return f"{intent.instance_id} is {'released' if intent.held else 'held'}"

    def _wish(self) -> str:
        self.groups = [self._group(each.name) for each in self.groups]
        self.loop.desire(self.wishes)
        return f"wanted: {[each.min_instances for each in self.groups]}"

    def _group(self, name: str) -> Group:
        rng = self.rng
        made = group(
            name,
            min_instances=rng.randrange(4),
            cold_instances=rng.choice((0, 0, 0, 1)),
            max_instances=6,
            max_usd_per_hour=TIGHT_CAP if self.tight else 1.5,
            deadlines=DEADLINES,
            pace=Pace(cooldown_down_s=60.0),
        )
        self.wishes = replace(self.wishes, groups={**self.wishes.groups, name: made})
        return made

    def _lag(self) -> str:
        if not self.late:
            return ""
        self.provider.list_lag_s = self.rng.choice((0.0, 3.0, 12.0, 25.0))
        return f"lists are {self.provider.list_lag_s} s late"

    def _hush(self) -> str:
        if (instance := self._any()) is None:
            return ""
        if self.rng.random() < 0.5:
            self.ears.silent.add(instance.id)
            return f"{instance.id} is silent"
        self.ears.errors[instance.id] = "out of memory"
        return f"{instance.id} is in error"

    def _reprice(self) -> str:
        instance = self._any()
        if instance is None or self.tight:
            return ""
        price = round((instance.usd_per_hour or 0.0) * self.rng.choice((0.7, 1.3)), 4)
        self.provider.outside.reprice(instance.id, price)
        return f"{instance.id} costs {price}"

    def _ask_more(self) -> str:
        instance = self._any()
        if instance is None or self.tight:
            return ""
        wanted = round((instance.usd_per_hour or 0.0) * self.rng.choice((1.1, 4.0)), 4)
        self.provider.outside.ask_more(instance.id, wanted)
        return f"the host of {instance.id} wants {wanted}"

    def _any(self) -> Instance | None:
        there = sorted(self.provider.truth().values(), key=lambda each: each.id)
        return self.rng.choice(there) if there else None
