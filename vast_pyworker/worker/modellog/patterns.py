"""What lines of a model server's log mean: regular expressions with an action each.

What is here: the patterns a backend writes down, and a table that finds them in lines cheaply
enough for a log of any speed. What is not: where lines come from (``tail``) and what is done
about them (``lifecycle``).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite

from vast_pyworker.errors import BackendError
from vast_pyworker.worker.phases.readiness import QUOTE

from .literals import required_literals
from .quantity import amount, duration_s

# In order of precedence: the first of these that a line matches is what it means. An error of one
# request ("ignore") is so often worded like a fatal one that it must win.
ACTIONS = ("ignore", "error", "loaded", "capacity", "progress", "loading")

DURATION_GROUPS = frozenset({"seconds", "load_time"})
AMOUNT_GROUPS = frozenset({"capacity", "done", "total", "rate", "percent"})

SHOWN_CHARACTERS = 200
LOG_ERROR = f"the model's log tells of an error{QUOTE}"
"""How a reason begins that quotes a line; callers without a token are told what is before it."""
_SECRET = re.compile(r"\b(?:hf_|sk-|ghp_)[\w-]{6,}|(?i:\bbearer\s+)\S+|(?i:token=)\S+")


@dataclass(frozen=True)
class Pattern:
    """A line that ``regex`` is found in means ``action``.

    ``loading``: the model has begun to load. ``progress``: it is loading, or a long request is
    moving. ``loaded``: it can serve. ``error``: it cannot and will not. ``ignore``: whatever this
    looks like, it concerns one request only. ``capacity``: it says how much it can hold.

    ``count`` lines within ``window_s`` seconds (0: ever) are needed before it means anything.
    ``reason`` is told to people in place of the line. Named groups that are understood:
    ``seconds`` or ``load_time``, ``capacity``, ``done``, ``total``, ``rate`` (bytes, with or
    without a unit), ``percent``. Raises BackendError when it makes no sense.
    """

    action: str
    regex: str
    count: int = field(default=1, kw_only=True)
    window_s: float = field(default=0.0, kw_only=True)
    reason: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        shown = f"Pattern({self.action!r}, {self.regex!r})"
        if self.action not in ACTIONS:
            raise BackendError(f"{shown}: the action must be one of {', '.join(sorted(ACTIONS))}.")
        if self.count < 1 or not 0 <= self.window_s < float("inf"):
            raise BackendError(f"{shown}: count must be 1 or more, window_s 0 or more seconds.")
        try:
            re.compile(self.regex)
        except (re.error, TypeError) as exc:
            raise BackendError(f"{shown} is no regular expression: {exc}; correct it.") from exc


def containing(action: str, text: str) -> Pattern:
    """A line that contains ``text``, letter for letter, means ``action``."""
    return Pattern(action, re.escape(text))


TORCH_FATAL: tuple[Pattern, ...] = (
    Pattern("error", r"torch\.(?:cuda\.)?OutOfMemoryError", reason="the GPU is out of memory"),
    Pattern("error", r"CUDA error: an illegal memory access was encountered"),
    Pattern("error", r"CUDA error: device-side assert triggered"),
    Pattern("error", r"no kernel image is available for execution on the device"),
    Pattern("error", r"NCCL error"),
)
"""Lines after which no server built on PyTorch serves again; for backends to add to their own."""


@dataclass(frozen=True)
class Match:
    """A line, or a few, that mean something.

    ``reason`` is short and without what looks like a secret; that of an error quotes a line of the
    log after ``QUOTE`` only, for it is told to anybody up to there. ``fields`` holds the
    named groups that could be read, as numbers in seconds, bytes or units; also ``max_perf`` where
    whoever reports it has measured.
    """

    action: str
    reason: str = ""
    fields: Mapping[str, float] = field(default_factory=dict)


class PatternTable:
    """Finds the meaning of lines. For one thread.

    ``now`` is seconds on any clock that only grows.
    """

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        ranked = sorted(patterns, key=lambda pattern: ACTIONS.index(pattern.action))
        self._rules = [_Rule(pattern) for pattern in ranked]
        self.actions = frozenset(rule.pattern.action for rule in self._rules)

    def match(self, line: str, now: float) -> Match | None:
        """What ``line`` means, if anything."""
        return _first(self._rules, line, now)

    def scan(self, lines: Sequence[str], now: float) -> list[Match]:
        """What each of ``lines`` means, in order, without those that mean nothing.

        The same as ``match`` on each, but text that no pattern can be in is passed over whole.
        """
        text = "\n".join(lines)
        rules = [rule for rule in self._rules if rule.may_be_in(text)]
        if not rules:
            return []
        found = (_first(rules, line, now) for line in lines)
        return [match for match in found if match is not None]

    def reset(self) -> None:
        """Forget what has been counted: the model has been started anew."""
        for rule in self._rules:
            rule.seen.clear()


class _Rule:
    """A pattern, made ready to be searched for, and when it was seen."""

    __slots__ = ("literals", "pattern", "search", "seen")

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        self.search = re.compile(pattern.regex).search
        self.literals = required_literals(pattern.regex)
        self.seen: deque[float] = deque(maxlen=pattern.count)

    def may_be_in(self, text: str) -> bool:
        for literal in self.literals:  # a loop, for this is asked for every line
            if literal in text:
                return True
        return not self.literals

    def is_due(self, now: float) -> bool:
        """Count one more line; whether there have been enough within the window."""
        if self.pattern.count == 1:
            return True
        self.seen.append(now)
        if len(self.seen) < self.pattern.count:
            return False
        window_s = self.pattern.window_s
        return not window_s or now - self.seen[0] <= window_s


def _first(rules: Sequence[_Rule], line: str, now: float) -> Match | None:
    for rule in rules:
        if rule.may_be_in(line):
            found = rule.search(line)
            if found is not None and rule.is_due(now):
                return _read(rule.pattern, found, line)
    return None


def _read(pattern: Pattern, found: re.Match[str], line: str) -> Match:
    fields: dict[str, float] = {}
    for name, text in found.groupdict().items():
        number = _number(name, text) if text else None
        if number is not None and isfinite(number):
            fields["load_time" if name == "seconds" else name] = number
    return Match(pattern.action, pattern.reason or _quoted(pattern.action, line), fields)


def _quoted(action: str, line: str) -> str:
    """What people are told of ``line``; an error's may hold a prompt, and reaches every 503."""
    return f"{LOG_ERROR}{shown(line)}" if action == "error" else shown(line)


def _number(name: str, text: str) -> float | None:
    if name in DURATION_GROUPS:
        return duration_s(text)
    return amount(text.rstrip("%")) if name in AMOUNT_GROUPS else None


def shown(line: str) -> str:
    """``line`` as it may be told to others: short, and without what looks like a secret."""
    return _SECRET.sub("***", line.strip())[:SHOWN_CHARACTERS]
