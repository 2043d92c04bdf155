"""The money of a fleet: what runs on is counted together, and as if each were charged by itself."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from loop_rig import Rig, group, wishes
from msgspec import structs

from vast_pyworker.controller import spending
from vast_pyworker.controller.accounting import LATE_S, Accounting
from vast_pyworker.controller.executors import Inline, Work
from vast_pyworker.controller.ledger.ledger import Ledger
from vast_pyworker.controller.ledger.spend import WRITTEN_EVERY_S
from vast_pyworker.model import Desired, Instance, Intent, Member, Phase, Stage
from vast_pyworker.providers.fake import FakeProvider

NOON = 1_760_011_200.0  # 12:00:00 UTC
PHASES = (Phase.RUNNING, Phase.STOPPED, Phase.LOADING, Phase.UNKNOWN)
STAGES = (Stage.READY, Stage.COLD, Stage.SUSPECT, Stage.LOADING, Stage.MISSING)


class Later:
    """An executor that keeps what it is given."""

    def __init__(self) -> None:
        self.kept: dict[str, Work] = {}

    def run(self, key: str, work: Work) -> bool:
        return self.kept.setdefault(key, work) is work

    def busy(self, key: str) -> bool:
        return key in self.kept

    def close(self, wait_s: float) -> None:
        self.kept.clear()


class Clock:
    at = NOON

    def __call__(self) -> float:
        return self.at


def accounting(ledger: Ledger, clock: Clock, executor: Inline | Later | None = None) -> Accounting:
    return Accounting(
        FakeProvider(clock), ledger, executor or Later(), now=clock, mono=clock
    )  # fmt: skip


def open_ledger(folder: Path) -> Ledger:
    folder.mkdir(exist_ok=True)
    return Ledger.open(str(folder / "ledger.db"), holder="tests", now=lambda: NOON)


def a_member(number: int, at: float, usd: float = 0.36) -> Member:
    """One that is ready at so many dollars an hour, a tenth of them for its disk."""
    name = f"i{number}"
    intent = Intent(
        id=name, group=f"g{number % 3}", label=f"f/g/{name}", created_at=at, desired=Desired.RUN,
        desired_at=at, reason="", set_by="controller", usd_per_hour_cap=0.9, instance_id=number,
        usd_per_hour=usd,
    )  # fmt: skip
    instance = Instance(
        number, intent.label, Phase.RUNNING, usd_per_hour=usd, usd_per_hour_now=usd,
        usd_per_hour_stopped=usd / 10,
    )  # fmt: skip
    return Member(intent, Stage.READY, at, instance)


class OneByOne:
    """Charges each member by itself at each count, and what is not as it was the dearest price."""

    def __init__(self, ledger: Ledger) -> None:
        self._spend = ledger.spend
        self._seen: dict[str, Instance | None] = {}

    def pay(self, members: list[Member], now: float) -> None:
        owed = [
            each
            if _price(self._seen.get(each.intent.id)) == _price(each.instance)
            else structs.replace(each, since=now)
            for each in members
        ]
        self._seen = {each.intent.id: each.instance for each in members}
        self._charge(owed, now)

    def pay_unseen(self, members: list[Member], now: float) -> None:
        self._charge(
            [e if e.stage is Stage.COLD else structs.replace(e, since=now) for e in members], now
        )

    def _charge(self, owed: list[Member], now: float) -> None:
        since = self._spend.last_at()
        self._spend.accrue(spending.charges_between(owed, since or now, now), now)


def _price(instance: Instance | None) -> object:
    return instance and (instance.phase, instance.usd_per_hour, instance.usd_per_hour_now)


class Fleet:
    """Members to which things happen; what it does to one ledger it does to the other."""

    def __init__(self, seed: int, *ledgers: Ledger) -> None:
        self.rng = random.Random(seed)
        self.ledgers = ledgers
        self.members: dict[str, Member] = {}
        self.born = 0

    def upset(self, now: float) -> None:
        for key, member in tuple(self.members.items()):
            if self.rng.random() < 0.15:
                self.members[key] = self._changed(member, now)
            elif self.rng.random() < 0.05:
                self._close(key, now)
        for _ in range(self.rng.choice((0, 0, 1, 3))):
            self._open(now)
        for key, member in self.members.items():  # another list: equal, and not the same
            if member.instance is not None:
                self.members[key] = structs.replace(member, instance=replace(member.instance))

    def move(self, step_s: float) -> None:
        """The clock is set."""
        for key, member in self.members.items():
            intent = replace(member.intent, created_at=member.intent.created_at + step_s)
            self._write(intent)
            since = member.since + step_s
            self.members[key] = structs.replace(member, intent=intent, since=since)
        for ledger in self.ledgers:
            ledger.spend.move(step_s)

    def _open(self, now: float) -> None:
        self.born += 1
        member = a_member(self.born, now - self.rng.choice((0.0, 1.0)), self.rng.random())
        self._write(member.intent)
        self.members[member.intent.id] = structs.replace(member, since=now)

    def _close(self, key: str, now: float) -> None:
        del self.members[key]
        for ledger in self.ledgers:
            ledger.intents.close(key, now, "gone")

    def _changed(self, member: Member, now: float) -> Member:
        what = self.rng.choice(("stage", "price", "intent", "gone"))
        assert member.intent.instance_id is not None
        instance = member.instance or a_member(member.intent.instance_id, now).instance
        assert instance is not None
        if what == "stage":
            others = [each for each in STAGES if each is not member.stage]
            return structs.replace(member, stage=self.rng.choice(others), since=now)
        if what == "gone":
            return structs.replace(member, instance=None, stage=Stage.MISSING, since=now)
        if what == "price":
            usd = self.rng.choice((None, 0.0, self.rng.random()))
            instance = replace(
                instance, usd_per_hour_now=usd, usd_per_hour_stopped=self.rng.random() / 10,
                phase=self.rng.choice(PHASES),
            )  # fmt: skip
            return structs.replace(member, instance=instance)
        intent = replace(member.intent, held=not member.intent.held)
        self._write(intent)
        return structs.replace(member, intent=intent)

    def _write(self, intent: Intent) -> None:
        for ledger in self.ledgers:
            ledger.intents.write(intent)


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_same_to_the_millionth_as_charging_each_at_every_tick(
    tmp_path: Path, seed: int
) -> None:
    plain, metered = (open_ledger(tmp_path / each) for each in ("plain", "metered"))
    clock = Clock()
    fleet = Fleet(seed, plain, metered)
    one, other = OneByOne(plain), accounting(metered, clock)
    for _ in range(40):
        clock.at += fleet.rng.choice((0.0, 1.7, 5.0, 5.0, 5.0, 40.0, 700.0, 9000.0, -3.0))
        look = fleet.rng.random() > 0.1
        if look:
            fleet.upset(clock.at)
        members = list(fleet.members.values())
        for each in (one, other):
            (each.pay if look else each.pay_unseen)(members, clock.at)
        if fleet.rng.random() < 0.2:
            metered.spend.write()
        if fleet.rng.random() < 0.1:
            step_s = fleet.rng.choice((-4000.0, 7000.0))
            clock.at += step_s
            fleet.move(step_s)
        assert metered.spend.last_at() == plain.spend.last_at()
        assert metered.spend.spent_micro(0.0) == plain.spend.spent_micro(0.0)
    for key in fleet.members:
        assert metered.spend.by_intent(key) == plain.spend.by_intent(key)
    assert metered.spend.by_instance() == plain.spend.by_instance()
    assert metered.spend.hours(0.0) == plain.spend.hours(0.0)
    assert sum(metered.spend.by_instance().values()) == metered.spend.spent_micro(0.0)
    plain.close()
    metered.close()
    for name in ("plain", "metered"):
        again = open_ledger(tmp_path / name)
        fleet.members[name] = a_member(again.spend.spent_micro(0.0), 0.0)
        again.close()
    assert fleet.members["plain"] == fleet.members["metered"]


def test_what_runs_on_is_not_charged_by_itself(tmp_path: Path) -> None:
    ledger, clock = open_ledger(tmp_path), Clock()
    member = a_member(1, NOON)
    ledger.intents.write(member.intent)
    money = accounting(ledger, clock)
    money.pay([member], NOON)
    spell = ledger.spend.running["i1"]
    for _ in range(5):
        clock.at += 5.0
        money.pay([structs.replace(member, silent_s=1.0)], clock.at)
        assert ledger.spend.running["i1"] is spell
    assert ledger.spend.spent_micro(NOON) == ledger.spend.by_intent("i1") == 2500
    ledger.close()


def test_a_tick_leaves_the_writing_for_the_time_after_it(tmp_path: Path) -> None:
    ledger, clock, later = open_ledger(tmp_path), Clock(), Later()
    member = a_member(1, NOON)
    ledger.intents.write(member.intent)
    money = accounting(ledger, clock, later)
    money.pay([member], NOON)
    start = ledger.commits
    clock.at += WRITTEN_EVERY_S
    money.pay([member], clock.at)
    money.between_ticks()
    assert ledger.commits == start
    later.kept.pop("money")()
    assert ledger.commits == start + 1
    money.between_ticks()
    assert "money" not in later.kept
    ledger.abandon()
    again = open_ledger(tmp_path)
    assert again.spend.last_at() == clock.at
    assert again.spend.by_instance() == {1: 6000}
    again.close()


def test_a_writing_that_does_not_come_about_is_done_in_a_tick(tmp_path: Path) -> None:
    ledger, clock, later = open_ledger(tmp_path), Clock(), Later()
    member = a_member(1, NOON)
    ledger.intents.write(member.intent)
    money = accounting(ledger, clock, later)
    money.pay([member], NOON)
    start = ledger.commits
    clock.at += WRITTEN_EVERY_S + LATE_S
    money.pay([member], clock.at)
    money.between_ticks()
    assert ledger.commits == start + 1
    ledger.close()


def test_a_crash_loses_only_what_will_be_counted_again(tmp_path: Path) -> None:
    ledger, clock = open_ledger(tmp_path), Clock()
    member = a_member(1, NOON)
    ledger.intents.write(member.intent)
    money = accounting(ledger, clock, Inline())
    for _ in range(15):
        money.pay([member], clock.at)
        money.between_ticks()
        clock.at += 10.0
    ledger.abandon()
    again = open_ledger(tmp_path)
    assert again.spend.last_at() == NOON + 120.0
    assert again.spend.by_instance() == {1: 12000}
    money = accounting(again, clock)
    money.pay([member], clock.at)
    assert again.spend.by_instance() == {1: 15000}
    again.close()


def test_one_that_is_closed_is_paid_until_then_and_runs_no_longer(tmp_path: Path) -> None:
    ledger, clock = open_ledger(tmp_path), Clock()
    members = [a_member(1, NOON), a_member(2, NOON)]
    ledger.intents.write_all(each.intent for each in members)
    money = accounting(ledger, clock)
    for clock.at in (NOON, NOON + 10):
        money.pay(members, clock.at)
    ledger.intents.close("i1", NOON + 15, "gone")
    assert list(ledger.spend.running) == ["i2"]
    money.pay(members, NOON + 20)  # found before it was closed
    assert ledger.spend.by_instance() == {1: 1500, 2: 2000}
    assert ledger.spend.spent_micro(NOON) == 3500
    ledger.close()


def paid_for_ten_seconds(tmp_path: Path) -> tuple[Ledger, Accounting]:
    """One instance that runs, found at noon and ten seconds later."""
    ledger, clock = open_ledger(tmp_path), Clock()
    member = a_member(1, NOON)
    ledger.intents.write(member.intent)
    money = accounting(ledger, clock)
    for clock.at in (NOON, NOON + 10):
        money.pay([member], clock.at)
    return ledger, money


def test_a_farewell_charges_each_once(tmp_path: Path) -> None:
    ledger, _ = paid_for_ten_seconds(tmp_path)
    charges = spending.charges_between([a_member(1, NOON)], NOON + 10, NOON + 20)
    ledger.spend.accrue(charges, NOON + 20)
    assert ledger.spend.by_instance() == {1: 2000}
    assert ledger.spend.spent_micro(NOON) == 2000
    ledger.close()


def test_lower_prices_are_kept_when_all_until_then_is_on_the_disk(tmp_path: Path) -> None:
    ledger, money = paid_for_ten_seconds(tmp_path)
    money.lower({"i1": 0.18})
    ledger.abandon()
    again = open_ledger(tmp_path)
    assert again.intents.open()["i1"].usd_per_hour == 0.18
    assert again.spend.last_at() == NOON + 10
    assert again.spend.by_instance() == {1: 1000}
    again.close()


def test_a_hold_set_while_a_list_is_taken_in_is_kept(tmp_path: Path) -> None:
    commits: list[str] = []

    def watch(point: str) -> None:
        if point == "committed" and commits == ["lowered"]:
            commits.append("held")
            made.ledger.intents.change(intent_id, held=True)

    made = Rig(tmp_path, wishes(group(min_instances=1)), watch=watch)
    made.settle()
    (intent_id, intent), *_ = made.ledger.intents.open().items()
    assert intent.instance_id is not None and intent.usd_per_hour is not None
    made.provider.outside.reprice(intent.instance_id, intent.usd_per_hour / 2)
    commits.append("lowered")
    made.tick()
    assert commits == ["lowered", "held"]
    now = made.ledger.intents.open()[intent_id]
    assert now.held and now.usd_per_hour == intent.usd_per_hour / 2
    made.ledger.close()
