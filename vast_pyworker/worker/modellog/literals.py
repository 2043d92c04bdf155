"""What text must occur in a line for a regular expression to have any chance of matching it.

Looking for fixed text is many times cheaper than searching an expression, so a log watch looks
for these first. Pure. Where nothing can be said for sure the answer is "nothing is required".
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterable
from typing import Any

_parser = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")


def required_literals(regex: str) -> tuple[str, ...]:
    """Strings of which at least one is in every text that ``regex`` matches; (): none is known."""
    flags = re.compile(regex).flags
    if flags & re.IGNORECASE:
        return ()
    return _required(_parser.parse(regex))


def _required(tree: Iterable[Any]) -> tuple[str, ...]:
    """The best requirement of a sequence: the longest shortest string, then the fewest strings."""
    found: list[tuple[str, ...]] = []
    run = ""
    for op, argument in tree:
        if str(op) == "LITERAL":
            run += chr(argument)
            continue
        found += [(run,), _of_part(str(op), argument)]
        run = ""
    candidates = [strings for strings in (*found, (run,)) if all(strings) and strings]
    return max(candidates, key=lambda strings: (min(map(len, strings)), -len(strings)), default=())


def _of_part(op: str, argument: Any) -> tuple[str, ...]:
    if op == "SUBPATTERN":
        _, added_flags, _, inner = argument
        return () if added_flags & re.IGNORECASE else _required(inner)
    if op == "ATOMIC_GROUP":
        return _required(argument)
    if op.endswith("_REPEAT"):
        least, _, inner = argument
        return _required(inner) if least else ()
    if op == "BRANCH":
        branches = [_required(branch) for branch in argument[1]]
        return tuple(s for branch in branches for s in branch) if all(branches) else ()
    return ()
