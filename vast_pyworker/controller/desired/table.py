"""One table of the file against the keys that it may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .faults import Faults, nearest, stranger
from .key_paths import KeyPath
from .keys import Keys, homes
from .kinds import Amiss, Kind

# Values by key as the model holds them: only those that were given and could be read.
Values = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """A table as TOML has it, and where it stands."""

    raw: Mapping[str, Any]
    path: KeyPath
    faults: Faults

    def read(self, keys: Keys) -> Values:
        """The values that are right. What is unknown, wrong or missing is a fault."""
        strangers = [name for name in self.raw if name not in keys]
        for name in strangers:
            self.fault(_stranger(name, keys), name)
        meant = {nearest(name, keys) for name in strangers}
        for key in keys.values():
            if key.required and key.name not in self.raw and key.name not in meant:
                self.fault(f"this is missing; write {key.kind.allowed}.", key.name)
        read = {each: self.value(keys[each].kind, each) for each in self.raw if each in keys}
        return {name: value for name, value in read.items() if value is not None}

    def value(self, kind: Kind, name: str) -> Any:
        """One value; None, with a fault, where it is wrong."""
        try:
            return kind.read(self.raw[name])
        except Amiss as exc:
            self.fault(str(exc), name)
            return None

    def inner(self, *below: str | int) -> Table:
        """The table there, which is one: its kind was read."""
        raw: Any = self.raw
        for step in below:
            raw = raw[step]
        return Table(raw, (*self.path, *below), self.faults)

    def fault(self, text: str, *below: str | int) -> None:
        """``text`` is about what is below this table."""
        self.faults.add((*self.path, *below), text)


def _stranger(name: str, keys: Keys) -> str:
    elsewhere = homes(name)
    if elsewhere:
        return f"there is no such key here; it belongs under {' or '.join(elsewhere)}."
    return stranger(name, keys)
