"""What was spent, by hour of UTC, instance and kind.

What runs on at its price is counted by a ``meter``, what changes is charged by itself. Both are
summed in memory and written once a minute with the time until which they count, in one
transaction: after a crash the time since is charged again, whole, so that nothing is lost and
nothing is twice. What ends in between, an intent that is closed, is written with its end. What it
does not: find out prices (``controller.spending``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import func, select

from vast_pyworker.model import Intent

from . import schema
from .book import Book
from .charges import Charge, Kind, charges_at, hour_of
from .database import Database, Transaction
from .meter import Meter, Spell
from .reconciling import Bill, differences, reversal

WRITTEN_EVERY_S = 60.0
KEPT_AT_HAND_S = 40 * 86400.0  # a month and more: the longest budget
_UNTIL = "spend counted until"
_TABLE, _HOURS = schema.spend, schema.spend_hours


@dataclass(frozen=True)
class HourSpent:
    """``micro_usd`` of one kind that a group spent in one hour."""

    hour: int
    group: str
    kind: Kind
    micro_usd: int


class Spend:
    """Used from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._book = Book()
        self._meter = Meter()
        self._last_at: float | None = None
        self._written_at = float("-inf")
        self._ended: dict[str, float] = {}  # closed intents, which late charges may still name
        self._put = database.adding(_TABLE, "micro_usd")
        self._put_hours = database.adding(_HOURS, "micro_usd")
        self._put_fact = database.replacing(schema.facts)

    def load(self) -> None:
        """Read until when money is counted, and the sums of the hours of the last weeks."""
        facts = schema.facts
        rows = self._database.read(select(facts.c.value).where(facts.c.name == _UNTIL))
        if not rows:
            self._book.load((), float("-inf"))
            return
        self._last_at = self._written_at = float(rows[0].value)
        self._meter.restart(self._last_at)
        since = self._last_at - KEPT_AT_HAND_S
        hours = self._database.read(
            select(_HOURS.c.hour, _HOURS.c.group, func.sum(_HOURS.c.micro_usd))
            .where(_HOURS.c.hour >= since)
            .group_by(_HOURS.c.hour, _HOURS.c.group)
        )
        self._book.load(((hour, group, int(micro)) for hour, group, micro in hours), since)

    def last_at(self) -> float | None:
        """Until when money is counted; None: it has never been."""
        return self._last_at

    @property
    def running(self) -> Mapping[str, Spell]:
        """What runs on at its price, by intent. Changes while it is looked at."""
        return self._meter.running

    def accrue(self, charges: Iterable[Charge], at: float) -> None:
        """Count what was spent until ``at``: these charges, and nothing runs on.

        A clock that went back moves nothing back.
        """
        with self._database.lock:
            self._book.add_parts(self._meter.end_all())
            self._count(charges, at)
            if self.is_due():
                self.write()

    def count(
        self,
        charges: Iterable[Charge],
        at: float,
        apart: Collection[str],
        begun: Iterable[Spell],
    ) -> None:
        """Count until ``at`` what runs on, and these charges; ``apart`` are the intents of which
        all is in them. From ``at`` on those that are ``begun`` run on, which must be ``apart``.

        Writes nothing but the first time: that is for ``write``, when it ``is_due``.
        """
        with self._database.lock:
            for intent_id in apart:
                self._book.add_parts(self._meter.end(intent_id))
            self._count(charges, at)
            for spell in begun:
                if spell.intent.id not in self._ended:
                    self._meter.begin(spell)

    def is_due(self, late_s: float = 0.0) -> bool:
        """Whether it has been time to write for so long."""
        at, written_at = self._last_at, self._written_at
        if at is None or not self._book.has_new():
            return False
        if at - written_at >= WRITTEN_EVERY_S + late_s:
            return True
        return not late_s and hour_of(at) != hour_of(written_at)

    def move(self, step_s: float) -> None:
        """The clock was set by so many seconds: money is counted until as much later or earlier."""
        with self._database.lock:
            if self._last_at is not None:
                self._settle()
                self._last_at += step_s
                self._meter.restart(self._last_at)
                with self._database.write() as transaction:
                    self._write(transaction)

    def write(self) -> None:
        """Have all that was counted in the database. Nothing happens where nothing was."""
        with self._database.lock:
            fresh = self._written_at == float("-inf") and self._last_at is not None
            if fresh or self._book.has_new():
                with self._database.write() as transaction:
                    self._write(transaction)

    def spent_micro(self, since: float, group: str | None = None) -> int:
        """Of one group, or of all, in the hours from the one on in which ``since`` lies."""
        hour = hour_of(since)
        with self._database.lock:
            if hour >= self._book.loaded_since:
                return self._book.spent(hour, group)
            return sum(each.micro_usd for each in self.hours(hour) if group in (None, each.group))

    def hours(self, since: float) -> list[HourSpent]:
        """Every hour from the one on in which ``since`` lies, the oldest first."""
        first = hour_of(since)
        with self._database.lock:
            rows = self._database.read(select(_HOURS).where(_HOURS.c.hour >= first))
            sums = {(row.hour, row.group, row.kind): int(row.micro_usd) for row in rows}
            for row in self._book.new_hours():
                key = (row["hour"], row["group"], row["kind"])
                if row["hour"] >= first:
                    sums[key] = sums.get(key, 0) + row["micro_usd"]
        return [HourSpent(*key, micro) for key, micro in sorted(sums.items())]

    def by_instance(self) -> Mapping[int, int]:
        """All that each instance has cost, also of those that are gone."""
        found: dict[int, int] = {}
        intents = schema.intents
        with self._database.lock:
            owners = self._database.read(
                select(intents.c.id, intents.c.instance_id).where(
                    intents.c.instance_id.is_not(None)
                )
            )
            totals = self._totals()
        for intent_id, instance_id in owners:
            found[instance_id] = found.get(instance_id, 0) + totals.get(intent_id, 0)
        return found

    def by_intent(self, intent_id: str) -> int:
        """All that one intent has cost."""
        with self._database.lock:
            rows = self._database.read(
                select(func.sum(_TABLE.c.micro_usd)).where(_TABLE.c.intent_id == intent_id)
            )
            owed = sum(each.micro_usd for each in self._meter.owed(intent_id))
            return int(rows[0][0] or 0) + sum(self._book.new_of(intent_id).values()) + owed

    def reconcile(self, billed: Mapping[int, float], at: float) -> None:
        """Make the sum of each instance what the provider billed for it, in dollars.

        What is more counts in the hour of ``at``; what is less is taken back from the newest hours
        that hold it. Instances that the ledger does not know are left out.
        """
        with self._database.lock:
            self.write()
            charges = differences(self._database, Bill(billed, hour_of(at)))
            if charges:
                with self._database.write() as transaction:
                    self._record(transaction, charges)

    # --- what intents tell ---

    def opened(
        self, transaction: Transaction, intent: Intent, before: Callable[[], Intent | None]
    ) -> None:
        """An intent is open: charge what its instance cost before anybody knew of it."""
        until = self._last_at
        transaction.after(lambda: self._forget_end(intent.id))
        if until is None or intent.instance_id is None or intent.created_at >= until:
            return
        known = before()
        since = intent.created_at
        if known is not None and known.instance_id is not None:
            since = max(since, known.closed_at or until)
        self._record(transaction, _dearest(intent, since, until))

    def closed(self, transaction: Transaction, intent: Intent, at: float) -> None:
        """An intent has ended: charge it until then; without an instance it cost nothing."""
        charges: list[Charge] = []
        self._settle()
        if intent.instance_id is None:
            charges = reversal(self._database, intent, self._book.new_of(intent.id))
        elif self._last_at is not None:
            charges = _dearest(intent, max(self._last_at, intent.created_at), at)
        self._write(transaction)
        self._record(transaction, charges)
        transaction.after(lambda: self._note_end(intent.id, at))

    # --- the writing ---

    def _count(self, charges: Iterable[Charge], at: float) -> None:
        before = self._last_at
        self._last_at = now = at if before is None else max(before, at)
        for each in self._meter.advance(now):
            self._book.add_sum(*each)
        self._book.add(each for each in charges if each.intent_id not in self._ended)
        if before is None:
            self.write()

    def _settle(self) -> None:
        """Have in the book what each intent owes that runs on."""
        self._book.add_parts(self._meter.settle())

    def _write(self, transaction: Transaction) -> None:
        """All that is new, and until when it counts. Once in a transaction."""
        last_at = self._last_at
        if last_at is None:
            return
        self._settle()
        if self._book.has_new():
            transaction.execute(self._put, self._book.new())
            transaction.execute(self._put_hours, self._book.new_hours())
        transaction.execute(self._put_fact, [{"name": _UNTIL, "value": last_at}])
        transaction.after(lambda: self._written(last_at))

    def _written(self, last_at: float) -> None:
        self._book.written()
        self._written_at = last_at
        self._ended = {key: at for key, at in self._ended.items() if last_at - at < 3600.0}

    def _record(self, transaction: Transaction, charges: list[Charge]) -> None:
        """These charges, past the sums that wait."""
        if charges:
            book = Book()
            book.add(charges)
            transaction.execute(self._put, book.new())
            transaction.execute(self._put_hours, book.new_hours())
            transaction.after(lambda: self._book.add_written(charges))

    def _note_end(self, intent_id: str, at: float) -> None:
        self._meter.end(intent_id)  # settled in the transaction
        self._ended[intent_id] = at

    def _forget_end(self, intent_id: str) -> None:
        self._ended.pop(intent_id, None)

    def _totals(self) -> Mapping[str, int]:
        self._settle()
        rows = self._database.read(
            select(_TABLE.c.intent_id, func.sum(_TABLE.c.micro_usd)).group_by(_TABLE.c.intent_id)
        )
        totals = {intent_id: int(micro) for intent_id, micro in rows}
        for intent_id, micro in self._book.new_by_intent().items():
            totals[intent_id] = totals.get(intent_id, 0) + micro
        return totals


def _dearest(intent: Intent, since: float, until: float) -> list[Charge]:
    """As if it had run all the time, for nobody looked."""
    known = intent.usd_per_hour
    price = intent.usd_per_hour_cap if known is None else known
    return charges_at(intent, price, since, until)
