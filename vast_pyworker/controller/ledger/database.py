"""The door to the database: one writer at a time, whole transactions, errors in one sentence.

All that is peculiar to a kind of database is here and in ``sqlite``; a URL chooses. A transaction
is committed when its ``with`` ends or nothing of it is there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from sqlalchemy import Connection, CursorResult, Engine, Executable, Table, insert, inspect
from sqlalchemy.exc import DBAPIError, TimeoutError

from vast_pyworker.errors import LedgerError

Watch = Callable[[str], None]


class Place(Protocol):
    """What is peculiar to one kind of database."""

    name: str
    engine: Engine

    def check(self) -> None:
        """``LedgerError`` where it is not there any more, or not ours to write."""

    def options(self, *, durable: bool) -> Mapping[str, Any]:
        """Execution options of a connection that writes. ``durable``: survives a loss of power."""

    def insert(self, table: Table) -> Any:
        """An insert with ``on_conflict_do_update``, which is in no standard."""

    def release(self) -> None:
        """Let go of the lock."""


class Transaction:
    """Statements that come into force together, and what to do in memory once they have."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._after: list[Callable[[], None]] = []

    def execute(
        self, statement: Executable, rows: Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[Any]:
        return self._connection.execute(statement, rows)

    def insert(self, table: Table, row: Mapping[str, Any]) -> int:
        """One row of a table that numbers them; its number."""
        key = self._connection.execute(insert(table).values(row)).inserted_primary_key
        assert key is not None
        return int(key[0])

    def create(self, table: Table) -> None:
        """The table with its indexes, where it is not there yet."""
        table.create(self._connection, checkfirst=True)

    def after(self, change: Callable[[], None]) -> None:
        """Run ``change`` when the transaction has been committed, still under the lock."""
        self._after.append(change)

    def committed(self) -> None:
        for change in self._after:
            change()


class Database:
    """``lock`` guards the writer and what is kept in memory of the database.

    ``watch`` is told just before ("commit") and just after ("committed") each commit; what it
    raises goes through as a crash at that point would.
    """

    def __init__(self, place: Place, watch: Watch | None = None) -> None:
        self.lock = threading.RLock()
        self.commits = 0
        self._place = place
        self._watch = watch or _unwatched
        durable, relaxed = (place.options(durable=each) for each in (True, False))
        self._durable = place.engine.execution_options(**durable)
        self._relaxed = place.engine.execution_options(**relaxed)

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Transaction]:
        """One transaction. Not to be nested. Where it is not ``durable`` it survives the end of
        this process, and may be lost with the machine's power."""
        engine = self._durable if durable else self._relaxed
        with self.lock:
            self._place.check()
            with self._in_a_sentence("written"), engine.begin() as connection:
                transaction = Transaction(connection)
                yield transaction
                self._watch("commit")
            self.commits += 1
            self._watch("committed")
            transaction.committed()

    def read(self, statement: Executable) -> Sequence[Any]:
        """All rows. Sees what is committed, and waits for no writer."""
        with self._in_a_sentence("read"), self._place.engine.connect() as connection:
            return connection.execute(statement).all()

    def replacing(self, table: Table, keep: Collection[str] = ()) -> Executable:
        """Insert rows; where the primary key is there, all but ``keep`` gets the new values."""
        inserted = self._place.insert(table)
        keys = [each.name for each in table.primary_key.columns]
        new = [each.name for each in table.c if each.name not in (*keys, *keep)]
        return inserted.on_conflict_do_update(  # type: ignore[no-any-return]
            index_elements=keys, set_={each: inserted.excluded[each] for each in new}
        )

    def adding(self, table: Table, column: str) -> Executable:
        """Insert rows; where the primary key is there, the new number is added to ``column``."""
        inserted = self._place.insert(table)
        keys = [each.name for each in table.primary_key.columns]
        total = table.c[column] + inserted.excluded[column]
        return inserted.on_conflict_do_update(  # type: ignore[no-any-return]
            index_elements=keys, set_={column: total}
        )

    def tables(self) -> list[str]:
        """Names of the tables that are there."""
        with self._in_a_sentence("read"):
            return inspect(self._place.engine).get_table_names()

    def close(self) -> None:
        """End the connections and let go of the lock."""
        with self.lock:
            self._place.engine.dispose()
            self._place.release()

    @contextmanager
    def _in_a_sentence(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, TimeoutError) as exc:
            raise LedgerError(unusable(self._place.name, verb, exc)) from exc


def unusable(name: str, verb: str, exc: Exception) -> str:
    """What went wrong with a database, and what to do about it."""
    said = str(exc.orig if isinstance(exc, DBAPIError) and exc.orig else exc).splitlines()[0]
    for word, remedy in _REMEDIES.items():
        if word in said.lower():
            return f"The ledger {name} cannot be {verb} ({said}): {remedy}."
    return f"The ledger {name} cannot be {verb} ({said}): see to its file and its disk."


_REMEDIES = {
    "full": "free space on its disk",
    "disk i/o": "free space on its disk, and see whether the disk is in order",
    "readonly": "make the file and its directory writable",
    "read-only": "make the file and its directory writable",
    "unable to open": "make its directory, and let this user read and write there",
    "locked": "end the other program that holds it open",
    "not a database": "that file is something else, so name another one",
    "malformed": "it is damaged, so restore a copy or name a new one",
}


def _unwatched(point: str) -> None:
    """Where nobody watches."""
