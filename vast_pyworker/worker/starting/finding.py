"""One line of what ``vast-pyworker doctor`` found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, ``ok``, ``warning`` or ``fault``, and a sentence."""

    name: str
    level: str
    sentence: str


def ok(sentence: str) -> Finding:
    return Finding("", "ok", sentence)


def warning(sentence: str) -> Finding:
    return Finding("", "warning", sentence)


def fault(sentence: str) -> Finding:
    return Finding("", "fault", sentence)
