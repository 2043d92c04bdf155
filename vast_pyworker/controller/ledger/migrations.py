"""Brings a database to the tables of today, in numbered steps that are never taken back.

Each step and the number it leads to are one transaction. A step that adds to a table of an earlier
one asks first whether it is there: the first steps make tables as they are today.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import delete, insert, select

from vast_pyworker.errors import LedgerError

from . import schema
from .database import Database, Transaction

Step = Callable[[Transaction], None]


def migrate(database: Database, steps: Sequence[Step] | None = None) -> int:
    """The version that the database has now; ``LedgerError`` where it is a newer one."""
    steps = STEPS if steps is None else steps
    version = _version_of(database)
    if version > len(steps):
        raise LedgerError(
            f"The ledger has version {version} and this program knows those up to {len(steps)}: "
            "run the newer program, for there is no way back."
        )
    for number in range(version + 1, len(steps) + 1):
        with database.write() as transaction:
            steps[number - 1](transaction)
            transaction.execute(delete(schema.schema_version))
            transaction.execute(insert(schema.schema_version), [{"version": number}])
    return len(steps)


def _version_of(database: Database) -> int:
    """0 for a database that is empty."""
    tables = database.tables()
    if not tables:
        return 0
    known = schema.schema_version.name in tables
    rows = database.read(select(schema.schema_version.c.version)) if known else ()
    if len(rows) != 1:
        raise LedgerError(
            "The ledger does not say which version it has, so it is not one of ours: name another."
        )
    return int(rows[0].version)


def _first(transaction: Transaction) -> None:
    tables = (
        schema.schema_version, schema.facts, schema.intents, schema.actions, schema.events,
        schema.spend, schema.spend_hours, schema.strikes, schema.failures,
    )  # fmt: skip
    for table in tables:
        transaction.create(table)


def _keys_and_notes(transaction: Transaction) -> None:
    transaction.create(schema.keys)
    transaction.create(schema.notes)


STEPS: tuple[Step, ...] = (_first, _keys_and_notes)
