"""A ledger as it is at this moment, to look into while its controller runs, or while none does.

A copy in memory's stead: nothing of the original is locked, counted or migrated.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import make_url

from vast_pyworker.errors import LedgerError

from .ledger.ledger import Ledger


@contextmanager
def copy_of(place: str) -> Iterator[Ledger | None]:
    """The ledger at a path or URL; None where there is none yet."""
    path = Path(make_url(place).database or "" if "://" in place else place)
    if not path.is_file():
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="ledger-") as folder:
        copy = Path(folder, "ledger.sqlite")
        _copy(path, copy)
        ledger = Ledger.open(str(copy), holder="a look into the ledger")
        try:
            yield ledger
        finally:
            ledger.abandon()


def _copy(path: Path, copy: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
    except sqlite3.Error as exc:
        raise LedgerError(f"The ledger {path} cannot be read ({exc}): see to its file.") from exc
