"""From a path or a URL to a database that is ours alone to write, with the tables of today."""

from __future__ import annotations

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from vast_pyworker.errors import LedgerError

from .database import Database, Place, Watch
from .migrations import migrate
from .sqlite import SqliteFile


def open_database(url: str, *, holder: str, now: float, watch: Watch | None = None) -> Database:
    """``LedgerLocked`` where another has it; ``LedgerError`` where it cannot be used."""
    database = Database(_place(_parsed(url), holder=holder, now=now), watch)
    try:
        migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def _place(url: URL, *, holder: str, now: float) -> Place:
    if url.get_backend_name() == "sqlite":
        return SqliteFile.open(url, holder=holder, now=now)
    raise LedgerError(
        f"The ledger cannot be kept in {url.get_backend_name()}, which has no lock of ours yet: "
        "give the path of a file."
    )


def _parsed(url: str) -> URL:
    if "://" not in url:
        return URL.create("sqlite", database=url)
    try:
        return make_url(url)
    except ArgumentError:
        raise LedgerError(
            "The ledger's URL cannot be read: write it as sqlite:////path/to/file, or give a path."
        ) from None
