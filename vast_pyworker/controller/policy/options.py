"""A policy's options as a table: name, kind, range and default; and the check of a user's values.

What is not here: where the values come from, and in which file a mistake stands.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any


@dataclass(frozen=True)
class Option:
    """One option: a number from ``least`` (not included where ``above``) to ``most``.

    A ``default`` of None means that the option may be left out, and what then holds is ``unset``.
    """

    name: str
    meaning: str
    default: float | None = None
    least: float = 0.0
    most: float = math.inf
    above: bool = False
    whole: bool = False
    unset: str = ""

    @property
    def allowed(self) -> str:
        """What it may be, in words."""
        kind = "a whole number" if self.whole else "a number"
        low = "" if self.least == -math.inf else f"{'above' if self.above else 'from'} "
        low += f"{self.least:g}" if low else ""
        high = "" if self.most == math.inf else f"to {self.most:g}"
        return " ".join(each for each in (kind, low, high) if each)


def check(policy: str, table: Sequence[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """``given`` with defaults; ``ValueError`` with a sentence for each thing that is wrong."""
    wrong = list(_wrong(policy, table, given))
    if wrong:
        raise ValueError("\n".join(wrong))
    return values(table, given)


def values(table: Sequence[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """``given`` over the defaults; options that have neither are left out."""
    defaults = {each.name: each.default for each in table if each.default is not None}
    return {**defaults, **given}


def _wrong(policy: str, table: Sequence[Option], given: Mapping[str, Any]) -> Iterator[str]:
    known = {each.name: each for each in table}
    for name, value in given.items():
        option = known.get(name)
        if option is None:
            yield _stranger(policy, list(known), name)
        elif not _fits(option, value):
            yield f"{name} of policy {policy} is {value!r}; it has to be {option.allowed}."


def _stranger(policy: str, known: list[str], name: str) -> str:
    near = get_close_matches(name, known, n=1)
    meant = f"do you mean {near[0]}? " if near else ""
    return f"Policy {policy} has no option {name}: {meant}It has {', '.join(known)}."


def _fits(option: Option, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    if option.whole and value != int(value):
        return False
    low = value > option.least if option.above else value >= option.least
    return low and value <= option.most
