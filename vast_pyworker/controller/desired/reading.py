"""Reads ``groups.toml`` into Wishes, and says everything that is wrong with it at once.

Values come from the file and, for what magister took from there, from the environment. Nothing is
started, and nobody is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vast_pyworker.model import Limits, Wishes

from .checks import check
from .environ import overridden
from .faults import Faults
from .groups import make_group, read_group
from .keys import FILE, LIMITS
from .kinds import TABLE
from .table import Table
from .toml_file import TomlFile, parse_toml, read_toml


def read_wishes(path: str | Path, environ: Mapping[str, str]) -> Wishes:
    """What the file wishes, with what ``environ`` has over it.

    Raises WishError with a line for each fault. Two readings of the same are equal.
    """
    return _wishes(read_toml(path), environ, Path(path).parent)


def parse_wishes(
    text: str, environ: Mapping[str, str], *, name: str = "groups.toml", folder: Path | None = None
) -> Wishes:
    """The same of a text. ``folder`` is where the files lie that it names."""
    return _wishes(parse_toml(text, name), environ, folder or Path())


def wishes_of(data: Mapping[str, Any], faults: Faults, folder: Path) -> Wishes:
    """The same of plain data; whatever is wrong joins ``faults``, which are raised."""
    table = Table(data, (), faults)
    values = table.read(FILE)
    limits = table.inner("limits").read(LIMITS) if "limits" in values else {}
    groups = {
        name: read_group(table.inner("group", name), name, folder)
        for name in values.get("group", {})
        if table.inner("group").value(TABLE, name) is not None
    }
    check(limits, groups, faults)
    faults.raise_any()
    made = {name: make_group(name, each) for name, each in groups.items()}
    return Wishes(values["fleet"], Limits(**limits), made)


def _wishes(file: TomlFile, environ: Mapping[str, str], folder: Path) -> Wishes:
    faults = Faults(file)
    return wishes_of(overridden(file.data, environ, faults), faults, folder)
