"""What this machine takes for plain work of the same kind, measured in the same process."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

OBJECTS = 10_000
COMMITS = 100
COLUMNS = 16


@dataclass(frozen=True)
class _Thing:
    number: int
    name: str
    weight: float


def objects_ms() -> float:
    """Milliseconds of wall time for making, keeping and sorting 10,000 small frozen objects."""
    before = time.perf_counter()
    kept = {n: _Thing(n, f"thing-{n}", n * 37 % 900) for n in range(OBJECTS)}
    sorted(kept.values(), key=lambda each: each.weight)
    return (time.perf_counter() - before) * 1000


def rows_ms(folder: Path) -> float:
    """The same for 10,000 rows of 16 columns, put into SQLite in one transaction and read again."""
    marks = ", ".join("?" * COLUMNS)
    with _table(folder / "rows.db") as connection:
        before = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        rows = ((n, *(f"{n}-{k}" for k in range(COLUMNS - 1))) for n in range(OBJECTS))
        connection.executemany(f"INSERT INTO things VALUES ({marks})", rows)
        connection.execute("COMMIT")
        assert len(connection.execute("SELECT * FROM things").fetchall()) == OBJECTS
        return (time.perf_counter() - before) * 1000


def commit_ms(folder: Path) -> float:
    """Milliseconds of one commit of one row that is synced to the disk, the mean of 100."""
    marks = ", ".join("?" * COLUMNS)
    with _table(folder / "commits.db") as connection:
        before = time.perf_counter()
        for n in range(COMMITS):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"INSERT INTO things VALUES ({marks})", [n] * COLUMNS)
            connection.execute("COMMIT")
        return (time.perf_counter() - before) * 1000 / COMMITS


@contextmanager
def _table(path: Path) -> Iterator[sqlite3.Connection]:
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")
        columns = ", ".join(f"c{n}" for n in range(COLUMNS))
        connection.execute(f"CREATE TABLE things ({columns}, PRIMARY KEY (c0))")
        yield connection
    finally:
        connection.close()
