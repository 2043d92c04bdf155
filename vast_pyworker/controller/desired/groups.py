"""One group: its tables read, and the group that they make."""

from __future__ import annotations

from pathlib import Path

from vast_pyworker.model import Deadlines, Group, Launch, Pace, Preferences, Window

from .keys import DEADLINES, GROUP, PACE, PREFERENCES, WINDOW
from .kinds import LABEL_SAFE, NAME, Amiss
from .launching import read_launch
from .policies import read_policy
from .table import Table, Values

_EVERY_DAY = frozenset(range(7))
_PARTS = {"preferences": PREFERENCES, "deadlines": DEADLINES, "pace": PACE}
_BOUNDS = ("min_instances", "max_instances", "max_usd_per_hour")


def read_group(table: Table, name: str, folder: Path) -> Values:
    """What is right in a group, tables within as values of their own."""
    _check_name(table, name)
    values = table.read(GROUP)
    if "launch" in values:
        values["launch"] = read_launch(table.inner("launch"), folder)
    for part, keys in _PARTS.items():
        if part in values:
            values[part] = table.inner(part).read(keys)
    windows = range(len(values.get("window", ())))
    values["window"] = [_read_window(table.inner("window", each)) for each in windows]
    values["policy_options"] = read_policy(table, values)
    return values


def make_group(name: str, values: Values) -> Group:
    """The group, from values in which nothing is wrong."""
    inner = ("launch", "preferences", "deadlines", "pace", "window")
    own = {key: value for key, value in values.items() if key not in inner}
    return Group(
        **{"endpoint": name, **own},
        name=name,
        launch=Launch(**values["launch"]),
        windows=tuple(Window(**each) for each in values["window"]),
        preferences=Preferences(**values.get("preferences", {})),
        deadlines=Deadlines(**values.get("deadlines", {})),
        pace=Pace(**values.get("pace", {})),
    )


def _check_name(table: Table, name: str) -> None:
    try:
        NAME.read(name)
    except Amiss:
        table.fault(f'"{name}" is no name of a group; write {LABEL_SAFE}.')


def _read_window(table: Table) -> Values:
    values = table.read(WINDOW)
    if not any(bound in table.raw for bound in _BOUNDS):
        table.fault(f"this window changes nothing; give it {' or '.join(_BOUNDS)}.")
    if "hours" in values:
        values["since"], values["until"] = values.pop("hours")
    usual = {"days": _EVERY_DAY, "zone": "UTC"}
    return {**{key: each for key, each in usual.items() if key not in table.raw}, **values}
