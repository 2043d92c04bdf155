"""Every wish for an instance: the open ones in memory and in the database, closed ones there alone.

A wish is on the disk before the call that spends its money. What is in memory changes after the
commit, never before, so nothing is believed that a crash could take back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol

from sqlalchemy import Row, select, update

from vast_pyworker.model import Desired, Intent

from . import schema
from .database import Database, Transaction

_TABLE = schema.intents
_COLUMNS = [_TABLE.c[each.name] for each in fields(Intent)]


class Purse(Protocol):
    """Who counts the money of intents that open and close; ``Spend`` does."""

    def opened(
        self, transaction: Transaction, intent: Intent, before: Callable[[], Intent | None]
    ) -> None: ...

    def closed(self, transaction: Transaction, intent: Intent, at: float) -> None: ...


class Intents:
    """Used from any thread. A mapping that was given out does not change."""

    def __init__(self, database: Database, purse: Purse) -> None:
        self._database = database
        self._purse = purse
        self._open: Mapping[str, Intent] = MappingProxyType({})
        self._put = database.replacing(_TABLE, keep=("closed_why",))

    def load(self) -> None:
        """Read those that are open."""
        rows = self._database.read(select(*_COLUMNS).where(_TABLE.c.closed_at.is_(None)))
        self._open = MappingProxyType({row.id: _intent(row) for row in rows})

    def open(self) -> Mapping[str, Intent]:
        """Those not closed, by id, as they are at this moment."""
        return self._open

    def get(self, intent_id: str) -> Intent | None:
        """Any intent that ever was; None where there was none."""
        known = self._open.get(intent_id)
        if known is not None:
            return known
        rows = self._database.read(select(*_COLUMNS).where(_TABLE.c.id == intent_id))
        return _intent(rows[0]) if rows else None

    def write(self, intent: Intent) -> None:
        """Keep it as it is given, on the disk before this returns."""
        self.write_all((intent,))

    def write_all(self, intents: Iterable[Intent]) -> None:
        """As ``write`` of each, in one transaction. Those that are so already cost nothing."""
        with self._database.lock:
            changed = [each for each in intents if self._open.get(each.id) != each]
            if changed:
                self._write(changed)

    def change(self, intent_id: str, **changes: Any) -> Intent:
        """Other values for some fields, on the disk before this returns.

        One that is closed keeps being so. ``KeyError``: there is no such intent.
        """
        return self.change_all({intent_id: changes})[0]

    def change_all(self, changes: Mapping[str, Mapping[str, Any]]) -> list[Intent]:
        """As ``change`` of each, in one transaction."""
        with self._database.lock:
            changed = [replace(self._known(each), **new) for each, new in changes.items()]
            self.write_all(changed)
        return changed

    def close(self, intent_id: str, at: float, why: str) -> None:
        """Nothing exists for it any more. Its last money is counted in the same transaction.

        One that is closed keeps the first word on it. ``KeyError``: there is no such intent.
        """
        self.close_all({intent_id: why}, at)

    def close_all(self, why: Mapping[str, str], at: float) -> None:
        """As ``close`` of each, in one transaction."""
        with self._database.lock:
            known = [self._known(each) for each in why]
            before = [each for each in known if each.closed_at is None]
            if not before:
                return
            closed = [replace(each, closed_at=at) for each in before]
            with self._database.write() as transaction:
                for each in before:
                    self._purse.closed(transaction, each, at)
                    transaction.execute(
                        update(_TABLE)
                        .where(_TABLE.c.id == each.id)
                        .values(closed_at=at, closed_why=why[each.id])
                    )
                transaction.after(lambda: self._remember(closed))

    def why_closed(self, intent_id: str) -> str | None:
        """What was said when it was closed; None where it is open or never was."""
        closed = _TABLE.c.closed_at.is_not(None)
        rows = self._database.read(
            select(_TABLE.c.closed_why).where(_TABLE.c.id == intent_id, closed)
        )
        return rows[0].closed_why if rows else None

    def closed(self, limit: int = 100) -> list[Intent]:
        """Those closed last, the newest first."""
        ended = _TABLE.c.closed_at
        rows = self._database.read(
            select(*_COLUMNS).where(ended.is_not(None)).order_by(ended.desc()).limit(limit)
        )
        return [_intent(row) for row in rows]

    def _write(self, intents: list[Intent]) -> None:
        with self._database.write() as transaction:
            transaction.execute(self._put, [_row(each) for each in intents])
            for each in intents:
                if each.closed_at is None and each.id not in self._open:
                    self._purse.opened(transaction, each, partial(self.get, each.id))
            transaction.after(lambda: self._remember(intents))

    def _remember(self, intents: Iterable[Intent]) -> None:
        known = dict(self._open)
        for each in intents:
            if each.closed_at is None:
                known[each.id] = each
            else:
                known.pop(each.id, None)
        self._open = MappingProxyType(known)

    def _known(self, intent_id: str) -> Intent:
        found = self.get(intent_id)
        if found is None:
            raise KeyError(f"There is no intent {intent_id} in the ledger.")
        return found


def _row(intent: Intent) -> dict[str, Any]:
    row = {each.name: getattr(intent, each.name) for each in fields(Intent)}
    return {**row, "desired": str(intent.desired)}


def _intent(row: Row[Any]) -> Intent:
    values = dict(row._mapping)
    return Intent(**{**values, "desired": Desired(values["desired"])})
