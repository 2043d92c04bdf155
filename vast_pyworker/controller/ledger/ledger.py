"""What has to survive the controller, in one file that one controller writes at a time.

The parts are used from any thread. ``LedgerError`` from any of them means that nothing of that call
was written, nor believed: nothing may be rented or ended until writing works again.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import select

from . import schema
from .database import Database, Watch
from .intents import Intents
from .journal import Journal
from .keys import Keys
from .notes import Notes
from .opening import open_database
from .reputation import Reputation
from .spend import Spend

_OPENED = "times opened"


class Ledger:
    """``opening`` counts how often the ledger was opened; actions are marked with it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.opening = _count_opening(database)
        self.spend = Spend(database)
        self.intents = Intents(database, self.spend)
        self.journal = Journal(database, self.opening, lambda each: self.intents.open().get(each))
        self.reputation = Reputation(database)
        self.keys = Keys(database)
        self.notes = Notes(database)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        holder: str,
        now: Callable[[], float] = time.time,
        watch: Watch | None = None,
    ) -> Ledger:
        """Take the ledger at a path or a URL, made where it is not there.

        ``holder`` is who others are told has it. ``watch`` is told of each commit just before
        ("commit") and just after it ("committed"); what it raises ends the call there.
        ``LedgerLocked``: another has it; ``LedgerError``: it cannot be used.
        """
        database = open_database(url, holder=holder, now=now(), watch=watch)
        try:
            ledger = cls(database)
            ledger._load()
        except BaseException:
            database.close()
            raise
        return ledger

    @property
    def commits(self) -> int:
        """How many transactions were committed since it was opened."""
        return self._database.commits

    def close(self) -> None:
        """Write what is counted and let it go. To be called once."""
        try:
            self.spend.write()
        finally:
            self._database.close()

    def abandon(self) -> None:
        """Let it go as the end of the process would: nothing more is written."""
        self._database.close()

    def _load(self) -> None:
        for part in (self.spend, self.intents, self.reputation, self.keys, self.notes):
            part.load()


def _count_opening(database: Database) -> int:
    facts = schema.facts
    rows = database.read(select(facts.c.value).where(facts.c.name == _OPENED))
    opening = int(rows[0].value) + 1 if rows else 1
    with database.write() as transaction:
        row = {"name": _OPENED, "value": float(opening)}
        transaction.execute(database.replacing(facts), [row])
    return opening
