"""The kinds of values in ``groups.toml``: how each is read, and what it may be, in words.

A reader takes what TOML made of a value and gives back what the model holds. It raises ValueError
where "is no ... write ..." says enough, and Amiss where it does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from typing import Any

from .key_paths import quoted

_SHOWN = 60  # characters of a value in a fault
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LARGEST = 1e15  # also keeps out what is no number or infinite
MOST = 1_000_000
_LABEL_SAFE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


class Amiss(ValueError):
    """What is wrong with a value, as a sentence of its own."""


@dataclass(frozen=True)
class Kind:
    """``x is no NAME; write ALLOWED.`` is what is said of a value that cannot be read."""

    name: str
    allowed: str
    reader: Callable[[Any], Any]

    def read(self, value: object) -> Any:
        """The value for the model. Raises Amiss."""
        try:
            return self.reader(value)
        except Amiss:
            raise
        except ValueError as exc:
            raise Amiss(f"{shown(value)} is no {self.name}; write {self.allowed}.") from exc


def shown(value: object) -> str:
    """A value as it looks in TOML, shortened."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, int) and abs(value) > _LARGEST:
        return "a number this large"
    if isinstance(value, list):
        text = f"[{', '.join(shown(each) for each in value)}]"
    else:
        text = quoted(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _unless(bad: bool) -> None:
    if bad:
        raise ValueError


def number(value: object) -> float:
    """A finite number that is no flag."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    _unless(not -_LARGEST < value < _LARGEST)
    return float(value)


def read_count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError
    _unless(not 0 <= value <= MOST)
    return value


def read_step(value: object) -> int:
    step = read_count(value)
    _unless(step < 1)
    return step


def read_amount(value: object) -> float:
    amount = number(value)
    _unless(amount < 0)
    return amount


def read_positive(value: object) -> float:
    amount = number(value)
    _unless(amount <= 0)
    return amount


def read_duration(value: object) -> float:
    if not isinstance(value, str):
        return read_amount(value)
    text = value.strip()
    parts = _DURATION.findall(text)
    _unless(not parts or _DURATION.sub("", text).strip() != "")
    return read_amount(sum(float(count) * _SECONDS[unit] for count, unit in parts))


def read_span(value: object) -> float:
    return read_positive(read_duration(value))


def read_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError
    _unless(not value.strip())
    return value


def read_word(value: object) -> str:
    word = read_text(value)
    _unless(bool(re.search(r"\s", word)))
    return word


def read_name(value: object) -> str:
    name = read_text(value)
    _unless(not _LABEL_SAFE.fullmatch(name))
    return name


def read_backend(value: object) -> str:
    name = read_text(value)
    _unless(not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name))
    return name


def read_ids(value: object) -> frozenset[int]:
    if not isinstance(value, list):
        raise ValueError
    if any(isinstance(each, bool) or not isinstance(each, int) for each in value):
        raise ValueError
    return frozenset(value)


def read_table(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError
    return value


def read_tables(value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise ValueError
    return [read_table(each) for each in value]


def choice(members: type[Enum]) -> Kind:
    """One of the values of an enumeration."""
    words = [str(each.value) for each in members]

    def read(value: object) -> Enum:
        if value in words:
            return members(value)
        near = get_close_matches(str(value), words, n=1, cutoff=0.5)
        meant = f", perhaps {near[0]}" if near else ""
        raise Amiss(f"{shown(value)} is none of {', '.join(words)}; write one{meant}.")

    return Kind(" or ".join(words), " or ".join(words), read)


LABEL_SAFE = "at most 40 of a-z, 0-9 and -, with a letter or digit at both ends"

COUNT = Kind("count", f"a whole number from 0 to {MOST}", read_count)
STEP = Kind("step", f"a whole number from 1 to {MOST}", read_step)
PRICE = Kind("price", "dollars an hour, such as 0.45", read_positive)
CEILING = Kind("amount", "dollars from 0 up, such as 12.50", read_amount)
SIZE = Kind("size", "gigabytes, such as 40", read_positive)
DURATION = Kind(
    "duration", 'seconds from 0 up, or a text such as "90s", "5m", "2h" or "1d"', read_duration
)
SPAN = Kind(
    "duration above 0", 'seconds above 0, or a text such as "90s", "5m", "2h" or "1d"', read_span
)
TEXT = Kind("text", "a text that is not empty", read_text)
WORD = Kind("word", "a text without spaces", read_word)
NAME = Kind("name", LABEL_SAFE, read_name)
BACKEND = Kind("name of a backend", "the name of its directory, such as llamacpp", read_backend)
IDS = Kind("list of ids", "whole numbers, such as [101, 2077]", read_ids)
TABLE = Kind("table", "keys under a header of their own, or in braces", read_table)
TABLES = Kind("list of tables", "each under a header in double brackets", read_tables)
