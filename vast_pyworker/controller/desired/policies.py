"""The policy of a group and its options, checked by the policy itself."""

from __future__ import annotations

from typing import Any

from vast_pyworker.controller.policy import POLICIES

from .faults import stranger
from .kinds import shown
from .table import Table, Values

USUAL = "hold"


def read_policy(group: Table, values: Values) -> dict[str, Any]:
    """All options of the group's policy, as far as they are right."""
    given: dict[str, Any] = values.get("policy_options", {})
    if "policy" in group.raw and "policy" not in values:
        return given
    name = values.get("policy", USUAL)
    if name not in POLICIES:
        group.fault(stranger(name, list(POLICIES), "policy"), "policy")
        return given
    right = {option: value for option, value in given.items() if _fits(group, name, option, value)}
    return dict(POLICIES[name].check(right))


def _fits(group: Table, policy: str, option: str, value: object) -> bool:
    try:
        POLICIES[policy].check({option: value})
    except ValueError as exc:
        group.fault(str(exc), "policy_options", option)
    except OverflowError:
        group.fault(f"{shown(value)} is too large; write less.", "policy_options", option)
    else:
        return True
    return False
