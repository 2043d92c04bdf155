"""Small things that have to survive, each under its name, as plain data. Nothing secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import delete, select

from . import schema
from .database import Database

_TABLE = schema.notes


class Notes:
    """Used from any thread. Values are what JSON can hold."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._texts: Mapping[str, str] = MappingProxyType({})
        self._put = database.replacing(_TABLE)

    def load(self) -> None:
        rows = self._database.read(select(_TABLE))
        self._texts = MappingProxyType({row.name: row.value for row in rows})

    def get(self, name: str, default: Any = None) -> Any:
        """A copy of what was put there last."""
        text = self._texts.get(name)
        return default if text is None else json.loads(text)

    def put(self, name: str, value: Any) -> None:
        """Keep it, on the disk before this returns; the same again writes nothing."""
        text = json.dumps(value, sort_keys=True)
        with self._database.lock:
            if self._texts.get(name) == text:
                return
            with self._database.write() as transaction:
                transaction.execute(self._put, [{"name": name, "value": text}])
                transaction.after(lambda: self._remember({**self._texts, name: text}))

    def drop(self, name: str) -> None:
        """Forget it; nothing happens where it is not there."""
        with self._database.lock:
            if name not in self._texts:
                return
            left = {each: text for each, text in self._texts.items() if each != name}
            with self._database.write() as transaction:
                transaction.execute(delete(_TABLE).where(_TABLE.c.name == name))
                transaction.after(lambda: self._remember(left))

    def names(self, prefix: str = "") -> list[str]:
        return sorted(each for each in self._texts if each.startswith(prefix))

    def _remember(self, texts: Mapping[str, str]) -> None:
        self._texts = MappingProxyType(dict(texts))
