"""The ledger in a file of SQLite: its journal ahead of it (WAL), locked by a file beside it.

A commit that must last is synced to the disk; another one survives the end of the process. The
file may be taken away from under an open connection without SQLite noticing: it is looked at
before each transaction.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects.sqlite import insert

from vast_pyworker.errors import LedgerError

from .lock import Lock

BUSY_S = 10.0  # how long another program that looks into the file may keep us waiting


class SqliteFile:
    """A ``database.Place``. The lock is taken before the file is touched."""

    def __init__(self, url: URL, path: Path, lock: Lock) -> None:
        self.name = str(path)
        self.engine = _engine(url)
        self._path = path
        self._lock = lock
        self._identity: tuple[int, int] | None = None

    @classmethod
    def open(cls, url: URL, *, holder: str, now: float) -> SqliteFile:
        if not url.database or url.database.startswith((":memory:", "file:")):
            raise LedgerError("The ledger needs a file, for it has to survive: give it a path.")
        path = Path(url.database).absolute()
        lock = Lock.take(
            path.with_name(f"{path.name}.lock"), ledger=str(path), holder=holder, now=now
        )
        try:
            return cls(url, path, lock)
        except BaseException:
            lock.release()
            raise

    def check(self) -> None:
        self._lock.check()
        try:
            found = self._path.stat()
        except OSError as exc:
            if self._identity is None and isinstance(exc, FileNotFoundError):
                return  # the first connection makes it
            raise self._taken_away() from None
        if self._identity is None:
            self._identity = _identity(found)
        if self._identity != _identity(found):
            raise self._taken_away()

    def options(self, *, durable: bool) -> Mapping[str, Any]:
        return {"synchronous": "FULL" if durable else "NORMAL"}

    def insert(self, table: Table) -> Any:
        return insert(table)

    def release(self) -> None:
        self._lock.release()

    def _taken_away(self) -> LedgerError:
        return LedgerError(
            f"The ledger {self.name} was removed or replaced while this controller runs: "
            "nothing more is written; put it back, and restart the controller."
        )


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _engine(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_S})
    event.listen(engine, "connect", _connected)
    event.listen(engine, "begin", _begin)
    return engine


def _connected(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # or the driver begins transactions of its own, late
    for pragma in ("journal_mode=WAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    synchronous = connection.get_execution_options().get("synchronous")
    if synchronous is None:
        connection.exec_driver_sql("BEGIN")
        return
    connection.exec_driver_sql(f"PRAGMA synchronous={synchronous}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")
