"""Variables that hold over ``groups.toml``: those that magister took from the environment.

They are about one group: the only one of the file, or the one that ``PYWORKER_GROUP`` names. Which
variable comes to what: ``magister_settings``.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from .faults import Faults, stranger
from .magister_settings import HIEROPHANT, SETTINGS, Given, apply

WHICH = "PYWORKER_GROUP"


def overridden(
    data: Mapping[str, Any], environ: Mapping[str, str], faults: Faults
) -> Mapping[str, Any]:
    """The file's ``data`` with the variables over it; ``data`` itself is left as it is.

    An empty variable is as good as none. What is wrong with a variable names it.
    """
    given = {
        each.variable: Given(text, each.variable)
        for each in (*SETTINGS, *HIEROPHANT)
        if (text := environ.get(each.variable, "").strip())
    }
    groups, wanted = data.get("group", {}), environ.get(WHICH, "").strip()
    if not isinstance(groups, dict) or not (given or wanted):
        return data
    name = _which(list(groups), wanted, list(given), faults)
    if name is None or not isinstance(groups[name], dict):
        return data
    group = deepcopy(groups[name])
    apply(given, group, ("group", name), faults)
    return {**data, "group": {**groups, name: group}}


def _which(groups: list[str], wanted: str, given: list[str], faults: Faults) -> str | None:
    if wanted and wanted not in groups:
        faults.add_about(WHICH, f'"{wanted}": {stranger(wanted, groups, "group")}')
        return None
    if not wanted and len(groups) != 1:
        text = f"the file has {len(groups)} groups; name one in {WHICH}, or unset this."
        faults.add_about(", ".join(given), text)
        return None
    return wanted or groups[0]
